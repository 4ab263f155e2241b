/**
 * Many runs side by side, the trials of a sweep or any jobs: a table to sort, filter and choose from, the curves of the chosen runs,
 * parallel coordinates, a scatter plot of any two columns, the importance of each key, and how two runs differ.
 */
import { type Condition, parseCondition } from '@kasane/protocol/internal/job/run-conditions';
import { fill, h, offerOptions } from '../dom.ts';
import { grouped } from '../format.ts';
import { ownWords, type Page } from '../view.ts';
import { DataTable } from './data-table.ts';
import { Differences } from './differences.ts';
import { ImportanceCard } from './importance-card.ts';
import { Parallel } from './parallel.ts';
import { RunCurves } from './run-curves.ts';
import { ScatterCard } from './scatter.ts';
import { nextOrder, type Order, selectedRows, type TableData } from './table-data.ts';
import { Titles } from './titles.ts';

/** What is compared now. */
export interface Compared {
  readonly data: TableData;
  /** Columns that are shown until a user chooses. */
  readonly shown: readonly string[];
  /** Keys that vary. */
  readonly settings: readonly string[];
  /** Results to choose the compared one from; by default the first. */
  readonly targets: readonly string[];
  readonly isHigherBetter: (target: string) => boolean;
  /** Of the scatter plot, what is first on its horizontal axis; by default a key that varies. */
  readonly scattered?: string;
  /** '' for a row without a job. */
  readonly jobOf: (row: number) => string;
  /** Something may still change. */
  readonly isLive: boolean;
}

/** Charts of all rows are drawn again after this many milliseconds at the earliest. */
const CHARTS_MS = 1000;
/** Axes of parallel coordinates. */
const AXES = 10;
/** Curves that are shown where no runs are chosen. */
const CURVES = 10;

const english = {
  filter: 'Filter',
  filterHint: 'Filter: training.batch>=64, state=succeeded',
  metric: 'Metric',
  columns: 'Columns',
  rows: (shown: string, all: string) => `${shown} of ${all}`,
  none: 'No matching rows.',
  table: 'Runs',
  choose: (id: string) => `Choose ${id}`,
  clear: 'Clear selection',
  parallel: 'Parallel coordinates',
  faults: {
    form: (text: string) =>
      `'${text}' is not a condition. Write a column, one of = != < <= > >= ~ and a value, such as training.batch>=64.`,
    value: (text: string) => `'${text}' lacks a value.`,
    number: (text: string) => `'${text}' needs a number.`,
    column: (text: string) => `There is no column '${text}'.`,
  },
};
const japanese: typeof english = {
  filter: '絞り込み',
  filterHint: '絞り込み: training.batch>=64, state=succeeded',
  metric: '評価指標',
  columns: '列',
  rows: (shown, all) => `${all} 件中 ${shown} 件`,
  none: '一致する行はありません。',
  table: '比較',
  choose: (id) => `${id} を選ぶ`,
  clear: '選択を解除',
  parallel: '平行座標',
  faults: {
    form: (text) =>
      `「${text}」は条件ではありません。training.batch>=64 のように、列、= != < <= > >= ~ のいずれか、値の順に書いてください。`,
    value: (text) => `「${text}」に値がありません。`,
    number: (text) => `「${text}」には数値が必要です。`,
    column: (text) => `列「${text}」はありません。`,
  },
};

export class Comparison {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #words: typeof english;
  readonly #titles: Titles;
  readonly #table: DataTable;
  readonly #filter: HTMLInputElement;
  readonly #state: HTMLSelectElement;
  readonly #target: HTMLSelectElement;
  readonly #columns = h('div', { class: 'choices' });
  readonly #count = h('span', { class: 'faint', role: 'status' });
  readonly #clear: HTMLButtonElement;
  readonly #problem = h('p', { class: 'failed', role: 'alert', hidden: true });
  readonly #none = h('p', { class: 'faint', hidden: true });
  readonly #curves: RunCurves;
  readonly #parallel: Parallel;
  readonly #scatter: ScatterCard;
  readonly #importance: ImportanceCard;
  readonly #differences: Differences;
  readonly #chosen = new Set<string>();
  /** Columns that a user has added or removed. */
  readonly #asked = new Map<string, boolean>();
  #order: Order | undefined;
  #compared: Compared | undefined;
  #offered = '';
  #drawnAt = Number.NEGATIVE_INFINITY;
  #later: ReturnType<typeof setTimeout> | undefined;

