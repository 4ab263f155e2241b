/** The page: a header, and the view that the address names. Everything live comes over one stream of events. */
import type { StatusResponse } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { Job, Event as JobEvent, WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Sweep } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { ClusterView } from './cluster-view.ts';
import { byId, COLORS, Frame, fill, h } from './dom.ts';
import { isStalled, percent, RUNNING } from './format.ts';
import { JobView } from './job-view.ts';
import { JobsView } from './jobs-view.ts';
import { LazyView } from './lazy-view.ts';
import { MetricsHistory } from './metrics-history.ts';
import { parseRoute, type Route } from './route.ts';
import { english, type Language, type Words } from './text.ts';
import type { Page, RunResults, SweepWithTrials, View } from './view.ts';

/** Loaded when somebody reads them. */
const wordsOf = async (language: Language): Promise<Words> =>
  language === 'ja' ? (await import('./text-ja.ts')).japanese : english;
/** Events of the job that are kept: as many as a coordinator keeps. */
const EVENTS = 1000;
const themes = ['auto', 'light', 'dark'] as const;
const stored = (key: string) => localStorage.getItem(`kasane-${key}`) ?? '';

let language: Language = (stored('language') || navigator.language).startsWith('ja') ? 'ja' : 'en';
let t = await wordsOf(language);
let theme = themes.find((known) => known === stored('theme')) ?? 'auto';
let jobs: Job[] | undefined;
let cluster: StatusResponse | undefined;
let metrics = new MetricsHistory();
let happened: readonly JobEvent[] = [];
let sweeps: readonly Sweep[] | undefined;
let sweep: SweepWithTrials | undefined;
let changed: ReadonlyMap<string, RunResults> = new Map();
let gone: ReadonlySet<string> = new Set();
let followed = '';
let isMissing = false;
let followedAt = '';
let events: EventSource | undefined;
let route: Route = parseRoute(location.hash);
let view: View | undefined;

const page = (): Page => ({
  t,
  language,
  fail: (error) => showProblem(error instanceof Error ? error.message : String(error)),
});

/** Whose metrics history is wanted: that of the job that is shown; on the cluster's page of the one that runs, or ran last. On a sweep's page, that sweep. */
function wanted(): string {
  if (route.view === 'job') return route.job;
  if (route.view === 'sweep') return route.sweep;
  if (route.view !== 'cluster') return '';
  const running = jobs?.find((job) => job.state === RUNNING);
  if (running) return running.id;
  return followed || (jobs?.find((job) => job.step > 0)?.id ?? '');
}

/** Of the stream with that job's metrics history: the part of it that the view shows. Tables have their own parts. */
function address(job: string): string {
  if (route.view === 'sweep') return `/events?part=sweep&sweep=${encodeURIComponent(job)}`;
  if (route.view === 'sweeps' || route.view === 'runs') return `/events?part=${route.view}`;
  const layers = route.view === 'job' && route.tab === 'layers';
  const part = route.view === 'cluster' ? 'steps' : layers ? 'layers' : 'curves';
  return `/events?job=${encodeURIComponent(job)}&part=${part}`;
}

function follow(job: string): void {
  events?.close();
  followed = job;
  followedAt = address(job);
  metrics = new MetricsHistory();
  happened = [];
  sweep = undefined;
  changed = new Map();
  gone = new Set();
  // Streams for tables carry no jobs: the ones known now would be stale by the time they are shown.
  if (isTable()) jobs = undefined;
  isMissing = false;
  const source = new EventSource(followedAt);
  events = source;
  const on = <T>(name: string, take: (value: T) => void) =>
    source.addEventListener(name, (event) => {
      take(JSON.parse((event as MessageEvent<string>).data) as T);
      frame.ask();
    });
  // What a stream begins with is all there is: others were deleted while there was none.
  let isFirst = true;
  on<Job[]>('jobs', (changed) => {
    jobs = merged(isFirst ? [] : (jobs ?? []), changed);
    isFirst = false;
  });
  on<string[]>('gone', (ids) => {
    jobs = jobs?.filter(({ id }) => !ids.includes(id));
    gone = new Set([...gone, ...ids]);
  });
  on<readonly { job: string; values: RunResults }[]>('rows', (rows) => {
    changed = new Map([...changed, ...rows.map(({ job, values }) => [job, values] as const)]);
  });
  on<readonly Sweep[]>('sweeps', (list) => {
    sweeps = list;
  });
  on<SweepWithTrials>('sweep', (whole) => {
    sweep = whole;
  });
  on<SweepWithTrials>('trials', (now) => {
    const trials = [...(sweep?.trials ?? [])];
    for (const trial of now.trials) trials[trial.number - 1] = trial;
    sweep = { sweep: now.sweep, trials };
  });
  on<StatusResponse>('cluster', (value) => {
    cluster = value;
  });
  on<string>('missing', (job) => {
    isMissing = job === followed;
  });
  on<string>('problem', showProblem);
  on<WatchMetricsResponse>('metrics', (message) => metrics.take(message, true));
  on<WatchMetricsResponse>('more', (message) => metrics.take(message, false));
  on<JobEvent[]>('happened', (all) => {
    happened = all;
  });
  on<JobEvent[]>('happens', (more) => {
    happened = [...happened, ...more].slice(-EVENTS);
  });
  source.addEventListener('open', () => {
    isFirst = true;
    byId('lost').setAttribute('hidden', '');
  });
  source.addEventListener('error', () => byId('lost').removeAttribute('hidden'));
}

