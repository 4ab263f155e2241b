/** Forecasting: windows over the rows of a CSV file, which are in the order of time. The last part of the file is for testing. */

import { createHash } from 'node:crypto';
import { counted } from '@kasane/tensor/internal/counted';
import { bytesOf } from '../arrays.ts';
import { DataError, type DataParts, type Dataset, type SeriesPreparation } from '../dataset.ts';
import { type CsvRow, openCsvFile, skippedRows } from '../tables/csv-file.ts';
import { widthWithoutEmpty } from '../tables/empty-columns.ts';
import { ColumnFit, type NumberEncoding, noNumber } from '../tables/table.ts';
import { formOf, isMissing, readNumber, saidOf, type TableForm } from '../tables/table-form.ts';
import { RangeFinder, type TargetRange } from '../target-range.ts';
import { inOrderOfTime, joinTimes, type TimeColumn, type TimeOptions, timeColumn } from './series-time.ts';

export interface SeriesOptions extends Partial<TableForm>, TimeOptions {
  readonly format: 'series';
  readonly path: string;
  /** Columns that go in. Default: all that consist of numbers. */
  readonly columns?: readonly string[] | undefined;
  /** Columns that come out, among those that go in. Default: all of them. */
  readonly target?: string | readonly string[] | undefined;
  /** Rows of a sample's input. */
  readonly window: number;
  /** Rows after it that are to be told. */
  readonly horizon: number;
  /** Rows from one sample to the next. */
  readonly stride: number;
  /** Part of the rows, at the end, whose windows are for testing: their targets lie in it. */
  readonly validation: number;
  readonly standardize: boolean;
  /** previous: a missing value is the one before it. */
  readonly missing: 'fail' | 'previous';
  /** Of rows with too few or too many fields, and without a time. */
  readonly onDamaged: 'fail' | 'skip';
}

/** What a reader in a thread of its own brings of a series. */
export interface SeriesRead {
  /** Scaled, row after row. */
  readonly values: Float32Array;
  readonly shape: Shape;
  readonly train: Windows;
  readonly test: Windows;
  readonly preparation: SeriesPreparation;
  readonly notes: readonly string[];
}

/** Windows of a part: the row at which the first begins. */
interface Windows {
  readonly from: number;
  readonly samples: number;
  readonly ranges: readonly TargetRange[];
  readonly digest: string;
}

interface Shape {
  readonly window: number;
  readonly horizon: number;
  readonly stride: number;
  readonly columns: number;
  readonly targets: readonly number[];
}

/** @throws DataError naming file, line and column */
export async function readSeries(options: SeriesOptions): Promise<SeriesRead> {
  const { path, window, horizon, validation, stride } = options;
  const notes: string[] = [];
  const { names, rows, values, lines, time, step } = await readSeriesRows(path, options, notes);
  const targets = chooseTargets(options, names);
  const trainRows = rows - Math.round(rows * validation);
  const encodings = fit(path, values, names, trainRows, options.standardize, notes);
  const scaled = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const { mean, std } = encodings[i % names.length]!;
    scaled[i] = (values[i]! - mean) / std;
  }
  if (!scaled.every(Number.isFinite))
    throw new DataError(`${path}: a value is too large for training. Set data.standardize: true, or fix it`);
  const windows = (from: number, to: number) =>
    Math.max(0, Math.floor((to - from - window - horizon) / stride) + 1);
  // A test window may look back into the training part; what it is to tell may not.
  const testFrom = Math.max(0, trainRows - window);
  const counts = { train: windows(0, trainRows), test: windows(testFrom, rows) };
  if (counts.train === 0 || counts.test === 0) {
    throw new DataError(
      `${path}: ${counted(rows, 'row')}, ${trainRows} of them for training; windows of ${window} plus ${horizon} ahead do not fit in both the training and the test part. ${longestWindow(rows, trainRows, horizon)}`,
    );
  }
  const places = targets.map((name) => names.indexOf(name));
  const shape = { window, horizon, stride, columns: names.length, targets: places };
  /** Of the rows that are told: of what is only looked at nothing is asked. */
  const rangesOf = (from: number, to: number) => {
    const finder = new RangeFinder(targets);
    for (let row = from; row < to; row++) {
      for (const [i, column] of places.entries()) {
        const { mean, std } = encodings[column]!;
        finder.see(i, (values[row * names.length + column]! - mean) / std, lines[row]!);
      }
    }
    return finder.ranges(path);
  };
  const part = (from: number, samples: number): Windows => ({
    from,
    samples,
    ranges: rangesOf(from + window, from + window + horizon + (samples - 1) * stride),
    digest: createHash('sha256')
      .update(JSON.stringify([from, samples, shape]))
      .update(bytesOf(scaled))
      .digest('hex'),
  });
  const preparation = { window, horizon, columns: encodings, targets, ...saidOfSeries(options, time, step) };
  return {
    ...{ values: scaled, shape, preparation, notes },
    ...{ train: part(0, counts.train), test: part(testFrom, counts.test) },
  };
}

