/** Jobs side by side, as `kasane runs` shows them in a terminal. */
import { fill, h } from './dom.ts';
import { Comparison } from './tables/comparison.ts';
import { isHigherBetter, resultKeys, Sources } from './tables/sources.ts';
import { columnOf, columnsAt, TableData } from './tables/table-data.ts';
import type { Known, Page, View } from './view.ts';

/** Keys of job files in a table for which no columns were chosen. */
const MOST_KEYS = 8;
const OPEN = new Set(['queued', 'running', 'paused']);

export class RunsView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #note: HTMLElement;
  readonly #sources: Sources;
  readonly #comparison: Comparison;
  #gone: ReadonlySet<string> = new Set();

  constructor(page: Page) {
    this.#page = page;
    this.#sources = new Sources(page, '', () => this.#draw());
    this.#comparison = new Comparison(page);
    this.#comparison.element.hidden = true;
    this.#note = h('p', { class: 'faint', role: 'status' }, page.t.loading);
    this.element = h(
      'div',
      { class: 'stacked' },
      h('h2', { class: 'hidden' }, page.t.runs),
      this.#note,
      this.#comparison.element,
    );
  }

  update(known: Known): void {
    // Columns are asked for only once changes are being reported, so that none is missed in between.
    if (!known.cluster) return;
    const isGone = known.gone !== this.#gone;
    this.#gone = known.gone;
    this.#sources.update(known);
    if (isGone && this.#sources.isThere) this.#draw();
  }

  destroy(): void {
    this.#sources.close();
    this.#comparison.destroy();
  }

  #draw(): void {
    const { jobs, differing } = this.#sources;
    const ids = [...jobs.keys()].filter((job) => !this.#gone.has(job));
    fill(this.#note, ids.length === 0 && this.#page.t.noJobs);
    this.#note.hidden = ids.length > 0;
    this.#comparison.element.hidden = ids.length === 0;
    const { columns: all } = this.#sources;
    const places = ids.map((job) => jobs.get(job));
    const columns = ids.length === jobs.size ? all : columnsAt(all, places);
    const data = new TableData(ids, [columnOf('job', ids), ...columns]);
    this.#comparison.update({
      data,
      shown: [
        'job',
        'state',
        ...differing.slice(0, MOST_KEYS),
        'bestMetric',
        'testMetric',
        'epoch',
        'seconds',
      ],
      ...{ settings: differing, targets: resultKeys(columns) },
      isHigherBetter: (target) => isHigherBetter(target, columns),
      jobOf: (row) => ids[row] ?? '',
      isLive: (data.columns.get('state')?.values ?? []).some((state) => OPEN.has(String(state))),
    });
  }
}
