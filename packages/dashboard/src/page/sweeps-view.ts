/** The list of sweeps. */
import type { Sweep } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { commandLine } from './command.ts';
import { fill, h } from './dom.ts';
import { UNKNOWN } from './format.ts';
import { sweepAddress } from './route.ts';
import { metricTitle, sweepStates, sweepValue, sweepWords, trialsText, waitsText } from './sweep-state.ts';
import { DataTable, type TableColumn } from './tables/data-table.ts';
import { columnOf, nextOrder, type Order, selectedRows, TableData } from './tables/table-data.ts';
import { Titles } from './tables/titles.ts';
import type { Known, Page, View } from './view.ts';

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
    const values = (pick: (sweep: Sweep) => unknown) => sweeps.map((sweep) => pick(sweep) ?? null);
    const data = new TableData(
      sweeps.map(({ id }) => id),
      [
        columnOf(
          'sweep',
          values(({ id }) => id),
        ),
        columnOf(
          'state',
          values(({ state }) => sweepStates[state]),
        ),
        columnOf(
          'trials',
          values(({ trials }) => trials),
        ),
        columnOf(
          'running',
          values(({ running }) => running),
        ),
        columnOf(
          'metric',
          values(({ metric }) => metric),
        ),
        columnOf(
          'best',
          values(({ best }) => best?.value),
        ),
        columnOf(
          'submittedAt',
          values(({ submittedAt }) => submittedAt),
        ),
      ],
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
    const columns = this.#columns(sweeps);
    this.#table.show({ columns, rows, order: this.#order, chosen: new Set(), id: (row) => sweeps[row]!.id });
  }

  #columns(sweeps: readonly Sweep[]): readonly TableColumn[] {
    const { t, language } = this.#page;
    const words = sweepWords(this.#page);
    const titles = new Titles(this.#page);
    const column = (
      key: string,
      title: string,
      text: (sweep: Sweep) => string,
      rest: Partial<TableColumn> = {},
    ): TableColumn => ({ key, title, isNumber: false, text: (row) => text(sweeps[row]!), ...rest });
    const time = (ms: number) =>
      ms > 0 ? new Date(ms).toLocaleString(language, { dateStyle: 'short', timeStyle: 'short' }) : UNKNOWN;
    return [
      column('sweep', words.sweep, ({ id }) => id, { href: (row) => sweepAddress(sweeps[row]!.id) }),
      column('state', titles.of('state'), ({ state }) => titles.state(sweepStates[state] ?? ''), {
        style: (row) => sweepStates[sweeps[row]!.state] ?? '',
      }),
      column('trials', words.trials, trialsText, { isNumber: true }),
      column('running', words.running, ({ running }) => String(running), { isNumber: true }),
      column('metric', words.metric, ({ metric }) => metricTitle(this.#page, metric)),
      column('best', words.best, ({ metric, best }) => sweepValue(metric, best?.value), { isNumber: true }),
      column('submittedAt', t.submitted, ({ submittedAt }) => time(submittedAt)),
      column('why', t.waiting, (sweep) => waitsText(t, sweep) ?? ''),
    ];
  }
}