/** What would fit: a window in the training part with what follows it, and what follows the last one in the test part. */
function longestWindow(rows: number, trainRows: number, horizon: number): string {
  const most = trainRows - horizon;
  return most > 0 && rows - trainRows >= horizon
    ? `Set data.window to ${most} or less, or add rows`
    : 'Reduce data.horizon and data.window, or add rows';
}

/**
 * What predictions need to read their files as this one, where it is not the default.
 * @param time the column, or columns, by which rows were ordered, also where they were guessed: predictions need the same
 * @param step the usual one of their times
 */
function saidOfSeries(
  options: SeriesOptions,
  time: string | readonly string[] | undefined,
  step: number | undefined,
): Partial<SeriesPreparation> {
  const { missing, order = 'check', gaps = 'fail' } = options;
  const form = saidOf(options);
  return {
    ...(missing !== 'fail' && { missing }),
    ...(time !== undefined && { time }),
    ...(order !== 'check' && { order }),
    ...(gaps !== 'fail' && { gaps }),
    ...(gaps === 'fail' && step !== undefined && step > 0 && { step }),
    ...(Object.keys(form).length > 0 && { form }),
  };
}

export function seriesOfRead({ values, shape, preparation, notes, ...parts }: SeriesRead): DataParts {
  return {
    train: slide(values, parts.train, shape),
    test: slide(values, parts.test, shape),
    preparation: { series: preparation },
    notes,
  };
}

export interface RowOptions extends Partial<TableForm>, TimeOptions {
  readonly columns?: readonly string[] | undefined;
  readonly missing: 'fail' | 'previous';
}

interface SeriesRows {
  readonly names: readonly string[];
  readonly rows: number;
  readonly values: readonly number[];
  /** Of each row, in the file. */
  readonly lines: readonly number[];
  /** The column by which they are ordered, or those that have parts of their times. */
  readonly time: string | readonly string[] | undefined;
  /** The usual one from a time to the next. */
  readonly step: number | undefined;
}

/**
 * The values of a series' columns, row after row in order of time: for training and for predictions alike.
 * @param notes takes what was guessed and left out, a sentence each
 * @throws DataError naming file, line and column
 */
export async function readSeriesRows(
  path: string,
  options: RowOptions,
  notes: string[],
): Promise<SeriesRows> {
  const form = formOf(options);
  const file = await openCsvFile(path, options);
  const all: CsvRow[] = [];
  for await (const row of file.rows()) all.push(row);
  const { skipped } = file;
  const columns = file.columns.slice(0, widthWithoutEmpty(path, file.columns, all));
  notes.push(...file.notes());
  if (skipped.length > 0) notes.push(skippedRows(skipped, all.length));
  const joined = joinTimes(path, columns, all, options.time, form);
  const timing = { ...options, time: joined.time };
  const time = timeColumn(path, joined.columns, joined.rows, timing, form, notes);
  // Parts of the time are no features, unless they are asked for.
  const parts = joined.parts.length > 1 ? joined.parts : time ? [time.name] : [];
  const names = options.columns ?? numericColumns(path, columns, all, form, { time, parts }, notes);
  const places = new Map(columns.map((name, at) => [name, at]));
  const strange = names.find((name) => !places.has(name));
  if (strange !== undefined)
    throw new DataError(
      `${path}: there is no column '${strange}'; its columns are: ${columns.slice(0, 50).join(', ')}`,
    );
  const { rows, step } = time
    ? inOrderOfTime(path, time, joined.columns, joined.rows, timing, form, notes)
    : { rows: all, step: undefined };
  const values: number[] = [];
  for (const { line, fields } of rows) {
    for (const name of names) {
      const text = fields[places.get(name)!]!;
      const fill =
        options.missing === 'previous' && isMissing(text, form) ? values.at(-names.length) : undefined;
      const value = fill ?? readNumber(text, form);
      if (value === undefined)
        throw new DataError(`${path}:${line}: ${noNumber(name, text, form)}${cure(text, form)}`);
      values.push(value);
    }
  }
  return {
    names,
    rows: rows.length,
    values,
    lines: rows.map(({ line }) => line),
    time: time && (parts.length > 1 ? parts : time.name),
    step,
  };
}

const cure = (text: string, form: TableForm) =>
  isMissing(text, form)
    ? '. Fill it in, or set data.missing: previous'
    : `. Fix it, or set data.missingValues: [${JSON.stringify(text.slice(0, 40))}] if it means a missing value`;

