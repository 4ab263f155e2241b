/**
 * A table of any number of rows: only those in sight are elements, and empty space stands in for the others. Column heads sort it, and
 * check boxes choose rows.
 */
import { Frame, fill, h } from '../dom.ts';

/** Pixels of a row, as the style sheet has it. */
const ROW = 30;
/** Rows above and below those in sight. */
const BEYOND = 8;
/** How many rows are measured for the width of a column, and the greatest width, in letters. */
const MEASURED = 300;
const WIDEST = 26;

export interface TableColumn {
  readonly key: string;
  readonly title: string;
  readonly isNumber: boolean;
  readonly text: (row: number) => string;
  /** Where a cell links to. */
  readonly href?: (row: number) => string | undefined;
  /** Class of a cell's text. */
  readonly style?: (row: number) => string;
}

export interface TableShown {
  readonly columns: readonly TableColumn[];
  readonly rows: readonly number[];
  readonly id: (row: number) => string;
  /** The column by which it is sorted. */
  readonly order: { readonly key: string; readonly sign: 1 | -1 } | undefined;
  readonly chosen: ReadonlySet<string>;
}

export interface TableOptions {
  readonly label: string;
  /** The label of a row's check box. Absent: rows cannot be chosen. */
  readonly choice?: (id: string) => string;
  readonly onOrder: (key: string) => void;
  readonly onChoose?: (id: string, isChosen: boolean) => void;
}

export class DataTable {
  readonly element: HTMLElement;
  readonly #options: TableOptions;
  readonly #head = h('thead');
  readonly #body = h('tbody');
  readonly #table: HTMLElement;
  readonly #frame = new Frame(() => this.#drawBody());
  readonly #resized = new ResizeObserver(() => this.#frame.ask());
  #shown: TableShown | undefined;
  #headed = '';

  constructor(options: TableOptions) {
    this.#options = options;
    this.#table = h('table', { 'aria-label': options.label }, this.#head, this.#body);
    this.element = h(
      'div',
      {
        ...{ class: 'scroll rows', tabindex: 0, role: 'region', 'aria-label': options.label },
        scroll: () => this.#frame.ask(),
      },
      this.#table,
    );
    this.#resized.observe(this.element);
  }

  show(shown: TableShown): void {
    this.#shown = shown;
    this.#table.setAttribute('aria-rowcount', String(shown.rows.length + 1));
    this.#drawHead(shown);
    this.#drawBody();
  }

  destroy(): void {
    this.#frame.stop();
    this.#resized.disconnect();
  }

  #drawHead({ columns, order, rows }: TableShown): void {
    const widths = columns.map(({ title, text }) => {
      const letters = rows.slice(0, MEASURED).map((row) => text(row).length);
      return Math.min(
        WIDEST,
        letters.reduce((a, b) => Math.max(a, b), title.length + 2),
      );
    });
    const headed = JSON.stringify([columns.map(({ key, title }) => [key, title]), order, widths]);
    if (headed === this.#headed) return;
    this.#headed = headed;
    const cells = columns.map(({ key, title, isNumber }, index) => {
      const sign = order?.key === key ? order.sign : 0;
      return h(
        'th',
        {
          ...{ scope: 'col', class: isNumber && 'number', style: `min-width: ${widths[index]}ch` },
          'aria-sort': sign === 0 ? undefined : sign > 0 ? 'ascending' : 'descending',
        },
        h(
          'button',
          {
            type: 'button',
            class: 'sort',
            'data-key': `sort ${key}`,
            title,
            click: () => this.#options.onOrder(key),
          },
          `${title}${sign === 0 ? '' : sign > 0 ? ' ↑' : ' ↓'}`,
        ),
      );
    });
    const first = this.#options.choice && h('td', { class: 'choice' });
    fill(this.#head, h('tr', {}, first, ...cells));
  }

  #drawBody(): void {
    const shown = this.#shown;
    if (!shown) return;
    const { rows, columns } = shown;
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.min(rows.length, Math.floor(scrollTop / ROW)) - BEYOND);
    const last = Math.min(rows.length, Math.ceil((scrollTop + (clientHeight || 400)) / ROW) + BEYOND);
    const span = columns.length + (this.#options.choice ? 1 : 0);
    const room = (count: number) =>
      count > 0 &&
      h(
        'tr',
        { 'aria-hidden': 'true' },
        h('td', { colspan: span, style: `height: ${count * ROW}px`, class: 'room' }),
      );
    const held = this.#body.contains(document.activeElement);
    fill(
      this.#body,
      room(first),
      ...rows.slice(first, last).map((row, index) => this.#row(shown, row, first + index)),
      room(rows.length - last),
    );
    // A row that has been scrolled away takes the focus with it.
    if (held && !this.#body.contains(document.activeElement)) this.element.focus({ preventScroll: true });
  }

  #row({ columns, id, chosen }: TableShown, row: number, index: number): HTMLElement {
    const { choice, onChoose } = this.#options;
    const name = id(row);
    const box =
      choice &&
      h('input', {
        ...{ type: 'checkbox', checked: chosen.has(name), 'aria-label': choice(name) },
        ...{ 'data-key': `choose ${name}`, change: () => onChoose?.(name, box!.checked) },
      });
    const cells = columns.map(({ key, text, isNumber, href, style }) => {
      const [written, to, kind] = [text(row), href?.(row), style?.(row)];
      const inner = to
        ? h('a', { href: to, 'data-key': `${key} ${name}` }, written)
        : kind
          ? h('span', { class: kind }, written)
          : written;
      return h('td', { class: isNumber && 'number', title: written.length > WIDEST - 2 && written }, inner);
    });
    return h(
      'tr',
      { 'aria-rowindex': index + 2, 'data-row': name, class: chosen.has(name) && 'chosen' },
      choice && h('td', { class: 'choice' }, box!),
      ...cells,
    );
  }
}
