/** Tables for classification and regression: each row a sample, one column (or several) what is to be told from the others. */
import { datasetOfArrays } from './arrays.ts';
import { openCsvFile } from './csv-file.ts';
import { DataError, type DataParts, type Dataset, type TablePreparation } from './dataset.ts';
import { splitAtRandom } from './shuffle.ts';
import {
  type ColumnEncoding,
  ColumnFit,
  type ColumnKind,
  encodeRow,
  featuresOf,
  isMissing,
  type NumberEncoding,
  parseNumber,
} from './table.ts';

export interface CsvOptions {
  readonly format: 'csv';
  readonly path: string;
  /** Another file, with the same columns, to test with. Default: a part of the rows. */
  readonly test?: string | undefined;
  readonly validation: number;
  readonly seed: number;
  readonly delimiter: string;
  /** What is to be predicted. */
  readonly target: string | readonly string[];
  /** classification: the target's values are classes. regression: they are numbers. */
  readonly task: 'classification' | 'regression';
  /** Kinds of columns; those not named are numbers when every value is one, otherwise categories. */
  readonly columns: Readonly<Record<string, ColumnKind>>;
  /** Of a model with input layers: the columns of each, in order. Columns that none names are left out. */
  readonly inputs?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly standardize: boolean;
  /** Regression: whether targets are brought to mean 0 and standard deviation 1 as well. */
  readonly standardizeTarget: boolean;
  /** Of numbers; a missing category is a category. A row without its target is a damaged one. */
  readonly missing: 'fail' | 'mean';
  readonly onDamaged: 'fail' | 'skip';
}

/** Encoded values, in floats, of one part. */
const MOST_FLOATS = 2 ** 29;
const NAMED = 5;

/** A row that was read, before it is encoded. */
interface Row {
  readonly line: number;
  readonly fields: readonly string[];
}

/** @throws DataError naming file, line and column */
export async function openCsv(options: CsvOptions): Promise<DataParts> {
  const { path, test, validation, seed } = options;
  const main = await readRows(path, options);
  const targets = typeof options.target === 'string' ? [options.target] : [...options.target];
  if (options.task === 'classification' && targets.length > 1)
    throw new DataError(`${path}: ${targets.length} targets; a classification has one`);
  const chosen = Object.values(options.inputs ?? {}).flat();
  for (const name of [...targets, ...Object.keys(options.columns), ...chosen]) {
    if (main.columns.includes(name)) continue;
    throw new DataError(`${path}: there is no column '${name}'; there are: ${main.columns.join(', ')}`);
  }
  checkInputs(options, targets);
  const notes = [...main.notes];
  let parts: { train: readonly Row[]; test: readonly Row[] };
  if (test === undefined) {
    const split = splitAtRandom(main.rows.length, validation, seed);
    const pick = (indices: Uint32Array) => Array.from(indices, (index) => main.rows[index]!);
    parts = { train: pick(split.train), test: pick(split.test) };
  } else {
    const other = await readRows(test, options);
    if (other.columns.join('\n') !== main.columns.join('\n'))
      throw new DataError(
        `${test}: its columns are ${other.columns.join(', ')}; those of ${path} are ${main.columns.join(', ')}`,
      );
    notes.push(...other.notes);
    parts = { train: main.rows, test: other.rows };
  }
  const problems: string[] = [];
  const place = { train: path, test: test ?? path };
  for (const name of ['train', 'test'] as const) {
    parts[name] = withTargets(parts[name], place[name], main.columns, targets, options, problems);
    if (parts[name].length === 0) throw new DataError(`${place[name]}: no rows are left to ${name} with`);
  }
  const preparation = fit(parts.train, path, main.columns, targets, options);
  const encode = (name: 'train' | 'test') =>
    encodePart(parts[name], place[name], main.columns, preparation, options, problems);
  const [train, tested] = [encode('train'), encode('test')];
  if (problems.length > 0) {
    const more = problems.length > NAMED ? `; and ${problems.length - NAMED} more` : '';
    const list = problems.slice(0, NAMED).join('; ') + more;
    if (options.onDamaged === 'fail')
      throw new DataError(`${list}. Mend the file, or say data.onDamaged: skip`);
    notes.push(`left out ${problems.length} rows: ${list}`);
  }
  const { classes } = preparation;
  return { train, test: tested, preparation: { table: preparation, ...(classes && { classes }) }, notes };
}

/** A column goes in once, and what is to be told does not go in. */
function checkInputs({ path, inputs = {}, columns }: CsvOptions, targets: readonly string[]): void {
  const seen = new Set<string>();
  for (const [input, names] of Object.entries(inputs)) {
    for (const name of names) {
      let why = seen.has(name) ? 'is named before' : undefined;
      if (targets.includes(name)) why = 'is the target';
      if (columns[name] === 'ignore') why = 'is to be ignored';
      if (why) throw new DataError(`${path}: data.inputs.${input}: column '${name}' ${why}`);
      seen.add(name);
    }
  }
}