function numericColumns(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  form: TableForm,
  { time, parts }: { readonly time: TimeColumn | undefined; readonly parts: readonly string[] },
  notes: string[],
): readonly string[] {
  const otherwise = 'list the input columns in data.columns';
  // Times that are no quantities are not doubtful: they are no features.
  const quantity = (name: string) => !parts.includes(name) || !time?.isDate;
  const fits = columns.map(
    (name) => new ColumnFit(name, quantity(name) ? undefined : 'ignore', form, otherwise),
  );
  for (const { line, fields } of rows) {
    const place = () => `${path}:${line}`;
    for (const [i, text] of fields.entries()) fits[i]!.see(text, place);
  }
  notes.push(...fits.flatMap(({ looks }) => looks.grouped(form)));
  const numbers = fits.filter(({ kind }) => kind === 'number').map(({ name }) => name);
  // What orders the rows is told of already, and to go on in it is no forecast; but it may be all there is.
  const measured = numbers.filter((name) => !parts.includes(name));
  const chosen = measured.length > 0 ? measured : numbers;
  const left = columns.filter((name) => !numbers.includes(name) && !parts.includes(name));
  if (chosen.length === 0)
    throw new DataError(
      `${path}: no column consists of numbers; its columns are: ${columns.slice(0, 50).join(', ')}`,
    );
  if (left.length > 0)
    notes.push(
      `${path}: ignored columns that are not numbers: ${left.slice(0, 50).join(', ')}; to choose columns, set data.columns`,
    );
  const counting = chosen.filter((name) => counts(rows, columns.indexOf(name), form));
  if (counting.length > 0 && counting.length < chosen.length)
    notes.push(
      `${path}: columns that change by the same amount in every row, such as times or row numbers, are inputs and targets like the others: ${counting
        .slice(0, 50)
        .map((name) => name || "''")
        .join(
          ', ',
        )}. To order the rows by one, set data.time; to leave it out, list the others in data.columns`,
    );
  return chosen;
}

/** Part of a step by which another one may differ, and still be the same. */
const SAME_STEP = 1e-4;

/** Whether a column of numbers goes up, or down, by the same amount from row to row. */
function counts(rows: readonly CsvRow[], at: number, form: TableForm): boolean {
  const values = rows.map(({ fields }) => readNumber(fields[at]!, form) ?? Number.NaN);
  const step = values[1]! - values[0]!;
  // 0.1, 0.2, 0.3 are no equal steps in binary.
  const isEqual = (other: number) => Math.abs(other - step) <= SAME_STEP * Math.abs(step);
  return step !== 0 && values.every((value, row) => row === 0 || isEqual(value - values[row - 1]!));
}

function chooseTargets({ path, target }: SeriesOptions, names: readonly string[]): readonly string[] {
  const targets = target === undefined ? names : typeof target === 'string' ? [target] : target;
  const strange = targets.find((name) => !names.includes(name));
  if (strange === undefined) return targets;
  throw new DataError(`${path}: target '${strange}' is not among the columns ${names.join(', ')}`);
}

function fit(
  path: string,
  values: readonly number[],
  names: readonly string[],
  rows: number,
  standardize: boolean,
  notes: string[],
): NumberEncoding[] {
  const fits = names.map((name) => new ColumnFit(name, 'number'));
  for (let i = 0; i < rows * names.length; i++) fits[i % names.length]!.add(values[i]!);
  const constant = fits.filter((column) => column.isConstant).map(({ name }) => name);
  if (constant.length > 0)
    notes.push(
      `${path}: columns with the same value in all training rows, from which nothing can be learned: ${constant.slice(0, 50).join(', ')}; to choose columns, set data.columns`,
    );
  return fits.map((column) => column.encoding(standardize) as NumberEncoding);
}

/** Samples are windows of one array: nothing is stored twice. */
function slide(values: Float32Array, { from, samples, ranges, digest }: Windows, shape: Shape): Dataset {
  const { window, horizon, stride, columns, targets } = shape;
  const goals = horizon * targets.length;
  return {
    samples,
    input: { dtype: 'f32', shape: [window, columns] },
    target: { dtype: 'f32', shape: [goals] },
    ranges,
    digest,
    gather: (indices, inputs, out) => {
      const target = new Float32Array(goals);
      for (const [i, at] of indices.entries()) {
        if (at >= samples) throw new RangeError(`sample ${at} of ${samples}`);
        const row = from + at * stride;
        const end = (row + window) * columns;
        inputs.set(bytesOf(values.subarray(row * columns, end)), 4 * i * window * columns);
        for (let g = 0; g < goals; g++) {
          const step = Math.floor(g / targets.length);
          target[g] = values[end + step * columns + targets[g % targets.length]!]!;
        }
        out.set(bytesOf(target), 4 * i * goals);
      }
    },
  };
}
