/** The cluster: its workers, who computes which shard of which step, and where the time of a step goes. */
import type { StatusResponse, WorkerStatus } from '@kasane/protocol/gen/kasane/v1/cluster';
import { figure, fill, h } from './dom.ts';
import { bytes, grouped, milliseconds } from './format.ts';
import { phaseTable } from './phases.ts';
import { timeline } from './timeline.ts';
import type { Known, Page, View } from './view.ts';
import { waterfall } from './waterfall.ts';

/** A worker that is silent for this long, in milliseconds, is shown as such: heartbeats come every second. */
const SILENT_MS = 2500;
/** Points of the timeline. */
const STEPS = 120;

export class ClusterView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #summary = h('section', { class: 'card' });
  readonly #workers = h('div', { class: 'workers' });
  readonly #timeline = h('section', { class: 'card' });
  readonly #waterfall = h('section', { class: 'card' });
  readonly #phases = h('section', { class: 'card' });
  readonly #gone = h('section', { class: 'card' });
  #known: Known | undefined;
  /** The step of the waterfall; undefined for the newest. */
  #step: number | undefined;
  #drawn = '';
  #cards = new Map<string, { readonly key: string; readonly card: HTMLElement }>();

  constructor(page: Page) {
    this.#page = page;
    this.element = h(
      'div',
      { class: 'stacked' },
      h('h2', { class: 'hidden' }, page.t.cluster),
      this.#summary,
      this.#workers,
      this.#gone,
      this.#timeline,
      this.#waterfall,
      this.#phases,
    );
  }

  update(known: Known): void {
    this.#known = known;
    const { cluster, course, followed } = known;
    if (cluster) this.#drawCluster(cluster);
    const key = `${followed} ${course.version}`;
    if (key !== this.#drawn) {
      this.#drawn = key;
      this.#drawSteps();
    }
  }

  destroy(): void {}

  #drawCluster({ workers, departed, version }: StatusResponse): void {
    const { t, language } = this.#page;
    const sum = (pick: (worker: WorkerStatus) => number) =>
      workers.reduce((total, worker) => total + pick(worker), 0);
    fill(
      this.#summary,
      h(
        'dl',
        { class: 'figures' },
        figure(
          t.cluster,
          t.workers(
            workers.length,
            sum((w) => w.slots),
          ),
        ),
        figure(t.busy, `${grouped(sum((w) => w.busy))} / ${grouped(sum((w) => w.slots))}`),
        figure(t.tasks, grouped(sum((w) => w.tasksDone))),
        figure(t.failedTasks, grouped(sum((w) => w.tasksFailed))),
        figure(t.received, bytes(sum((w) => w.bytesReceived))),
        figure(t.sent, bytes(sum((w) => w.bytesSent))),
        figure('Kasane', version),
      ),
    );
    const cards = new Map(workers.map((worker) => [worker.id, this.#card(worker)]));
    this.#cards = cards;
    fill(
      this.#workers,
      ...[...cards.values()].map(({ card }) => card),
      workers.length === 0 && h('p', { class: 'faint' }, t.noWorkers),
    );
    const rows = departed.map((gone) =>
      h(
        'tr',
        { class: gone.drained ? '' : 'failed' },
        h('td', {}, new Date(gone.leftAt).toLocaleTimeString(language)),
        h('td', {}, gone.id),
        h('td', {}, gone.why),
        h('td', { class: 'number' }, grouped(gone.tasksDone)),
      ),
    );
    const titles = [t.when, t.worker, t.why, t.tasks].map((title) => h('th', { scope: 'col' }, title));
    const table = h('table', {}, h('thead', {}, h('tr', {}, ...titles)), h('tbody', {}, ...rows));
    fill(
      this.#gone,
      h('h3', {}, t.gone),
      rows.length > 0
        ? h('div', { class: 'scroll', tabindex: 0, 'data-key': 'gone' }, table)
        : h('p', { class: 'faint' }, t.noneGone),
    );
  }

  /** The same element for a worker of whom nothing that is shown has changed. */
  #card(worker: WorkerStatus): { key: string; card: HTMLElement } {
    const { t, language } = this.#page;
    const { silentMs, ...rest } = worker;
    const silent = silentMs > SILENT_MS ? milliseconds(silentMs) : '';
    const key = `${JSON.stringify(rest)} ${silent}`;
    const known = this.#cards.get(worker.id);
    if (known?.key === key) return known;
    const state = worker.draining
      ? t.draining
      : silent
        ? `${t.silent} ${silent}`
        : worker.busy > 0
          ? t.busy
          : t.idle;
    const slots = Array.from({ length: Math.min(worker.slots, 64) }, (_, slot) =>
      h('i', { class: slot < worker.busy ? 'on' : '' }),
    );
    const kind = worker.draining || silent ? 'failed' : worker.busy > 0 ? 'running' : 'queued';
    const card = h(
      'article',
      { class: 'card worker', 'data-worker': worker.id },
      h(
        'div',
        { class: 'row' },
        h('span', { class: 'name' }, worker.id),
        h('span', { class: `state ${kind}` }, state),
      ),
      h('div', { class: 'slots', 'aria-hidden': 'true' }, ...slots),
      h('div', { class: 'faint' }, `${worker.host} · ${worker.backend} · ${t.slots(worker.slots)}`),
      h(
        'div',
        {},
        `${grouped(worker.tasksDone)} ${t.tasks}, ${worker.tasksHeld} ${t.held}`,
        worker.tasksFailed > 0 && h('span', { class: 'failed' }, ` · ${worker.tasksFailed} ${t.failedTasks}`),
      ),
      h(
        'div',
        { class: 'faint' },
        `↓ ${bytes(worker.bytesSent)}  ↑ ${bytes(worker.bytesReceived)} · ${t.since} ${new Date(worker.connectedAt).toLocaleTimeString(language)}`,
      ),
    );
    return { key, card };
  }

  #drawSteps(): void {
    const { t } = this.#page;
    const { course, followed } = this.#known!;
    const points = course.points.filter(({ shards }) => shards.length > 0);
    const last = points.at(-1);
    this.#waterfall.hidden = !last;
    this.#phases.hidden = !last;
    if (!last) {
      fill(this.#timeline, h('h3', {}, t.timeline), h('p', { class: 'faint' }, t.noSteps));
      return;
    }
    const recent = points.slice(-STEPS);
    const at = this.#step === undefined ? -1 : recent.findIndex(({ step }) => step === this.#step);
    const index = at < 0 ? recent.length - 1 : at;
    const shown = recent[index]!;
    const choose = (step: number | undefined) => {
      this.#step = step;
      this.#drawSteps();
    };
    fill(
      this.#timeline,
      h('h3', {}, `${t.timeline}, ${t.timelineOf(followed)}`),
      timeline(recent, shown.step, this.#page, choose),
    );
    const button = (label: string, to: number | undefined, able: boolean) =>
      h('button', { type: 'button', 'data-key': label, disabled: !able, click: () => choose(to) }, label);
    fill(
      this.#waterfall,
      h(
        'div',
        { class: 'row' },
        h('h3', {}, `${t.waterfall(grouped(shown.step))}: ${milliseconds(shown.stepMs)}`),
        h(
          'div',
          { class: 'actions' },
          button(t.previous, recent[index - 1]?.step, index > 0),
          button(t.next, recent[index + 1]?.step, index < recent.length - 1),
          button(t.newest, undefined, this.#step !== undefined),
        ),
      ),
      waterfall(shown, this.#page),
    );
    fill(this.#phases, h('h3', {}, t.phases), phaseTable(recent, this.#page));
  }
}
