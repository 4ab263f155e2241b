/** Tables whose rows are measurements in order of time, as `kasane init` finds them. */
import { daysOf, rises } from '@kasane/data/internal/series/backwards';
import { isClock, isHour, joinTime } from '@kasane/data/internal/tables/joined-time';
import {
  areCompactDates,
  type ExactTime,
  exactTime,
  isDate,
  isEpochMs,
  isOtherDate,
  readCompact,
  readDate,
  timeBetween,
} from '@kasane/data/internal/tables/read-time';
import { plainForm } from '@kasane/data/internal/tables/table-form';
import { counted } from '@kasane/tensor/internal/counted';
import { type Column, decisionOf } from './columns.ts';
import type { Look } from './rows.ts';
import type { TableGuess } from './table.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Rows that go in where the steps say no better: an hour's is a day, a month's a year. */
const WINDOW = 30;
/** As the reader has it: a step so many times the usual one is a gap. */
const GAP = 1.5;

const NAMES = /^(date|time|datetime|timestamp|ds|day|week|month|quarter|period)$/i;

/** What the reader takes for the column of times by its name. */
const TIME_NAMES = /^(time|date|timestamp|ds|t)$/i;

/** What has the hours of the day, as numbers. */
const HOUR_NAMES = /^(h|hr|hrs|heure|stunde|hora|時|時間|時刻)$|hour/i;

/** Milliseconds since 1970, of a whole number that is as many, or as many seconds. */
function readEpoch(text: string): number | undefined {
  if (!/^\d{9,13}$/.test(text)) return undefined;
  return [Number(text), 1000 * Number(text)].find(isEpochMs);
}
const areEpochs = (values: readonly string[]) => values.every((text) => readEpoch(text) !== undefined);

/** A table as a series. */
export interface Series {
  readonly time: Column;
  /** What has the time of day of each row, beside its date. */
  readonly clock?: Column | undefined;
  readonly numbers: readonly Column[];
  /** Number the rows, and are left out. */
  readonly numbering: readonly Column[];
  /** Of each row; undefined where some dates are not read. */
  readonly times: readonly ExactTime[] | undefined;
  /** Whether most are read all the same: then the reader names those that are not. */
  readonly areMostRead: boolean;
}

/** The table as a series, if it has a column of dates and nothing but numbers beside it. */
export function seriesOf(columns: readonly Column[]): Series | undefined {
  const time = columns.find((column) => isTime(column));
  if (!time) return undefined;
  const clock = clockOf(time, columns);
  const filled = columns.filter((column) => ![time, clock].includes(column) && column.values.length > 0);
  const measured = filled.filter((column) => !column.fit.isRowNumber);
  const others = measured.length > 0 ? measured : filled;
  const numbering = filled.filter((column) => !others.includes(column));
  // Of numbers with a few other values the reader says which, and what to do.
  const numbers = others.filter(
    (column) => column.isNumber || (column.fit.isDoubtful && decisionOf(column) === undefined),
  );
  if (numbers.length === 0 || numbers.length < others.length) return undefined;
  const read = areCompactDates(time.values) ? readCompact : areEpochs(time.values) ? readEpoch : readDate;
  const texts = clock ? time.values.map((text, row) => joinTime([text, clock.values[row]!])) : time.values;
  const times = texts.flatMap((text) => {
    const at = clock ? readDate(text) : read(text);
    return at === undefined ? [] : [exactTime(text, at, plainForm)];
  });
  const areMostRead = 2 * times.length >= time.values.length;
  if (times.length < time.values.length) {
    // What is not read can not be checked: only where there is nothing else to do with it.
    const isSeries = areMostRead || numbers.length === 1;
    return isSeries ? { time, clock, numbers, numbering, times: undefined, areMostRead } : undefined;
  }
  const sorted = times.toSorted(timeBetween);
  const once = sorted.every((at, i) => i === 0 || timeBetween(at, sorted[i - 1]!) > 0);
  return once || numbers.length === 1 ? { time, clock, numbers, numbering, times, areMostRead } : undefined;
}

/** The column that makes the dates of another one times, each of which comes once; undefined where they do by themselves, or nothing does. */
function clockOf(time: Column, columns: readonly Column[]): Column | undefined {
  if (time.isNumber && !areCompactDates(time.values)) return undefined;
  if (time.different.size === time.values.length || time.values.length < time.rows) return undefined;
  return columns.find((column) => {
    const { name, values, rows } = column;
    const isHours = HOUR_NAMES.test(name) && values.every(isHour);
    if (column === time || values.length < rows || !(isHours || values.every(isClock))) return false;
    const texts = time.values.map((text, row) => joinTime([text, values[row]!]));
    return new Set(texts).size === texts.length && texts.every((text) => readDate(text) !== undefined);
  });
}

