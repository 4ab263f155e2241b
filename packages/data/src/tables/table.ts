/**
 * Columns of a table to numbers: which are numbers and which categories, what they are scaled by, and how a row is encoded.
 * Of which kind a column is, is decided on all rows; everything else is fitted on training rows only.
 */
import { DataError } from '../dataset.ts';
import { NumberLooks } from './notes/number-looks.ts';
import { quoted } from './quoted.ts';
import { isDate, isOtherDate } from './read-time.ts';
import {
  inAsciiDigits,
  isMissing,
  looksLikeNumber,
  notationsOf,
  plainForm,
  readNumber,
  saidOf,
  type TableForm,
} from './table-form.ts';
import { oneUnitCure, unitCure, withoutUnit } from './units.ts';

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

/** Different texts among numbers that may all stand for no value. */
const MOST_MARKERS = 2;

/** A column of so many rows at least, of which so many are different, names its rows. */
const IDENTIFIER_ROWS = 20;
const IDENTIFIER_PART = 0.8;

/** Of a row number's steps, so many are 1: rows may have been taken out. */
const COUNTING_PART = 0.9;
/** As pandas calls the row numbers that it writes: they may be in any order. */
const INDEX_NAME = /^(Unnamed: 0(\.\d+)?)?$/;
/** id, ID, user_id, orderId: whole numbers under such a name that only rise number the rows, whatever their steps. */
const ID_NAME = /^(?:.*[_ .-])?id$/i;
const CAMEL_ID_NAME = /[a-z](?:Id|ID)$/;

/** Sees the values of one column, one after the other, and then says what they are and how to encode them. */
export class ColumnFit {
  readonly name: string;
  readonly #declared: ColumnKind | undefined;
  readonly #form: TableForm;
  readonly #categories = new Set<string>();
  #count = 0;
  /** A power of two; mean and squares are of the numbers divided by it. */
  #scale = 0;
  #mean = 0;
  #squares = 0;
  /** Values that are no number in this notation: all, those that look like one, and the first with its place. */
  #strange = 0;
  #alike = 0;
  #first: { readonly text: string; readonly place: string } | undefined;
  /** Different ones among them, one more than may be markers at most. */
  readonly #markers = new Set<string>();
  #dates = 0;
  /** Of numbers: the last one, whether all are whole and each is more than the one before, and steps of 1. */
  #last: number | undefined;
  #whole = true;
  #rising = true;
  #ones = 0;
  /** Of numbers. */
  readonly looks: NumberLooks;

  readonly #otherwise: string | undefined;

  /** @param otherwise what else can be done about a column that is doubtful */
  constructor(
    name: string,
    declared: ColumnKind | undefined,
    form: TableForm = plainForm,
    otherwise?: string,
  ) {
    this.name = name;
    this.#declared = declared;
    this.#form = form;
    this.#otherwise = otherwise;
    this.looks = new NumberLooks(name);
  }

