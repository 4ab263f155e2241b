/** The page: a list of jobs, the one that the address names, the cluster. Everything comes over one stream of events. */
import type { StatusResponse } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { Job, WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { byId, fill, h, spark } from './dom.ts';
import { JobView, metric, percent, RUNNING, stateClass } from './job.ts';
import { type Language, words } from './text.ts';

interface State {
  readonly jobs?: readonly Job[];
  readonly cluster?: StatusResponse;
  /** Why there is nothing else. */
  readonly problem?: string;
}

const LANGUAGE_KEY = 'kasane-language';
let language: Language = (localStorage.getItem(LANGUAGE_KEY) ?? navigator.language).startsWith('ja')
  ? 'ja'
  : 'en';
let state: State = {};
let view: JobView | undefined;
let events: EventSource | undefined;

const asked = () => decodeURIComponent(location.hash.slice(1));

/** The job that the address names; without one, the one that runs, or the newest. */
function chosen(): string {
  const jobs = state.jobs ?? [];
  return asked() || (jobs.find((job) => job.state === RUNNING) ?? jobs[0])?.id || '';
}

function connect(job: string): void {
  events?.close();
  const source = new EventSource(`/events?job=${encodeURIComponent(job)}`);
  events = source;
  const json = (event: Event) => JSON.parse((event as MessageEvent<string>).data) as unknown;
  source.addEventListener('state', (event) => {
    state = json(event) as State;
    draw();
  });
  source.addEventListener('metrics', (event) => view?.take(json(event) as WatchMetricsResponse, true));
  source.addEventListener('points', (event) => view?.take(json(event) as WatchMetricsResponse, false));
  source.addEventListener('error', () => showProblem(words[language].lost));
}

function showProblem(text: string): void {
  const problem = byId('problem');
  problem.textContent = text;
  problem.hidden = text === '';
}

function draw(): void {
  const t = words[language];
  showProblem(state.problem ?? '');
  const id = chosen();
  if (id && view?.id !== id) open(id);
  drawJobs(id);
  drawCluster();
  const job = state.jobs?.find((one) => one.id === id);
  if (job) view?.show(job);
  const running = state.jobs?.find((one) => one.state === RUNNING);
  document.title = running
    ? `${percent(running.steps ? running.step / running.steps : 0)} · Kasane`
    : 'Kasane';
  byId('language').textContent = t.otherLanguage;
}

function open(id: string): void {
  view?.destroy();
  view = new JobView(id, words[language]);
  byId('job').replaceWith(view.element);
  connect(id);
}

function drawJobs(current: string): void {
  const t = words[language];
  const jobs = state.jobs ?? [];
  fill(
    byId('jobs'),
    ...jobs.slice(0, 200).map((job) =>
      h(
        'a',
        {
          class: 'card',
          href: `#${encodeURIComponent(job.id)}`,
          'data-key': job.id,
          'aria-current': job.id === current && 'true',
        },
        h(
          'div',
          { class: 'row' },
          h('span', { class: 'name' }, job.name),
          h('span', { class: `state ${stateClass(job.state)}` }, t.states[job.state] ?? ''),
        ),
        h('progress', { max: job.epochs || 1, value: job.epoch, 'aria-label': t.epoch }),
        h(
          'div',
          { class: 'row faint' },
          h(
            'span',
            {},
            job.history.length > 0
              ? metric(job, job.history.at(-1)!.testMetric)
              : `${job.epoch} / ${job.epochs}`,
          ),
          spark(job.history.map(({ testMetric }) => testMetric)),
        ),
      ),
    ),
    jobs.length === 0 && state.jobs ? h('p', { class: 'faint' }, t.noJobs) : undefined,
  );
}

function drawCluster(): void {
  const t = words[language];
  const { cluster } = state;
  if (!cluster) return;
  const slots = cluster.workers.reduce((sum, worker) => sum + worker.slots, 0);
  byId('summary').textContent = t.workers(cluster.workers.length, slots);
  fill(
    byId('cluster'),
    h('h3', {}, t.cluster),
    h(
      'div',
      { class: 'workers' },
      ...cluster.workers.map((worker) =>
        h(
          'div',
          { class: 'card' },
          h(
            'div',
            { class: 'row' },
            h('span', { class: 'name' }, worker.id),
            worker.draining && h('span', { class: 'state' }, t.draining),
          ),
          h('div', { class: 'faint' }, `${worker.host} · ${worker.backend} · ${t.workers(1, worker.slots)}`),
          h('div', {}, `${worker.tasksDone.toLocaleString('en')} ${t.tasks}, ${worker.tasksHeld} ${t.held}`),
          h(
            'div',
            { class: 'faint' },
            `${t.since} ${new Date(worker.connectedAt).toLocaleTimeString(language)}`,
          ),
        ),
      ),
    ),
    cluster.workers.length === 0 && h('p', { class: 'faint' }, t.noWorkers),
  );
}

byId('language').addEventListener('click', () => {
  language = language === 'en' ? 'ja' : 'en';
  localStorage.setItem(LANGUAGE_KEY, language);
  document.documentElement.lang = language;
  const id = view?.id;
  if (id) open(id);
  draw();
});
addEventListener('hashchange', draw);
document.documentElement.lang = language;
connect(asked());
draw();
