/** Addresses of the views: #/jobs, #/cluster, #/job/ID/tab. */

/** The tab of a job that is shown where the address names none. */
export const FIRST_TAB = 'overview';

export type Route =
  | { readonly view: 'jobs' }
  | { readonly view: 'cluster' }
  | { readonly view: 'job'; readonly job: string; readonly tab: string };

export function parseRoute(hash: string): Route {
  const [, view, job = '', tab = FIRST_TAB] = hash.replace(/^#/, '').split('/').map(decodeURIComponent);
  if (view === 'cluster') return { view };
  if (view !== 'job' || !job) return { view: 'jobs' };
  return { view, job, tab };
}

export const jobAddress = (job: string, tab = FIRST_TAB): string =>
  `#/job/${encodeURIComponent(job)}${tab === FIRST_TAB ? '' : `/${tab}`}`;