  /** @param place says where the row is, once something is wrong. @throws DataError when a column that was said to be numeric is not */
  see(text: string, place: () => string): void {
    const declared = this.#declared;
    if (declared === 'ignore') return;
    if (declared !== 'number' && this.#categories.size <= MOST_CATEGORIES) this.#categories.add(text);
    if (declared === 'category' || declared === 'index' || isMissing(text, this.#form)) return;
    const value = readNumber(text, this.#form);
    if (value !== undefined) {
      this.add(value);
      this.#step(value);
      this.looks.see(text, value);
      return;
    }
    if (declared === 'number') throw new DataError(`${place()}: ${noNumber(this.name, text, this.#form)}`);
    this.#strange++;
    if (this.#markers.size <= MOST_MARKERS) this.#markers.add(text);
    if (looksLikeNumber(text)) this.#alike++;
    else if (isDate(text) || isOtherDate(text)) this.#dates++;
    this.#first ??= { text, place: place() };
  }

  #step(value: number): void {
    const step = this.#last === undefined ? 1 : value - this.#last;
    this.#whole &&= Number.isSafeInteger(value);
    this.#rising &&= step > 0;
    if (step === 1) this.#ones++;
    this.#last = value;
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

  /**
   * @param standardize false: numbers stay as they are
   * @throws DataError when nobody said what a column is and its values do not tell
   */
  encoding(standardize: boolean): ColumnEncoding | undefined {
    const { name, kind } = this;
    if (kind === 'ignore') return undefined;
    if (kind === 'number') {
      const std = Math.sqrt(this.#squares / Math.max(1, this.#count)) * this.#scale;
      const fill = this.#mean * this.#scale;
      return standardize
        ? { name, kind, mean: fill, std: std > 0 ? std : 1, fill }
        : { name, kind, mean: 0, std: 1, fill };
    }
    if (this.#categories.size > MOST_CATEGORIES) {
      const why = this.#first ? ` (${this.#first.place}: '${cut(this.#first.text)}' is not a number)` : '';
      throw new DataError(
        `column '${name}' has more than ${MOST_CATEGORIES} categories${why}. Set data.columns: { ${quoted(name)}: number } or ignore`,
      );
    }
    return { name, kind, categories: this.categories() };
  }

  /** What was said, or what the values look like. @throws DataError when they do not tell */
  get kind(): ColumnKind {
    return this.#declared ?? this.#guess();
  }

  /** Whether nearly every row has a text of its own: as categories they would say nothing of other rows. */
  get isIdentifier(): boolean {
    if (this.#declared !== undefined || this.kind !== 'category') return false;
    const values = this.#count + this.#strange;
    const different = this.#present.length;
    return values >= IDENTIFIER_ROWS && different <= MOST_CATEGORIES && different >= IDENTIFIER_PART * values;
  }

  get whyIdentifier(): string {
    const values = this.#count + this.#strange;
    const first = this.#first?.text ?? [...this.#categories][0]!;
    const cure = unitCure(this.#present);
    return `column '${this.name}' has ${this.#categories.size} different values in ${values} rows, such as '${cut(first)}': as categories they say nothing about other rows. ${cure}${cure === '' ? 'Set' : 'Or set'} data.columns: { ${quoted(this.name)}: ignore }, or category to use them anyway`;
  }

  /** Whether it numbers the rows seen so far, as a guess: nobody said what it is. */
  get isRowNumber(): boolean {
    if (this.#declared !== undefined || this.#strange > 0 || !this.#whole) return false;
    if (this.#count < IDENTIFIER_ROWS) return false;
    return INDEX_NAME.test(this.name) || (this.#rising && this.#ones >= COUNTING_PART * this.#count);
  }

  /** Whether its whole numbers only rise, by any steps, under a name of ids: `kasane init` leaves it out. */
  get isRisingId(): boolean {
    if (this.#declared !== undefined || this.#strange > 0 || !this.#whole || !this.#rising) return false;
    if (this.#count < IDENTIFIER_ROWS) return false;
    return ID_NAME.test(this.name) || CAMEL_ID_NAME.test(this.name);
  }

  /** Whether its values are dates, too many for categories. */
  get isDates(): boolean {
    if (this.#declared !== undefined || this.#dates === 0 || this.isDoubtful) return false;
    return 2 * this.#dates > this.#count + this.#strange && this.#categories.size >= IDENTIFIER_ROWS;
  }

  get whyDates(): string {
    return `column '${this.name}' contains dates, such as '${cut(this.#first!.text)}': as categories they say nothing about rows with other dates. Put what matters, such as the month, in a separate column and set data.columns: { ${quoted(this.name)}: ignore }; or category to use them anyway`;
  }

  /** Whether it was the same in all rows seen. */
  get isConstant(): boolean {
    if (this.kind === 'number') return this.#count > 0 && this.#squares === 0;
    return this.kind !== 'ignore' && this.#categories.size === 1;
  }

  get isDoubtful(): boolean {
    if (this.#declared !== undefined || this.#strange === 0) return false;
    return 2 * (this.#count + this.#alike) >= this.#count + this.#strange;
  }

  /** What whoever owns the data should hear of the guess; undefined when there is nothing. */
  get note(): string | undefined {
    if (this.#declared !== undefined || this.#strange === 0) return undefined;
    const quantity = [...this.#categories].find(isQuantity) ?? this.#unitExample;
    if (this.#count === 0 && quantity !== undefined)
      return `column '${this.name}': values such as '${cut(quantity)}' are used as categories; if they are quantities, write them as numbers without units; to change the kind, set data.columns`;
    if (this.#count === 0) return undefined;
    return `column '${this.name}': ${this.#count} of ${this.#count + this.#strange} values are numbers, the others are not, so each value is a category; to change this, set data.columns`;
  }

  get #unitExample(): string | undefined {
    const values = this.#present;
    return values.length > 1 && withoutUnit(values) !== undefined ? values[0] : undefined;
  }

  /** Different values that are not missing. */
  get #present(): readonly string[] {
    return [...this.#categories].filter((text) => !isMissing(text, this.#form));
  }

  /** In ascending order: it does not depend on the order of the rows. */
  categories(): string[] {
    return [...this.#categories].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  /** A column of which at least half looks like numbers is no set of categories, unless somebody says so. */
  #guess(): 'number' | 'category' {
    const [numbers, strange] = [this.#count, this.#strange];
    if (strange === 0) return numbers > 0 ? 'number' : 'category';
    if (!this.isDoubtful) return 'category';
    const { text, place } = this.#first!;
    const found = `column '${this.name}': ${numbers} of ${numbers + strange} values are numbers; ${place}: '${cut(text)}' is not`;
    const column = quoted(this.name);
    const values = this.#present;
    const most = 2 * values.length > numbers + strange || values.length > MOST_CATEGORIES;
    const kinds = most ? `{ ${column}: ignore }, or category` : `{ ${column}: category }, or ignore`;
    const otherwise = this.#otherwise ?? `set data.columns: ${kinds}`;
    throw new DataError(`${found}. ${this.#cure(text, values)}Fix the file, or ${otherwise}`);
  }

  /** @param values different ones that are not missing */
  #cure(text: string, values: readonly string[]): string {
    if (!looksLikeNumber(text)) {
      const strange = [...this.#markers];
      const unit = unitCure(strange);
      if (unit !== '') return unit;
      // More of them are no markers, but values.
      if (strange.length > MOST_MARKERS) return '';
      const stand = strange.length === 1 ? 'it means' : 'they mean';
      const units = this.#strange === 1 && /:2$/.test(this.#first!.place);
      return `${units ? 'Remove line 2 if it contains units. ' : ''}Set data.missingValues: [${strange.map(quoted).join(', ')}] if ${stand} a missing value. `;
    }
    const alike = values.filter(looksLikeNumber);
    const said = optionsOf(alike);
    return said === '' ? signsCure(alike) : `Set ${said} if that is how its numbers are written. `;
  }
}

const cut = (text: string) => text.slice(0, 40);
/** A number with a unit, or a time of day. */
const isQuantity = (text: string) =>
  /^[+-]?\d+([.,]\d+)?\s+\p{L}{1,4}$/u.test(text) || /^\d{1,2}:\d\d(:\d\d)?$/.test(text);

/** What to take out of numbers that no option reads; empty where it is nothing that many files have. */
function signsCure(values: readonly string[]): string {
  const foreign = values.find((value) => inAsciiDigits(value) !== value);
  if (foreign)
    return `Write its numbers with the digits 0 to 9: '${cut(inAsciiDigits(foreign))}' for '${cut(foreign)}'. `;
  const money = values.map((value) => /\p{Sc}/u.exec(value)?.[0]).find((sign) => sign !== undefined);
  if (money) return `Remove the currency sign '${money}' from its numbers. `;
  if (values.some((value) => value.includes('%'))) return 'Remove the percent sign from its numbers. ';
  const bracketed = values.find((value) => /^\(.*\)$/.test(value));
  if (bracketed) return `If '${cut(bracketed)}' is negative, write '-${cut(bracketed.slice(1, -1))}'. `;
  return values.some((value) => value.includes('\u2212')) ? "Write negative numbers with '-'. " : '';
}

/** Options by which these are numbers. */
const optionsOf = (values: readonly string[]): string =>
  notationsOf(values)
    .map((notation) => Object.entries(saidOf(notation)).map(([key, value]) => `data.${key}: "${value}"`))
    .map((said) => said.join(' and '))
    .join(', or ');

/** Says what a value of a column of numbers is instead. */
export function noNumber(name: string, text: string, form: TableForm): string {
  if (isMissing(text, form)) return `${name} is missing`;
  const said = optionsOf([text]);
  const cure = looksLikeNumber(text) ? signsCure([text]) : oneUnitCure(text);
  const hint = said === '' ? cure.trim() : `Set ${said} if that is how numbers are written.`;
  return `${name} is '${cut(text)}', which is not a number${hint === '' ? '' : ` (${hint.replace(/\.$/, '')})`}`;
}

export const featuresOf = (columns: readonly ColumnEncoding[]): number =>
  columns.reduce((sum, column) => sum + (column.kind === 'category' ? column.categories.length : 1), 0);

/** Names of the columns in which a row has a category that training has not seen. */
export const unseenCategories = (
  columns: readonly ColumnEncoding[],
  fieldOf: (name: string) => string,
): string[] =>
  columns.flatMap((column) =>
    column.kind === 'number' || column.categories.includes(fieldOf(column.name)) ? [] : [column.name],
  );

/**
 * Encodes a row's values, by the columns' names, into `out` from `at` on.
 * @param missing fail: a missing number is an error. mean: it counts as the mean of training.
 * @returns what was wrong with the row, otherwise undefined
 */
export function encodeRow(
  columns: readonly ColumnEncoding[],
  fieldOf: (name: string) => string,
  { missing, form }: { readonly missing: 'fail' | 'mean'; readonly form: TableForm },
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
    const value = isMissing(text, form) && missing === 'mean' ? column.fill : readNumber(text, form);
    if (value === undefined) return noNumber(column.name, text, form);
    const scaled = Math.fround((value - column.mean) / column.std);
    if (!Number.isFinite(scaled)) return `${column.name} is ${text}, which is too large`;
    out[place++] = scaled;
  }
  return undefined;
}