const isTable = (): boolean => route.view === 'sweep' || route.view === 'sweeps' || route.view === 'runs';

/** Follows what is wanted now, if it is not followed yet. */
function attend(): void {
  const job = wanted();
  if (address(job) !== followedAt) follow(job);
}

/** Newest first, each once. */
function merged(known: readonly Job[], changed: readonly Job[]): Job[] {
  const byName = new Map(known.map((job) => [job.id, job]));
  for (const job of changed) byName.set(job.id, job);
  return [...byName.values()].sort((a, b) => b.submittedAt - a.submittedAt);
}

function showProblem(text: string): void {
  const problem = byId('problem');
  fill(
    problem,
    h('span', {}, text),
    h('button', { type: 'button', click: () => showProblem(''), 'aria-label': t.close }, '×'),
  );
  problem.hidden = text === '';
}

const frame = new Frame(() => {
  attend();
  view?.update({
    ...{ jobs, cluster, metrics, events: happened, followed, isMissing },
    ...{ sweeps, sweep, changed, gone },
  });
  if (cluster) {
    const slots = cluster.workers.reduce((sum, worker) => sum + worker.slots, 0);
    byId('summary').textContent = t.workers(cluster.workers.length, slots);
  }
  const running = jobs?.find((one) => one.state === RUNNING);
  document.title = running
    ? `${isStalled(running) ? `⚠ ${t.stalled} ` : ''}${percent(running.steps ? running.step / running.steps : 0)} · Kasane`
    : 'Kasane';
});

/** Scripts of tables are loaded when a table is opened. */
function viewOf(asked: Route): View {
  const lazy = (load: (page: Page) => Promise<View>) => new LazyView(page(), load, () => frame.ask());
  switch (asked.view) {
    case 'job':
      return new JobView(page(), asked.job, asked.tab);
    case 'cluster':
      return new ClusterView(page());
    case 'sweeps':
      return lazy(async (page) => new (await import('./sweeps-view.ts')).SweepsView(page));
    case 'sweep':
      return lazy(async (page) => new (await import('./sweep-view.ts')).SweepView(page, asked.sweep));
    case 'runs':
      return lazy(async (page) => new (await import('./runs-view.ts')).RunsView(page));
    default:
      return new JobsView(page());
  }
}

/** Makes the view anew: another one is asked for, or other words or colours. */
function open(): void {
  const before = route;
  route = parseRoute(location.hash);
  // Before anything is drawn: what it asks for is on its way meanwhile.
  attend();
  const main = byId('main');
  view?.destroy();
  view = viewOf(route);
  main.replaceChildren(view.element);
  if (before.view !== route.view || isTable()) scrollTo(0, 0);
  frame.ask();
}

function dress(): void {
  document.documentElement.lang = language;
  document.documentElement.style.colorScheme = theme === 'auto' ? '' : theme;
  byId('language').textContent = t.language;
  byId('skip').textContent = t.skip;
  byId('lost').textContent = t.lost;
  const button = byId('theme');
  button.textContent = { auto: '◐', light: '☀', dark: '☾' }[theme];
  button.setAttribute('aria-label', t.theme[theme]);
  button.title = t.theme[theme];
  drawNavigation();
}

function drawNavigation(): void {
  // Each section with the views that belong to it.
  const sections = {
    jobs: ['jobs', 'job'],
    sweeps: ['sweeps', 'sweep'],
    runs: ['runs'],
    cluster: ['cluster'],
  };
  const links = Object.entries(sections).map(([name, views]) =>
    h(
      'a',
      { href: `#/${name}`, 'data-key': name, 'aria-current': views.includes(route.view) && 'page' },
      t[name as keyof typeof sections],
    ),
  );
  fill(byId('navigation'), ...links);
}

async function speak(asked: Language): Promise<void> {
  t = await wordsOf(asked);
  language = asked;
  localStorage.setItem('kasane-language', language);
  dress();
  open();
}

byId('language').addEventListener('click', () => {
  speak(language === 'en' ? 'ja' : 'en').catch(page().fail);
});
byId('theme').addEventListener('click', () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length]!;
  localStorage.setItem('kasane-theme', theme);
  dress();
  dispatchEvent(new Event(COLORS));
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => dispatchEvent(new Event(COLORS)));
byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  byId('main').focus();
});
addEventListener('hashchange', () => {
  open();
  drawNavigation();
});
dress();
open();
