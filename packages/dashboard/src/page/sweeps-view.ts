/** The list of sweeps. */
import type { Sweep } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { commandLine } from './command.ts';
import { fill, h } from './dom.ts';
import { grouped, UNKNOWN } from './format.ts';
import { sweepAddress } from './route.ts';
import { metricTitle, sweepStates, sweepValue, sweepWords, trialsText, waitsText } from './sweep-state.ts';
import { DataTable, type TableColumn } from './tables/data-table.ts';
import { columnOf, nextOrder, type Order, selectedRows, TableData } from './tables/table-data.ts';
import { Titles } from './tables/titles.ts';
import type { Known, Page, View } from './view.ts';

interface SweepColumn extends TableColumn {
  /** What sweeps are sorted by. */
  readonly value: (sweep: Sweep) => unknown;
}
/** Of a column whose text is not its value, that text. */
type ColumnMore = Partial<Pick<TableColumn, 'isNumber' | 'href' | 'style'>> & {
  readonly text?: (sweep: Sweep) => string;
};

export class SweepsView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #filter: HTMLInputElement;
  readonly #table: DataTable;
  readonly #none = h('div');
  #sweeps: readonly Sweep[] | undefined;
  #order: Order | undefined;

  constructor(page: Page) {
    this.#page = page;
    const { t } = page;
    this.#filter = h('input', {
      ...{ type: 'search', placeholder: t.filter, 'aria-label': t.filter },
      input: () => this.#draw(),
    });
    this.#table = new DataTable({ label: t.sweeps, onOrder: (key) => this.#sort(key) });
    this.#table.element.hidden = true;
    this.element = h(
      'div',
      { class: 'stacked' },
      h('h2', { class: 'hidden' }, t.sweeps),
      h('div', { class: 'tools' }, this.#filter),
      h('section', { class: 'card' }, this.#none, this.#table.element),
    );
  }

  update({ sweeps }: Known): void {
    if (sweeps === this.#sweeps) return;
    this.#sweeps = sweeps;
    this.#draw();
  }

  destroy(): void {
    this.#table.destroy();
  }

  #sort(key: string): void {
    this.#order = nextOrder(this.#order, key);
    this.#draw();
  }

  #draw(): void {
    const sweeps = this.#sweeps;
    if (!sweeps) return;
    const words = sweepWords(this.#page);
    const name = this.#filter.value.toLowerCase();
    const columns = this.#columns(sweeps);
    const data = new TableData(
      sweeps.map(({ id }) => id),
      columns.map(({ key, value }) => columnOf(key, sweeps.map(value))),
    );
    const isFound = (id: unknown) => String(id).toLowerCase().includes(name);
    const rows = selectedRows(data, [{ column: 'sweep', meets: isFound }], this.#order);
    fill(
      this.#none,
      sweeps.length === 0 && h('p', { class: 'faint' }, words.noSweeps),
      sweeps.length === 0 && commandLine(this.#page, 'kasane sweep FILE --coordinator HOST:7420'),
      sweeps.length > 0 && rows.length === 0 && h('p', { class: 'faint' }, this.#page.t.noMatch),
    );
    this.#table.element.hidden = rows.length === 0;
    this.#table.show({ columns, rows, order: this.#order, chosen: new Set(), id: (row) => sweeps[row]!.id });
  }

  #columns(sweeps: readonly Sweep[]): readonly SweepColumn[] {
    const { t, language } = this.#page;
    const words = sweepWords(this.#page);
    const titles = new Titles(this.#page);
    const column = (
      key: string,
      title: string,
      pick: (sweep: Sweep) => string | number | undefined,
      { text = (sweep) => String(pick(sweep) ?? ''), ...rest }: ColumnMore = {},
    ): SweepColumn => ({
      ...{ key, title, isNumber: false, text: (row) => text(sweeps[row]!), ...rest },
      value: (sweep) => pick(sweep) ?? null,
    });
    const time = (ms: number) =>
      ms > 0 ? new Date(ms).toLocaleString(language, { dateStyle: 'short', timeStyle: 'short' }) : UNKNOWN;
    return [
      column('sweep', words.sweep, ({ id }) => id, { href: (row) => sweepAddress(sweeps[row]!.id) }),
      column('state', titles.of('state'), ({ state }) => sweepStates[state], {
        text: ({ state }) => titles.state(sweepStates[state] ?? ''),
        style: (row) => sweepStates[sweeps[row]!.state] ?? '',
      }),
      column('trials', words.trials, ({ trials }) => trials, { text: trialsText, isNumber: true }),
      column('running', words.running, ({ running }) => running, { isNumber: true }),
      column('metric', words.metric, ({ metric }) => metric, {
        text: ({ objectives }) => objectives.map(({ metric }) => metricTitle(this.#page, metric)).join(', '),
      }),
      column('best', words.best, ({ best }) => best?.value, {
        text: ({ metric, best, front }) =>
          front > 0 ? words.front(grouped(front)) : sweepValue(metric, best?.value),
        isNumber: true,
      }),
      column('submittedAt', t.submitted, ({ submittedAt }) => submittedAt, {
        text: ({ submittedAt }) => time(submittedAt),
      }),
      column('why', t.waiting, (sweep) => waitsText(t, sweep)),
    ];
  }
}