  /** @param order of the rows at first @param aliases see `Titles` */
  constructor(page: Page, order?: Order, aliases: Readonly<Record<string, string>> = {}) {
    this.#page = page;
    this.#order = order;
    this.#words = ownWords(page, { en: english, ja: japanese });
    const words = this.#words;
    this.#titles = new Titles(page, aliases);
    const again = () => this.#drawAll();
    this.#table = new DataTable({
      label: words.table,
      choice: words.choose,
      onOrder: (key) => this.#sort(key),
      onChoose: (id, isChosen) => this.#choose(id, isChosen),
    });
    this.#filter = h('input', {
      ...{ type: 'search', placeholder: words.filterHint, 'aria-label': words.filter, spellcheck: 'false' },
      input: again,
    });
    this.#state = h('select', { 'aria-label': page.t.allStates, change: again });
    this.#target = h('select', { 'aria-label': words.metric, change: again });
    this.#clear = h('button', { type: 'button', hidden: true, click: () => this.#forget() }, words.clear);
    this.#curves = new RunCurves(page);
    this.#parallel = new Parallel(words.parallel);
    this.#scatter = new ScatterCard(page, this.#titles, (id) => this.#choose(id, !this.#chosen.has(id)));
    this.#importance = new ImportanceCard(page, this.#titles);
    this.#differences = new Differences(page, this.#titles);
    this.element = this.#layout();
  }

  update(compared: Compared): void {
    this.#compared = compared;
    this.#offer(compared);
    const rows = this.#drawTable();
    // Charts of all rows take longer to draw than the table, and longer to read.
    const wait = this.#drawnAt + CHARTS_MS - performance.now();
    if (wait <= 0) this.#drawCharts(rows);
    else this.#later ??= setTimeout(() => this.#drawCharts(this.#rows()), wait);
  }

  destroy(): void {
    clearTimeout(this.#later);
    for (const part of [this.#table, this.#curves, this.#parallel, this.#scatter]) part.destroy();
  }

  #layout(): HTMLElement {
    const words = this.#words;
    const tools = h(
      'div',
      { class: 'tools' },
      this.#filter,
      this.#state,
      h('label', {}, words.metric, this.#target),
      this.#clear,
      this.#count,
      h('details', { class: 'compare' }, h('summary', {}, words.columns), this.#columns),
    );
    const parallel = h('section', { class: 'card' }, h('h3', {}, words.parallel), this.#parallel.element);
    return h(
      'div',
      { class: 'stacked' },
      h('section', { class: 'card' }, tools, this.#problem, this.#none, this.#table.element),
      this.#differences.element,
      parallel,
      h('div', { class: 'charts' }, this.#curves.element, this.#scatter.element, this.#importance.element),
    );
  }

  #offer(compared: Compared): void {
    const { data, targets } = compared;
    const { t } = this.#page;
    const states = [...new Set(data.columns.get('state')?.values ?? [])].map(String).sort();
    const offered = JSON.stringify([[...data.columns.keys()], targets, states]);
    if (offered === this.#offered) return;
    this.#offered = offered;
    offerOptions(this.#state, [
      ['', t.allStates],
      ...states.map((name) => [name, this.#titles.state(name)] as const),
    ]);
    offerOptions(
      this.#target,
      targets.map((key) => [key, this.#titles.of(key)]),
    );
    this.#scatter.offer(compared);
    this.#offerColumns(data);
  }

  #offerColumns(data: TableData): void {
    const isShown = new Set(this.#shownKeys());
    const box = (key: string) => {
      const input = h('input', {
        ...{ type: 'checkbox', checked: isShown.has(key), 'data-key': `column ${key}` },
        change: () => {
          this.#asked.set(key, input.checked);
          this.#drawTable();
        },
      });
      return h('label', {}, input, this.#titles.of(key));
    };
    fill(this.#columns, ...[...data.columns.keys()].map(box));
  }

  /** The usual columns in their order, then added ones as they were added. */
  #shownKeys(): readonly string[] {
    const { data, shown } = this.#compared!;
    const usual = shown.filter((key) => data.columns.has(key));
    const added = [...this.#asked].flatMap(([key, isShown]) =>
      isShown && data.columns.has(key) && !usual.includes(key) ? [key] : [],
    );
    return [...usual.filter((key) => this.#asked.get(key) !== false), ...added];
  }

  #rows(): readonly number[] {
    const { data } = this.#compared!;
    const words = this.#words;
    this.#problem.hidden = true;
    try {
      const conditions = conditionsOf(this.#filter.value, data, words.faults);
      const state = this.#state.value;
      if (state) conditions.push({ column: 'state', meets: (value) => value === state });
      return selectedRows(data, conditions, this.#order);
    } catch (error) {
      this.#problem.hidden = false;
      this.#problem.textContent = (error as Error).message;
      return selectedRows(data, [], this.#order);
    }
  }

  /** @returns its rows */
  #drawTable(): readonly number[] {
    const { data, jobOf } = this.#compared!;
    const rows = this.#rows();
    this.#none.hidden = rows.length > 0;
    this.#none.textContent = this.#words.none;
    this.#count.textContent = this.#words.rows(grouped(rows.length), grouped(data.ids.length));
    this.#clear.hidden = this.#chosen.size === 0;
    this.#table.show({
      columns: this.#shownKeys().map((key) => this.#titles.column(data.columns.get(key)!, data, jobOf)),
      ...{ rows, order: this.#order, chosen: this.#chosen },
      id: (row) => data.ids[row]!,
    });
    return rows;
  }

  #drawCharts(rows: readonly number[]): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#drawnAt = performance.now();
    const { data, settings, targets, isHigherBetter, jobOf, isLive } = this.#compared!;
    const target = this.#target.value || (targets[0] ?? '');
    const isChosen = (row: number) => this.#chosen.has(data.ids[row]!);
    const titled = (key: string) => {
      const column = data.columns.get(key)!;
      return {
        ...column,
        title: this.#titles.of(key),
        text: (value: unknown) => this.#titles.valueText(key, value, data),
      };
    };
    const axes = [...settings.filter((key) => data.columns.has(key)).slice(0, AXES - 1), target];
    const rank = rankOf(data, rows, target, isHigherBetter(target));
    this.#parallel.show({
      columns: axes.filter((key) => data.columns.has(key)).map(titled),
      ...{ rows, rank, isChosen },
    });
    this.#scatter.show({ data, rows, isChosen, targets, isHigherBetter });
    this.#importance.show(data, rows, settings, target);
    const chosen = data.rows.filter(isChosen);
    const first = chosen.length > 0 ? chosen : bestFirst(rows, rank).slice(0, CURVES);
    const lines = first.flatMap((row) => (jobOf(row) ? [{ id: jobOf(row), name: data.ids[row]! }] : []));
    this.#curves.show(lines, this.#titles.meant(target), this.#titles.of(target), isLive, (value) =>
      this.#titles.valueText(target, value, this.#compared!.data),
    );
    this.#differences.show(
      chosen.length === 2 ? chosen.flatMap((row) => jobOf(row) || []) : [],
      data,
      chosen,
    );
  }

  #drawAll(): void {
    if (!this.#compared) return;
    this.#drawCharts(this.#drawTable());
  }

  #sort(key: string): void {
    this.#order = nextOrder(this.#order, key);
    this.#drawTable();
  }

  #choose(id: string, isChosen: boolean): void {
    if (isChosen) this.#chosen.add(id);
    else this.#chosen.delete(id);
    this.#drawAll();
  }

  #forget(): void {
    this.#chosen.clear();
    this.#filter.focus();
    this.#drawAll();
  }
}

/** Conditions separated by commas. A word alone is part of a job's name. */
function conditionsOf(text: string, data: TableData, faults: (typeof english)['faults']): Condition[] {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return parts.map((part) => {
    const word = part.toLowerCase();
    if (!/[=<>!~]/.test(part))
      return { column: 'job', meets: (value) => String(value).toLowerCase().includes(word) };
    const condition = parseCondition(part, (fault) => new Error(faults[fault](part)));
    if (!data.columns.has(condition.column)) throw new Error(faults.column(condition.column));
    return condition;
  });
}

/** From 0, the best, to 1; undefined where there is no value. */
function rankOf(
  data: TableData,
  rows: readonly number[],
  target: string,
  isHigherBetter: boolean,
): (row: number) => number | undefined {
  const sign = isHigherBetter ? -1 : 1;
  const known = rows.filter((row) => data.number(target, row) !== undefined);
  known.sort((a, b) => sign * (data.number(target, a)! - data.number(target, b)!) || a - b);
  const ranks = new Map(known.map((row, index) => [row, index / Math.max(1, known.length - 1)]));
  return (row) => ranks.get(row);
}

const bestFirst = (rows: readonly number[], rank: (row: number) => number | undefined): readonly number[] =>
  [...rows].sort((a, b) => (rank(a) ?? 2) - (rank(b) ?? 2));
