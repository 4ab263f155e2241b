/** Addresses of the views: #/jobs, #/sweeps, #/runs, #/cluster, #/job/ID/tab, #/sweep/ID. */

/** The tab of a job that is shown where the address names none. */
export const FIRST_TAB = 'overview';

export type Route =
  | { readonly view: 'jobs' }
  | { readonly view: 'sweeps' }
  | { readonly view: 'runs' }
  | { readonly view: 'cluster' }
  | { readonly view: 'sweep'; readonly sweep: string }
  | { readonly view: 'job'; readonly job: string; readonly tab: string };

export function parseRoute(hash: string): Route {
  const [, view, job = '', tab = FIRST_TAB] = hash.replace(/^#/, '').split('/').map(decodeURIComponent);
  if (view === 'cluster' || view === 'sweeps' || view === 'runs') return { view };
  if (view === 'sweep' && job) return { view, sweep: job };
  if (view !== 'job' || !job) return { view: 'jobs' };
  return { view, job, tab };
}

export const jobAddress = (job: string, tab = FIRST_TAB): string =>
  `#/job/${encodeURIComponent(job)}${tab === FIRST_TAB ? '' : `/${tab}`}`;

export const sweepAddress = (sweep: string): string => `#/sweep/${encodeURIComponent(sweep)}`;
