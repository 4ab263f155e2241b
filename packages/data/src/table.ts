/**
 * Columns of a table to numbers: which are numbers and which categories, what they are scaled by, and how a row is encoded.
 * Everything is fitted on training rows only.
 */
import { DataError } from './dataset.ts';

/** One feature: (v - mean) / std. A missing value counts as `fill`, the mean of training. */
export interface NumberEncoding {
  readonly name: string;
  readonly kind: 'number';
  readonly mean: number;
  readonly std: number;
  readonly fill: number;
}

/** How a column becomes features. JSON: it is kept with the weights. */
export type ColumnEncoding =
  | NumberEncoding
  /**
   * category: one feature a category, 1 at the row's; all 0 for a category that training has not seen.
   * index: one feature, the category's number from 1 on, for an embedding; 0 for one that training has not seen.
   */
  | CategoryEncoding<'category'>
  | CategoryEncoding<'index'>;

interface CategoryEncoding<K extends string> {
  readonly name: string;
  readonly kind: K;
  readonly categories: readonly string[];
}

export type ColumnKind = 'number' | 'category' | 'index' | 'ignore';

/** Categories of one column. */
const MOST_CATEGORIES = 1000;

/** Values that say that there is none, besides the empty one; letters of either case. */
const missingWords = new Set(['', 'na', 'n/a', 'nan', 'null', 'none', '?']);
export const isMissing = (text: string): boolean => missingWords.has(text.toLowerCase());

/** A number as CSV files write it; undefined when it is none. */
export function parseNumber(text: string): number | undefined {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** Sees the training values of one column, one after the other, and then says how to encode it. */
export class ColumnFit {
  readonly name: string;
  readonly #declared: ColumnKind | undefined;
  readonly #categories = new Map<string, number>();
  #count = 0;
  /** A power of two; mean and squares are of the numbers divided by it. */
  #scale = 0;
  #mean = 0;
  #squares = 0;
  #missing = 0;
  /** The first value that is no number, and its place. */
  #strange = '';

  constructor(name: string, declared: ColumnKind | undefined) {
    this.name = name;
    this.#declared = declared;
  }

  /** @throws DataError when a column that was said to be numeric is not */
  see(text: string, place: string): void {
    if (this.#declared === 'ignore') return;
    if (isMissing(text)) {
      this.#missing++;
      if (this.#declared !== 'number') this.#addCategory(text);
      return;
    }
    const value = parseNumber(text);
    if (this.#declared !== 'number') this.#addCategory(text);
    if (value === undefined) {
      if (this.#declared === 'number')
        throw new DataError(`${place}: ${this.name} is '${text.slice(0, 40)}', which is no number`);
      this.#strange ||= `${place}: '${text.slice(0, 40)}'`;
      return;
    }
    this.add(value);
  }

  /**
   * Counts a number into mean and standard deviation, by Welford's method: one pass, no large sums, and exactly 0 for a column of one
   * value. Numbers are taken as multiples of a power of two near the largest, so that no square is too large or too small.
   */
  add(value: number): void {
    const size = Math.abs(value);
    if (size > 0 && size >= 2 * this.#scale) {
      const scale = 2 ** Math.floor(Math.log2(size));
      const ratio = this.#scale / scale;
      this.#mean *= ratio;
      this.#squares *= ratio * ratio;
      this.#scale = scale;
    }
    this.#count++;
    const scaled = this.#scale > 0 ? value / this.#scale : 0;
    const away = scaled - this.#mean;
    this.#mean += away / this.#count;
    this.#squares += away * (scaled - this.#mean);
  }

  /** Missing values seen. */
  get missing(): number {
    return this.#missing;
  }

  /** @param standardize false: numbers stay as they are */
  encoding(standardize: boolean): ColumnEncoding | undefined {
    if (this.#declared === 'ignore') return undefined;
    const { name } = this;
    const kind = this.#declared ?? (this.#strange === '' && this.#count > 0 ? 'number' : 'category');
    if (kind === 'number') {
      const std = Math.sqrt(this.#squares / Math.max(1, this.#count)) * this.#scale;
      const fill = this.#mean * this.#scale;
      return standardize
        ? { name, kind, mean: fill, std: std > 0 ? std : 1, fill }
        : { name, kind, mean: 0, std: 1, fill };
    }
    if (this.#categories.size > MOST_CATEGORIES) {
      const why = this.#strange ? ` (${this.#strange} is no number)` : '';
      throw new DataError(
        `column '${name}' has more than ${MOST_CATEGORIES} categories${why}; say data.columns: { ${name}: number } or ignore`,
      );
    }
    return { name, kind, categories: this.categories() };
  }

  /** In ascending order: it does not depend on the order of the rows. */
  categories(): string[] {
    return [...this.#categories.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  #addCategory(text: string): void {
    if (this.#categories.size <= MOST_CATEGORIES) this.#categories.set(text, 1);
  }
}

export const featuresOf = (columns: readonly ColumnEncoding[]): number =>
  columns.reduce((sum, column) => sum + (column.kind === 'category' ? column.categories.length : 1), 0);

/**
 * Encodes a row's values, by the columns' names, into `out` from `at` on.
 * @param missing fail: a missing number is an error. mean: it counts as the mean of training.
 * @returns what was wrong with the row, otherwise undefined
 */
export function encodeRow(
  columns: readonly ColumnEncoding[],
  fieldOf: (name: string) => string,
  missing: 'fail' | 'mean',
  out: Float32Array,
  at: number,
): string | undefined {
  let place = at;
  for (const column of columns) {
    const text = fieldOf(column.name);
    if (column.kind === 'category') {
      for (const category of column.categories) out[place++] = category === text ? 1 : 0;
      continue;
    }
    if (column.kind === 'index') {
      out[place++] = column.categories.indexOf(text) + 1;
      continue;
    }
    if (isMissing(text)) {
      if (missing === 'fail') return `${column.name} is missing`;
      out[place++] = (column.fill - column.mean) / column.std;
      continue;
    }
    const value = parseNumber(text);
    if (value === undefined) return `${column.name} is '${text.slice(0, 40)}', which is no number`;
    out[place++] = (value - column.mean) / column.std;
  }
  return undefined;
}