async function readRows(path: string, options: CsvOptions) {
  const file = await openCsvFile(path, options);
  const rows: Row[] = [];
  for await (const row of file.rows()) rows.push(row);
  const { skipped, columns } = file;
  const notes =
    skipped.length > 0 ? [`left out ${skipped.length} rows: ${skipped.slice(0, NAMED).join('; ')}`] : [];
  return { columns, rows, notes };
}

/** The rows whose targets are there, and numbers where they must be. */
function withTargets(
  rows: readonly Row[],
  path: string,
  columns: readonly string[],
  targets: readonly string[],
  { task }: CsvOptions,
  problems: string[],
): Row[] {
  const at = targets.map((name) => columns.indexOf(name));
  return rows.filter(({ line, fields }) => {
    const bad = at.find((index) => {
      const text = fields[index]!;
      return isMissing(text) || (task === 'regression' && parseNumber(text) === undefined);
    });
    if (bad === undefined) return true;
    const what = isMissing(fields[bad]!) ? 'is missing' : `is '${fields[bad]}', which is no number`;
    problems.push(`${path}:${line}: the target ${columns[bad]} ${what}`);
    return false;
  });
}

function fit(
  rows: readonly Row[],
  path: string,
  columns: readonly string[],
  targets: readonly string[],
  options: CsvOptions,
): TablePreparation {
  const classification = options.task === 'classification';
  const kindOf = (name: string): ColumnKind | undefined =>
    targets.includes(name) ? (classification ? 'category' : 'number') : options.columns[name];
  const fits = columns.map((name) => new ColumnFit(name, kindOf(name)));
  for (const { line, fields } of rows) {
    for (const [index, column] of fits.entries()) column.see(fields[index]!, `${path}:${line}`);
  }
  const of = (name: string) => fits[columns.indexOf(name)]!;
  const encode = (names: readonly string[]): ColumnEncoding[] =>
    names.flatMap((name) => of(name).encoding(options.standardize) ?? []);
  const { missing } = options;
  const groups = Object.entries(options.inputs ?? {}).map(([name, own]) => ({ name, columns: encode(own) }));
  const encodings = options.inputs
    ? groups.flatMap((group) => group.columns)
    : encode(columns.filter((name) => !targets.includes(name)));
  const inputs = groups.map((group) => ({ name: group.name, features: featuresOf(group.columns) }));
  if (encodings.length === 0)
    throw new DataError(`${path}: no columns are left to tell ${targets.join(', ')} from`);
  const base = { columns: encodings, missing, ...(options.inputs && { inputs }) };
  if (classification) return { ...base, targets: [], classes: of(targets[0]!).categories() };
  const scaled = targets.map((name) => of(name).encoding(options.standardizeTarget) as NumberEncoding);
  return { ...base, targets: scaled };
}

function encodePart(
  rows: readonly Row[],
  path: string,
  names: readonly string[],
  { columns, targets, classes, missing }: TablePreparation,
  options: CsvOptions,
  problems: string[],
): Dataset {
  const target = typeof options.target === 'string' ? options.target : options.target[0]!;
  const features = featuresOf(columns);
  if (rows.length * features > MOST_FLOATS)
    throw new DataError(
      `${path}: ${rows.length} rows of ${features} features; at most ${MOST_FLOATS} numbers fit`,
    );
  const index = new Map(names.map((name, at) => [name, at]));
  const outputs = classes ? 1 : targets.length;
  const x = new Float32Array(rows.length * features);
  const y = classes ? new Int32Array(rows.length) : new Float32Array(rows.length * outputs);
  let samples = 0;
  for (const { line, fields } of rows) {
    const fieldOf = (name: string) => fields[index.get(name)!]!;
    const why = encodeRow(columns, fieldOf, missing, x, samples * features);
    const label = classes ? classes.indexOf(fieldOf(target)) : 0;
    if (why !== undefined || label < 0) {
      problems.push(`${path}:${line}: ${why ?? `class '${fieldOf(target)}' is not in the training part`}`);
      continue;
    }
    if (classes) y[samples] = label;
    else {
      for (const [i, { name, mean, std }] of targets.entries())
        y[samples * outputs + i] = (parseNumber(fieldOf(name))! - mean) / std;
    }
    samples++;
  }
  return datasetOfArrays({
    samples,
    input: { dtype: 'f32', shape: [features] },
    target: classes ? { dtype: 'i32', shape: [] } : { dtype: 'f32', shape: [outputs] },
    inputs: x.subarray(0, samples * features),
    targets: y.subarray(0, samples * outputs),
    classes: classes?.length,
  });
}
