/** Addresses of the views: #/jobs, #/cluster, #/job/ID/tab. */

export const TABS = ['overview', 'layers', 'try'] as const;
export type Tab = (typeof TABS)[number];

export type Route =
  | { readonly view: 'jobs' }
  | { readonly view: 'cluster' }
  | { readonly view: 'job'; readonly job: string; readonly tab: Tab };

export function parseRoute(hash: string): Route {
  const [, view, job = '', tab = 'overview'] = hash.replace(/^#/, '').split('/').map(decodeURIComponent);
  if (view === 'cluster') return { view };
  if (view !== 'job' || !job) return { view: 'jobs' };
  return { view, job, tab: TABS.find((known) => known === tab) ?? 'overview' };
}

export const jobAddress = (job: string, tab: Tab = 'overview'): string =>
  `#/job/${encodeURIComponent(job)}${tab === 'overview' ? '' : `/${tab}`}`;
