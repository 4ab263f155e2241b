/** Forecasting: windows over the rows of a CSV file, which are in the order of time. The last part of the file is for testing. */

import { createHash } from 'node:crypto';
import { bytesOf } from './arrays.ts';
import { openCsvFile } from './csv-file.ts';
import { DataError, type DataParts, type Dataset, type SeriesPreparation } from './dataset.ts';
import { ColumnFit, isMissing, type NumberEncoding, parseNumber } from './table.ts';

export interface SeriesOptions {
  readonly format: 'series';
  readonly path: string;
  readonly delimiter: string;
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
  /** Of rows with too few or too many fields. */
  readonly onDamaged: 'fail' | 'skip';
}

/** @throws DataError naming file, line and column */
export async function openSeries(options: SeriesOptions): Promise<DataParts> {
  const { path, window, horizon, validation, stride } = options;
  const file = await openCsvFile(path, options);
  const names = await chooseColumns(options);
  const targets = chooseTargets(options, names);
  const values: number[] = [];
  const places = names.map((name) => file.columns.indexOf(name));
  const first: number[] = [];
  for await (const { line, fields } of file.rows()) {
    for (const [i, at] of places.entries()) {
      const text = fields[at]!;
      const before = values.length >= names.length ? values[values.length - names.length] : undefined;
      const value = isMissing(text) && options.missing === 'previous' ? before : parseNumber(text);
      if (value === undefined) {
        const what = isMissing(text) ? 'is missing' : `is '${text.slice(0, 40)}', which is no number`;
        throw new DataError(`${path}:${line}: ${names[i]} ${what}`);
      }
      values.push(value);
    }
    first.push(line);
  }
  const rows = first.length;
  const trainRows = rows - Math.round(rows * validation);
  const encodings = fit(values, names, trainRows, options.standardize);
  const scaled = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const { mean, std } = encodings[i % names.length]!;
    scaled[i] = (values[i]! - mean) / std;
  }
  const windows = (from: number, to: number) =>
    Math.max(0, Math.floor((to - from - window - horizon) / stride) + 1);
  // A test window may look back into the training part; what it is to tell may not.
  const testFrom = Math.max(0, trainRows - window);
  const counts = { train: windows(0, trainRows), test: windows(testFrom, rows) };
  if (counts.train === 0 || counts.test === 0) {
    throw new DataError(
      `${path}: ${rows} rows, ${trainRows} of them to train with; windows of ${window} and ${horizon} after them do not fit in both parts`,
    );
  }
  const shape = {
    window,
    horizon,
    stride,
    columns: names.length,
    targets: targets.map((name) => names.indexOf(name)),
  };
  const preparation: SeriesPreparation = { window, horizon, columns: encodings, targets };
  const { skipped } = file;
  return {
    train: slide(scaled, 0, counts.train, shape),
    test: slide(scaled, testFrom, counts.test, shape),
    preparation: { series: preparation },
    notes: skipped.length > 0 ? [`left out ${skipped.length} rows: ${skipped.slice(0, 5).join('; ')}`] : [],
  };
}

async function chooseColumns(options: SeriesOptions): Promise<readonly string[]> {
  const { path, columns } = options;
  const file = await openCsvFile(path, options);
  if (columns) {
    const strange = columns.find((name) => !file.columns.includes(name));
    if (strange === undefined) return columns;
    throw new DataError(`${path}: there is no column '${strange}'; there are: ${file.columns.join(', ')}`);
  }
  const numeric = file.columns.map(() => false);
  const strange = file.columns.map(() => false);
  for await (const { fields } of file.rows()) {
    for (const [i, text] of fields.entries()) {
      if (isMissing(text)) continue;
      if (parseNumber(text) === undefined) strange[i] = true;
      else numeric[i] = true;
    }
  }
  const chosen = file.columns.filter((_, i) => numeric[i] && !strange[i]);
  if (chosen.length > 0) return chosen;
  throw new DataError(`${path}: no column consists of numbers; there are: ${file.columns.join(', ')}`);
}

function chooseTargets({ path, target }: SeriesOptions, names: readonly string[]): readonly string[] {
  const targets = target === undefined ? names : typeof target === 'string' ? [target] : target;
  const strange = targets.find((name) => !names.includes(name));
  if (strange === undefined) return targets;
  throw new DataError(`${path}: target '${strange}' is not among the columns ${names.join(', ')}`);
}

function fit(
  values: readonly number[],
  names: readonly string[],
  rows: number,
  standardize: boolean,
): NumberEncoding[] {
  const fits = names.map((name) => new ColumnFit(name, 'number'));
  for (let i = 0; i < rows * names.length; i++) fits[i % names.length]!.add(values[i]!);
  return fits.map((column) => column.encoding(standardize) as NumberEncoding);
}

/** Samples are windows of one array: nothing is stored twice. */
function slide(
  values: Float32Array,
  from: number,
  samples: number,
  shape: { window: number; horizon: number; stride: number; columns: number; targets: readonly number[] },
): Dataset {
  const { window, horizon, stride, columns, targets } = shape;
  const goals = horizon * targets.length;
  return {
    samples,
    input: { dtype: 'f32', shape: [window, columns] },
    target: { dtype: 'f32', shape: [goals] },
    digest: createHash('sha256')
      .update(JSON.stringify([from, samples, shape]))
      .update(bytesOf(values))
      .digest('hex'),
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
