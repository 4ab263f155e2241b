/** The cluster: its workers, who computes which shard of which step, and where the time of a step goes. */
import type { StatusResponse, WorkerStatus } from '@kasane/protocol/gen/kasane/v1/cluster';
import { figure, fill, h } from './dom.ts';
import { bytes, grouped, milliseconds } from './format.ts';
import { SHARD_POINTS } from './metrics-history.ts';
import { phaseTable } from './phases.ts';
import { Timeline } from './timeline.ts';
import type { Known, Page, View } from './view.ts';
import { waterfall } from './waterfall.ts';
import { WorkerCards } from './worker-cards.ts';

/** Least time between two drawings of the steps, in milliseconds: with hundreds of shards they take a while, to draw and to read. */
const STEPS_MS = 1000;

/** Of a card, in pixels. */
const PADDING = 14;

export class ClusterView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #summary = h('section', { class: 'card' });
  readonly #workers: WorkerCards;
  readonly #timelineTitle = h('h3');
  readonly #noSteps = h('p', { class: 'faint' });
  readonly #timeline: Timeline;
  readonly #waterfall = h('section', { class: 'card' });
  readonly #phases = h('section', { class: 'card' });
  readonly #gone = h('section', { class: 'card' });
  #known: Known | undefined;
  /** The step of the waterfall; undefined for the newest. */
  #step: number | undefined;
  #drawn = '';
  #drawnAt = Number.NEGATIVE_INFINITY;
  #departed: StatusResponse['departed'] = [];

  constructor(page: Page) {
    this.#page = page;
    this.#workers = new WorkerCards(page);
    this.#drawGone([]);
    this.#noSteps.textContent = page.t.noSteps;
    this.#timeline = new Timeline(page, (step) => this.#choose(step));
    this.element = h(
      'div',
      { class: 'stacked' },
      h('h2', { class: 'hidden' }, page.t.cluster),
      this.#summary,
      this.#workers.element,
      this.#gone,
      h('section', { class: 'card' }, this.#timelineTitle, this.#noSteps, this.#timeline.element),
      this.#waterfall,
      this.#phases,
    );
  }

  update(known: Known): void {
    this.#known = known;
    const { cluster, metrics, followed } = known;
    if (cluster) this.#drawCluster(cluster);
    const key = `${followed} ${metrics.version}`;
    if (key === this.#drawn || performance.now() - this.#drawnAt < STEPS_MS) return;
    this.#drawn = key;
    this.#drawSteps();
  }

  destroy(): void {}

  #drawCluster({ workers, departed, version }: StatusResponse): void {
    const { t } = this.#page;
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
    this.#workers.update(workers);
    if (departed.length !== this.#departed.length || departed[0]?.leftAt !== this.#departed[0]?.leftAt)
      this.#drawGone(departed);
  }

  #drawGone(departed: StatusResponse['departed']): void {
    const { t, language } = this.#page;
    this.#departed = departed;
    const rows = departed.map((gone) =>
      h(
        'tr',
        { class: gone.drained ? '' : 'failed' },
        h('td', {}, new Date(gone.leftAt).toLocaleTimeString(language)),
        h('td', {}, gone.id),
        h('td', {}, gone.why && t.said(gone.why)),
        h('td', { class: 'number' }, grouped(gone.tasksDone)),
      ),
    );
    const titles = [t.when, t.worker, t.why, t.tasks].map((title) =>
      h('th', { scope: 'col', class: title === t.tasks && 'number' }, title),
    );
    const table = h('table', {}, h('thead', {}, h('tr', {}, ...titles)), h('tbody', {}, ...rows));
    fill(
      this.#gone,
      h('h3', {}, t.gone),
      rows.length > 0
        ? h('div', { class: 'scroll', tabindex: 0, 'data-key': 'gone' }, table)
        : h('p', { class: 'faint' }, t.noneGone),
    );
  }

  #choose(step: number | undefined): void {
    this.#step = step;
    this.#drawSteps();
  }

  #drawSteps(): void {
    const { t } = this.#page;
    const { metrics, followed } = this.#known!;
    const points = metrics.points.filter(({ shards }) => shards.length > 0);
    const last = points.at(-1);
    this.#waterfall.hidden = !last;
    this.#phases.hidden = !last;
    this.#noSteps.hidden = last !== undefined;
    this.#timeline.element.hidden = !last;
    this.#timelineTitle.textContent = last ? `${t.timeline}, ${t.timelineOf(followed)}` : t.timeline;
    if (!last) return;
    this.#drawnAt = performance.now();
    const recent = points.slice(-SHARD_POINTS);
    const at = this.#step === undefined ? -1 : recent.findIndex(({ step }) => step === this.#step);
    const index = at < 0 ? recent.length - 1 : at;
    const shown = recent[index]!;
    this.#timeline.show(recent, shown.step);
    const button = (label: string, to: number | undefined, able: boolean) =>
      h(
        'button',
        { type: 'button', 'data-key': label, disabled: !able, click: () => this.#choose(to) },
        label,
      );
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
      waterfall(shown, this.#page, this.#waterfall.clientWidth - 2 * PADDING),
    );
    fill(this.#phases, h('h3', {}, t.phases), phaseTable(recent, this.#page));
  }
}
