/** What the columns of a table look like to `kasane init`, and which of them it leaves out. */

import {
  isMissing,
  looksLikeNumber,
  readNumber,
  type TableForm,
} from '@kasane/data/internal/tables/table-form';
import { withoutUnit } from '@kasane/data/internal/tables/units';
import { ColumnFit } from '@kasane/data/table';
import { counted } from '@kasane/tensor/internal/counted';
import type { Look } from './rows.ts';

/** A whole number with more different values than this is a quantity; a column of mixed values with fewer is a category. */
export const MOST_CLASSES = 20;
/** Categories that the reader takes. */
const MOST_CATEGORIES = 1000;
/** Different texts among numbers that may all stand for no value. */
const MOST_MARKERS = 2;
/** Words of a cell, on average, from which on it is prose. */
const PROSE_WORDS = 3;
/** Rows of each category that a column of mixed values needs. */
const ROWS_EACH = 5;

/** Words with letters; where words are written without spaces, two characters count as one. */
export function wordsOf(text: string): number {
  const joined = text.match(/[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/gu)?.length ?? 0;
  return text.split(/\s+/).filter((word) => /\p{L}/u.test(word)).length + Math.floor(joined / 2);
}

/** One column, as its values look. */
export class Column {
  readonly name: string;
  readonly rows: number;
  /** Those that are not missing. */
  readonly values: readonly string[];
  readonly different: ReadonlySet<string>;
  readonly fit: ColumnFit;
  readonly #form: TableForm;

  constructor({ rows, form }: Look, name: string, at: number) {
    this.name = name;
    this.rows = rows.length;
    this.values = rows.map((fields) => fields[at]!).filter((text) => !isMissing(text, form));
    this.different = new Set(this.values);
    this.fit = new ColumnFit(name, undefined, form);
    this.#form = form;
    for (const fields of rows) this.fit.see(fields[at]!, () => name);
  }

  get isNumber(): boolean {
    return !this.fit.isDoubtful && this.fit.kind === 'number';
  }

  /** Words of a value, on average. */
  get words(): number {
    return this.values.reduce((sum, text) => sum + wordsOf(text), 0) / Math.max(1, this.values.length);
  }

  /** Whether most rows have a text of several words of their own. */
  get isProse(): boolean {
    if (this.fit.isDoubtful || this.fit.isDates || this.isNumber) return false;
    return this.words >= PROSE_WORDS && 2 * this.different.size > this.values.length;
  }

  /** Texts among numbers, other than numbers in another notation; undefined where it is no such mixture. */
  get strangers(): ReadonlySet<string> | undefined {
    if (!this.fit.isDoubtful) return undefined;
    const strange = this.values.filter((text) => readNumber(text, this.#form) === undefined);
    const texts = strange.filter((text) => !looksLikeNumber(text));
    return 2 * texts.length > strange.length ? new Set(texts) : undefined;
  }
}

export const columnsOf = (look: Look): Column[] => look.columns.map((name, at) => new Column(look, name, at));

/** What becomes of a column that says nothing as it is, and why. */
export interface Decision {
  readonly name: string;
  readonly kind: 'ignore' | 'category';
  readonly why: string;
}

export const NUMBERING = 'seems to number the rows';

/** Whether it may be what is predicted: not what only names or numbers rows. */
export function isLikelyTarget(column: Column): boolean {
  const decision = decisionOf(column);
  return column.name !== '' && (decision?.kind !== 'ignore' || decision.why === NUMBERING);
}

/** Columns that would only harm: row numbers, dates, a text of its own in each row, or hardly a value. @param all but the target */
export function decide(all: readonly Column[]): readonly Decision[] {
  const found = all.flatMap((column) => decisionOf(column) ?? []);
  const dropped = found.filter(({ kind }) => kind === 'ignore');
  // What only seems to number the rows may be all that there is to learn from.
  return dropped.length < all.length ? found : found.filter(({ why }) => why !== NUMBERING);
}

/** What becomes of one column by itself; undefined where it stays as the reader takes it. */
export function decisionOf(column: Column): Decision | undefined {
  const { name, fit, values, different, rows, strangers } = column;
  const unit = withoutUnit(strangers ?? different);
  const unlessBare =
    unit === undefined ? '' : `, such as '${[...(strangers ?? different)][0]!}' (${unit} to use them)`;
  const ignore = (why: string): Decision => ({ name, kind: 'ignore', why });
  if (2 * values.length < rows)
    return ignore(`has a value in only ${values.length} of ${counted(rows, 'row')}`);
  if (fit.isRowNumber || fit.isRisingId) return ignore(NUMBERING);
  if (fit.isDates) return ignore('contains dates, which are not categories');
  if (strangers) {
    const what = `contains numbers and texts${unlessBare || `, such as '${[...strangers][0]!.slice(0, 40)}'`}`;
    if (different.size <= MOST_CLASSES && ROWS_EACH * different.size <= values.length)
      return { name, kind: 'category', why: what };
    // One or two may be markers of missing values: the reader asks.
    return strangers.size > MOST_MARKERS
      ? ignore(`${what}, and ${counted(different.size, 'different value')}`)
      : undefined;
  }
  if (fit.isDoubtful || column.isNumber) return undefined;
  if (fit.isIdentifier) return ignore(`has a different value in nearly every row${unlessBare}`);
  if (column.isProse) return ignore('has a different text in most rows');
  return different.size > MOST_CATEGORIES
    ? ignore(`has ${counted(different.size, 'different value')}${unlessBare}`)
    : undefined;
}