function isTime({ name, values, different, isNumber }: Column): boolean {
  if (values.length < 2) return false;
  if (isNumber)
    return (
      (/^(date|datetime|timestamp|ds)$/i.test(name) && areCompactDates(values)) ||
      (TIME_NAMES.test(name) && different.size === values.length && areEpochs(values))
    );
  // Months as 1-Jan, weeks: no dates that are read, but a name says what they are.
  if (NAMES.test(name) && different.size === values.length) return true;
  return 2 * values.filter((text) => isDate(text) || isOtherDate(text)).length > values.length;
}

/**
 * A job's section for a series.
 * @param series undefined where the format was given, and is not to be seen
 * @param given what was said of the data
 * @param guesses takes a sentence each
 */
export function seriesSection(
  { path, said, rows }: Look,
  series: Series | undefined,
  target: unknown,
  given: Readonly<Record<string, unknown>>,
  guesses: string[],
): TableGuess {
  if (series && given.format !== 'series')
    guesses.push(
      `${series.clock ? `columns '${series.time.name}' and '${series.clock.name}' contain` : `column '${series.time.name}' contains`} the times of the rows, and the others are numbers: a series (use --set format=csv for a table of independent rows)`,
    );
  const times = series?.times?.toSorted(timeBetween);
  const steps = times?.slice(1).map((time, i) => timeBetween(time, times[i]!)) ?? [];
  const usual = steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const window = windowFor(rows.length, usual);
  if (!('window' in given))
    guesses.push(
      `the next row is predicted from the previous ${window === 1 ? 'one' : window} (--set window=N, --set horizon=N)`,
    );
  if (target === undefined && series && series.numbers.length > 1)
    guesses.push(`all ${series.numbers.length} numeric columns are predicted (--target COLUMN for one)`);
  const form = { ...said, ...(series && orderOf(series, guesses, steps, usual)) };
  const { numbering = [], numbers = [] } = series ?? {};
  const isChosen = numbering.length > 0 && !('columns' in given);
  if (isChosen)
    guesses.push(
      `columns that number the rows are ignored: ${numbering.map(({ name }) => `'${name}'`).join(', ')} (data.columns)`,
    );
  return {
    ...{ format: 'series', path, ...form, window },
    ...(series?.clock && { time: [series.time.name, series.clock.name] }),
    ...(isChosen && { columns: numbers.map(({ name }) => name) }),
    ...given,
    ...(target !== undefined && { target }),
  };
}

function windowFor(rows: number, step: number): number {
  const natural = step === HOUR ? 24 : step > 27 * DAY && step < 32 * DAY ? 12 : WINDOW;
  return Math.max(1, Math.min(natural, Math.floor(rows / 5)));
}

/**
 * Whether rows may be in order of their dates, of which nobody knows whether the day or the month is first: they are not where neither
 * reading makes them rise. Of times that are written in other ways nothing is known.
 */
function mayRise(values: readonly string[]): boolean {
  const ways = daysOf(values);
  return ways.length === 0 || ways.some(rises);
}

/** What is said of times and values that are not as the reader wants them. */
function orderOf(
  { time, numbers, times, areMostRead }: Series,
  guesses: string[],
  steps: readonly number[],
  usual: number,
): Readonly<Record<string, unknown>> {
  const said: Record<string, unknown> = {};
  if (times === undefined && !areMostRead && mayRise(time.values)) {
    said.order = 'file';
    guesses.push(
      `times such as '${time.values[0]!.slice(0, 40)}' cannot be read, so rows keep the order of the file, whose first row must be the oldest (data.order)`,
    );
  } else if (times?.some((at, i) => timeBetween(at, times[i - 1] ?? at) < 0)) {
    said.order = 'sort';
    guesses.push('rows are not in order of time and are sorted (data.order)');
  }
  const gaps = usual > 0 ? steps.filter((step) => step > GAP * usual).length : 0;
  if (gaps > 0) {
    said.gaps = 'accept';
    guesses.push(
      `${counted(gaps, 'step')} of time ${gaps === 1 ? 'is longer than the others, and counts' : 'are longer than the others, and each counts'} as one step (data.gaps)`,
    );
  }
  const lacking = Math.max(...numbers.map(({ rows, values }) => rows - values.length));
  if (lacking > 0) {
    said.missing = 'previous';
    guesses.push(
      `missing values (at most ${lacking} per column) are filled with the previous value (data.missing)`,
    );
  }
  return said;
}
