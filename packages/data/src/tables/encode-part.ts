/** Rows of a table as the numbers that a network takes. */
import { counted } from '@kasane/tensor/internal/counted';
import { type Arrays, digestOfArrays } from '../arrays.ts';
import { DataError, type TablePreparation } from '../dataset.ts';
import { RangeFinder } from '../target-range.ts';
import type { CsvOptions } from './csv.ts';
import type { CsvRow } from './csv-file.ts';
import { encodeRow, featuresOf } from './table.ts';
import { formOf, readNumber } from './table-form.ts';

/** Encoded values, in floats, of one part. */
const MOST_FLOATS = 2 ** 29;

/** Rows to arrays. @param problems gets those that cannot be encoded, which are left out */
export function encodePart(
  rows: readonly CsvRow[],
  path: string,
  names: readonly string[],
  preparation: TablePreparation,
  options: CsvOptions,
  problems: string[],
): Arrays {
  const { columns, targets, missing } = preparation;
  const form = formOf(options);
  const target = typeof options.target === 'string' ? options.target : options.target[0]!;
  const features = featuresOf(columns);
  if (rows.length * features > MOST_FLOATS)
    throw new DataError(
      `${path}: ${counted(rows.length, 'row')} of ${counted(features, 'feature')}; at most ${MOST_FLOATS} numbers in total are supported`,
    );
  const index = new Map(names.map((name, at) => [name, at]));
  const classes = preparation.classes && new Map(preparation.classes.map((name, at) => [name, at]));
  const outputs = classes ? 1 : targets.length;
  const x = new Float32Array(rows.length * features);
  const y = classes ? new Int32Array(rows.length) : new Float32Array(rows.length * outputs);
  const finder = new RangeFinder(targets.map(({ name }) => name));
  let samples = 0;
  for (const { line, fields } of rows) {
    const fieldOf = (name: string) => fields[index.get(name)!]!;
    const why = encodeRow(columns, fieldOf, { missing, form }, x, samples * features);
    const label = classes ? classes.get(fieldOf(target)) : 0;
    const goals = targets.map(({ name, mean, std }) => (readNumber(fieldOf(name), form)! - mean) / std);
    const large = goals.findIndex((value) => !Number.isFinite(Math.fround(value)));
    if (why !== undefined || label === undefined || large >= 0) {
      const name = targets[large]?.name;
      const tooLarge = name && `the target ${name} is ${fieldOf(name)}, which is too large`;
      problems.push(
        `${path}:${line}: ${why ?? tooLarge ?? `class '${fieldOf(target)}' is not in the training part`}`,
      );
      continue;
    }
    if (classes) y[samples] = label;
    else {
      for (const [i, value] of goals.entries()) {
        y[samples * outputs + i] = value;
        finder.see(i, value, line);
      }
    }
    samples++;
  }
  const arrays: Arrays = {
    samples,
    input: { dtype: 'f32', shape: [features] },
    target: classes ? { dtype: 'i32', shape: [] } : { dtype: 'f32', shape: [outputs] },
    inputs: x.subarray(0, samples * features),
    targets: y.subarray(0, samples * outputs),
    classes: classes?.size,
    ranges: classes ? undefined : finder.ranges(path),
  };
  return { ...arrays, digest: digestOfArrays(arrays) };
}
