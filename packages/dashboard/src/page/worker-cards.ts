/** A card for each worker, found by name. There may be hundreds, and most change twice a second: cards are made once, then told. */

import type { WorkerStatus } from '@kasane/protocol/gen/kasane/v1/cluster';
import { commandLine } from './command.ts';
import { fill, h } from './dom.ts';
import { bytes, grouped, milliseconds } from './format.ts';
import type { Page } from './view.ts';

/** A worker that is silent for this long, in milliseconds, is shown as such: heartbeats come every second. */
const SILENT_MS = 2500;
/** Slots that are drawn of a worker. */
const SLOTS = 64;

export class WorkerCards {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #filter: HTMLInputElement;
  readonly #list: HTMLElement;
  readonly #clock: Intl.DateTimeFormat;
  #workers: readonly WorkerStatus[] = [];
  #cards = new Map<string, WorkerCard>();
  #shown: string | undefined;

  constructor(page: Page) {
    this.#page = page;
    const { t, language } = page;
    this.#clock = new Intl.DateTimeFormat(language, { timeStyle: 'medium' });
    this.#filter = h('input', {
      ...{ type: 'search', placeholder: t.filter, 'aria-label': t.filter },
      input: () => this.update(this.#workers),
    });
    this.#list = h('div', { class: 'workers', role: 'group', 'aria-label': t.worker, tabindex: 0 });
    this.element = h('div', {}, h('div', { class: 'tools' }, this.#filter), this.#list);
  }

  update(workers: readonly WorkerStatus[]): void {
    this.#workers = workers;
    const name = this.#filter.value.toLowerCase();
    const cards = new Map<string, WorkerCard>();
    for (const worker of workers) {
      if (!worker.id.toLowerCase().includes(name)) continue;
      // One that comes back under its name has connected at another time, and may have other slots.
      const key = `${worker.id} ${worker.connectedAt}`;
      const card = this.#cards.get(key) ?? new WorkerCard(worker, this.#page, this.#clock);
      card.update(worker);
      cards.set(key, card);
    }
    this.#cards = cards;
    const shown = [...cards.keys()].join();
    if (shown === this.#shown) return;
    this.#shown = shown;
    const { t } = this.#page;
    const none =
      workers.length > 0
        ? [h('p', { class: 'faint' }, t.noWorkerMatches)]
        : [
            h('p', { class: 'faint' }, t.noWorkers),
            commandLine(this.#page, 'kasane worker'),
            h('p', { class: 'faint' }, t.workersElsewhere),
            commandLine(this.#page, 'kasane worker --coordinator HOST:7420 --token TOKEN'),
          ];
    fill(
      this.#list,
      ...[...cards.values()].map(({ element }) => element),
      cards.size === 0 && h('div', {}, ...none),
    );
  }
}

class WorkerCard {
  readonly element: HTMLElement;
  readonly #t: Page['t'];
  readonly #state = h('span');
  readonly #slots: readonly HTMLElement[];
  readonly #tasks = new Text();
  readonly #failed = h('span', { class: 'failed' });
  readonly #traffic = new Text();
  readonly #reasons = h('div', { class: 'faint' });
  #busy = 0;

  constructor(
    { id, host, backend, slots, connectedAt }: WorkerStatus,
    { t }: Page,
    clock: Intl.DateTimeFormat,
  ) {
    this.#t = t;
    this.#slots = Array.from({ length: Math.min(slots, SLOTS) }, () => h('i'));
    this.element = h(
      'article',
      { class: 'card worker', 'data-worker': id },
      h('div', { class: 'row' }, h('span', { class: 'name' }, id), this.#state),
      h('div', { class: 'slots', 'aria-hidden': 'true' }, ...this.#slots),
      h('div', { class: 'faint' }, `${host} · ${backend} · ${t.slots(slots)}`),
      h('div', {}, this.#tasks, this.#failed),
      this.#reasons,
      h('div', { class: 'faint' }, this.#traffic, ` · ${t.since} ${clock.format(connectedAt)}`),
    );
  }

  update({ draining, silentMs, busy, tasksDone, tasksHeld, tasksFailed, ...worker }: WorkerStatus): void {
    const t = this.#t;
    const silent = silentMs > SILENT_MS;
    const [kind, state] = draining
      ? ['failed', t.draining]
      : silent
        ? ['failed', `${t.silent} ${milliseconds(silentMs)}`]
        : worker.resting.length > 0
          ? ['queued', t.resting]
          : busy > 0
            ? ['running', t.busy]
            : ['queued', t.idle];
    say(this.#state, state);
    if (this.#state.className !== `state ${kind}`) this.#state.className = `state ${kind}`;
    if (busy !== this.#busy) {
      this.#busy = busy;
      for (const [slot, element] of this.#slots.entries()) element.className = slot < busy ? 'on' : '';
    }
    say(this.#tasks, `${grouped(tasksDone)} ${t.tasks}, ${tasksHeld} ${t.held}`);
    say(this.#failed, tasksFailed > 0 ? ` · ${tasksFailed} ${t.failedTasks}` : '');
    const reasons = [...worker.resting, ...worker.routes];
    say(this.#reasons, reasons.map((reason) => t.said(reason)).join(' · '));
    say(this.#traffic, `↓ ${bytes(worker.bytesSent)}  ↑ ${bytes(worker.bytesReceived)}`);
  }
}

/** Touches a node only when its text is another one: what is written is laid out again. */
function say(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}
