/** Tables for classification and regression: each row a sample, one column (or several) what is to be told from the others. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { counted } from '@kasane/tensor/internal/counted';
import { type Arrays, type ArraysRead, bytesOf, digestOfArrays } from '../arrays.ts';
import { DataError, type TablePreparation } from '../dataset.ts';
import { listOf } from '../problems.ts';
import { splitAtRandom } from '../shuffle.ts';
import { RangeFinder } from '../target-range.ts';
import { openCsvFile, skippedRows } from './csv-file.ts';
import { widthWithoutEmpty } from './empty-columns.ts';
import { checkLabelKind } from './label-kind.ts';
import { leaksOf } from './notes/leaks.ts';
import { outliersOf } from './notes/outliers.ts';
import { quoted } from './quoted.ts';
import {
  type ColumnEncoding,
  ColumnFit,
  type ColumnKind,
  encodeRow,
  featuresOf,
  type NumberEncoding,
  noNumber,
} from './table.ts';
import { formOf, isMissing, isMissingLabel, readNumber, saidOf, type TableForm } from './table-form.ts';
import { totalsRow } from './notes/totals-row.ts';

export interface CsvOptions extends Partial<TableForm> {
  readonly format: 'csv';
  readonly path: string;
  /** Another file, with the same columns, to test with. Default: a part of the rows. */
  readonly test?: string | undefined;
  readonly validation: number;
  readonly seed: number;
  /** What is to be predicted. */
  readonly target: string | readonly string[];
  /** classification: the target's values are classes. regression: they are numbers. */
  readonly task: 'classification' | 'regression';
  /**
   * Kinds of columns. Those not named are numbers when every value is one, categories when less than half of them look like numbers; what
   * lies between is refused.
   */
  readonly columns: Readonly<Record<string, ColumnKind>>;
  /** Of a model with input layers: the columns of each, in order. Columns that none names are left out. */
  readonly inputs?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly standardize: boolean;
  /** Regression: whether targets are brought to mean 0 and standard deviation 1 as well. */
  readonly standardizeTarget: boolean;
  /** Of numbers; a missing category is a category. A row without its target is a damaged one. */
  readonly missing: 'fail' | 'mean';
  readonly onDamaged: 'fail' | 'skip';
  /** As training has fitted it: all rows are to test with, and nothing is fitted on them. */
  readonly prepared?: TablePreparation | undefined;
}

/** Encoded values, in floats, of one part. */
const MOST_FLOATS = 2 ** 29;
const NAMED = 5;
/** Columns or classes that a message lists. */
const LISTED = 50;

/** A row that was read, before it is encoded. */
interface Row {
  readonly line: number;
  readonly fields: readonly string[];
}

type Parts<T> = { readonly train: T; readonly test: T };
type Name = keyof Parts<unknown>;

/** @throws DataError naming file, line and column */
export async function readCsv(options: CsvOptions): Promise<ArraysRead> {
  const { path, test, prepared } = options;
  if (prepared) return readPrepared(options, prepared);
  const main = await readRows(path, options);
  const targets = typeof options.target === 'string' ? [options.target] : [...options.target];
  checkColumns(options, main.columns, targets);
  const [target] = targets as [string];
  if (options.task === 'classification' && !Object.hasOwn(options.columns, target)) {
    const at = main.columns.indexOf(target);
    const form = formOf(options);
    const labels = main.rows.flatMap(({ fields }) =>
      isMissingLabel(fields[at]!, form) ? [] : [fields[at]!],
    );
    checkLabelKind(path, target, labels, form);
  }
  const other = test === undefined ? undefined : await readRows(test, options);
  if (other && other.columns.join('\n') !== main.columns.join('\n'))
    throw new DataError(
      `${test}: its columns are ${listed(other.columns)}; those of ${path} are ${listed(main.columns)}`,
    );
  const notes = [...main.notes, ...(other?.notes ?? [])];
  const problems: string[] = [];
  const place = { train: path, test: test ?? path };
  const usable = (rows: readonly Row[], name: Name) =>
    withTargets(rows, place[name], main.columns, targets, options, problems);
  const parts = other
    ? { train: usable(main.rows, 'train'), test: usable(other.rows, 'test') }
    : divide(main.rows, usable, main.columns.indexOf(target), options, notes);
  for (const name of ['train', 'test'] as const) {
    if (parts[name].length > 0) continue;
    const why = problems.length > 0 ? ` (${problems[0]})` : '';
    const cure = other || why !== '' ? 'Add rows' : 'Add rows, or set data.test to a file of test rows';
    throw new DataError(`${place[name]}: no rows are left to ${name} on${why}. ${cure}`);
  }
  const inFile = (rows: readonly Row[]) => [...rows].sort((a, b) => a.line - b.line);
  const all = other ? [inFile(parts.train), inFile(parts.test)] : [inFile([...parts.train, ...parts.test])];
  const preparation = fit(parts.train, all, [path, place.test], main.columns, targets, options, notes);
  const encode = (name: Name) =>
    encodePart(parts[name], place[name], main.columns, preparation, options, problems);
  const [train, tested] = [encode('train'), encode('test')];
  const skipped = whatIsSkipped(problems, main.rows.length + (other?.rows.length ?? 0), options);
  if (skipped) notes.push(skipped);
  const outliers = options.standardize
    ? outliersOf(path, main.columns, parts.train, preparation.columns, formOf(options))
    : [];
  notes.push(...outliers.slice(0, NAMED));
  // Who tests on what is trained on has said so; what an outlier makes equal is not.
  if (outliers.length === 0 && (!other || resolve(place.train) !== resolve(place.test)))
    notes.push(...repeatedRows(train, tested, place.test));
  const { classes } = preparation;
  return { train, test: tested, preparation: { table: preparation, ...(classes && { classes }) }, notes };
}

/** Rows with their targets, encoded as those of training were. */
async function readPrepared(options: CsvOptions, prepared: TablePreparation): Promise<ArraysRead> {
  const { path } = options;
  const { columns, rows, notes } = await readRows(path, options);
  const targets = [options.target].flat();
  const absent = [...prepared.columns.map(({ name }) => name), ...targets].find(
    (name) => !columns.includes(name),
  );
  if (absent !== undefined)
    throw new DataError(
      `${path}: there is no column '${absent}', which the model ${targets.includes(absent) ? 'predicts' : 'takes'}; its columns are: ${listed(columns)}`,
    );
  const problems: string[] = [];
  const usable = withTargets(rows, path, columns, targets, options, problems);
  const tested = encodePart(usable, path, columns, prepared, options, problems);
  const skipped = whatIsSkipped(problems, rows.length, options);
  if (tested.samples === 0)
    throw new DataError(`${path}: no rows are left to test on${skipped && `: ${skipped}`}. Add rows`);
  const { classes } = prepared;
  return {
    train: tested,
    test: tested,
    preparation: { table: prepared, ...(classes && { classes }) },
    notes: skipped ? [...notes, skipped] : notes,
  };
}

/** What is noted of rows that can not be used; empty when all can. @throws DataError where none may be skipped */
function whatIsSkipped(
  problems: readonly string[],
  rows: number,
  { onDamaged, prepared }: CsvOptions,
): string {
  if (problems.length === 0) return '';
  const list = listOf(problems);
  const right = prepared ? 'Fix the file' : 'Fix the file, or set data.onDamaged: skip';
  if (onDamaged === 'fail') throw new DataError(`${list}. ${right}`);
  return `skipped ${problems.length} of ${counted(rows, 'row')}: ${list}`;
}

/** Of the test rows so many, from which on they say little about rows that training has not seen. */
const REPEATED_PART = 0.2;
/** Of fewer test rows nothing is said. */
const REPEATED_ROWS = 20;

/** A note on test rows that are training rows, too: with the same features, and the same target. */
function repeatedRows(train: Arrays, test: Arrays, path: string): string[] {
  if (test.samples < REPEATED_ROWS) return [];
  const keysOf = ({ samples, inputs, targets }: Arrays) => {
    const [width, depth] = [inputs.length / samples, targets.length / samples];
    return Array.from({ length: samples }, (_, i) => {
      const hash = createHash('md5').update(bytesOf(inputs.subarray(i * width, (i + 1) * width)));
      return hash.update(bytesOf(targets.subarray(i * depth, (i + 1) * depth))).digest('base64');
    });
  };
  const known = new Set(keysOf(train));
  const repeated = keysOf(test).filter((key) => known.has(key)).length;
  return repeated < REPEATED_PART * test.samples
    ? []
    : [
        `${path}: ${repeated} of ${counted(test.samples, 'test row')} also occur in the training rows, with the same values: the test says little about new rows. Remove rows that occur twice`,
      ];
}

/** Names of columns for a message. */
const listed = (names: readonly string[], most = LISTED) =>
  names.length > most
    ? `${names.slice(0, most).join(', ')} and ${names.length - most} more`
    : names.join(', ');
const few = (names: readonly string[]) => listed(names, NAMED);

/** What is named must be there. */
function checkColumns(options: CsvOptions, columns: readonly string[], targets: readonly string[]): void {
  const { path, task, inputs } = options;
  if (task === 'classification' && targets.length > 1)
    throw new DataError(`${path}: ${targets.length} targets; classification takes one`);
  const known = new Set(columns);
  const chosen = Object.values(inputs ?? {}).flat();
  for (const name of [...targets, ...Object.keys(options.columns), ...chosen]) {
    if (known.has(name)) continue;
    const hint = options.header === undefined && columns.every((column) => /\d/.test(column));
    const cure = hint ? '. If its first row is not a header, set data.header: false' : '';
    throw new DataError(`${path}: there is no column '${name}'; its columns are: ${listed(columns)}${cure}`);
  }
  checkInputs(options, targets);
}

/** Both parts by chance. Rows of a class of which chance left none for training go there: without, it could not be told at all. */
function divide(
  rows: readonly Row[],
  usable: (rows: readonly Row[], name: Name) => Row[],
  target: number,
  { validation, seed, task }: CsvOptions,
  notes: string[],
): Parts<readonly Row[]> {
  const split = splitAtRandom(rows.length, validation, seed);
  const pick = (indices: Uint32Array) => Array.from(indices, (index) => rows[index]!);
  const train = usable(pick(split.train), 'train');
  const test = usable(pick(split.test), 'test');
  if (task === 'regression') return { train, test };
  const trained = new Set(train.map(({ fields }) => fields[target]!));
  const [rare, others] = [
    test.filter((row) => !trained.has(row.fields[target]!)),
    test.filter((row) => trained.has(row.fields[target]!)),
  ];
  const tested = new Set(others.map(({ fields }) => fields[target]!));
  const all = [...train, ...rare];
  const untested = [...new Set(all.map(({ fields }) => fields[target]!))]
    .filter((name) => !tested.has(name))
    .sort();
  if (untested.length > 0) {
    const names = `${untested.length === 1 ? 'class' : 'classes'} ${listed(untested)}`;
    notes.push(`${names}: too few rows to split, so all are used for training and none for testing`);
  }
  return { train: all, test: others };
}

/** A column goes in once, and what is to be told does not go in. */
function checkInputs({ path, inputs = {}, columns }: CsvOptions, targets: readonly string[]): void {
  const seen = new Set<string>();
  for (const [input, names] of Object.entries(inputs)) {
    for (const name of names) {
      let why = seen.has(name) ? 'is listed twice' : undefined;
      if (targets.includes(name)) why = 'is the target';
      if (Object.hasOwn(columns, name) && columns[name] === 'ignore') why = 'is ignored (data.columns)';
      if (why) throw new DataError(`${path}: data.inputs.${input}: column '${name}' ${why}`);
      seen.add(name);
    }
  }
}

async function readRows(path: string, options: CsvOptions) {
  const file = await openCsvFile(path, options);
  const rows: Row[] = [];
  for await (const row of file.rows()) rows.push(row);
  const { skipped } = file;
  const notes = [...file.notes(), ...totalsRow(path, rows, formOf(options))];
  if (skipped.length > 0) notes.push(skippedRows(skipped, rows.length));
  const { target, columns: kinds, inputs = {} } = options;
  // Whoever names it has it: `kasane init` names each column that it leaves out.
  const chosen = [target, ...Object.keys(kinds), ...Object.values(inputs)].flat();
  const isUnnamed = (name: string) => (name === '' || options.header === false) && !chosen.includes(name);
  const width = widthWithoutEmpty(path, file.columns, rows, isUnnamed);
  const left = file.columns.length - width;
  if (left === 1)
    notes.push(
      `${path}: each line ends with '${formOf(options).delimiter}': the empty column after it is ignored`,
    );
  if (left > 1) notes.push(`${path}: the ${left} empty columns at the end are ignored`);
  return { columns: file.columns.slice(0, width), rows, notes };
}

/** The rows whose targets are there, with numbers where somebody said that there are. */
function withTargets(
  rows: readonly Row[],
  path: string,
  columns: readonly string[],
  targets: readonly string[],
  options: CsvOptions,
  problems: string[],
): Row[] {
  const at = targets.map((name) => columns.indexOf(name));
  const form = formOf(options);
  const numbers = options.task === 'regression';
  const declared = Object.entries(options.columns)
    .filter(([name, kind]) => kind === 'number' && !targets.includes(name))
    .map(([name]) => columns.indexOf(name))
    .filter((index) => index >= 0);
  return rows.filter(({ line, fields }) => {
    const strange = declared.find(
      (index) => !isMissing(fields[index]!, form) && readNumber(fields[index]!, form) === undefined,
    );
    if (strange !== undefined) {
      problems.push(`${path}:${line}: ${noNumber(columns[strange]!, fields[strange]!, form)}`);
      return false;
    }
    const bad = at.find((index) => {
      const text = fields[index]!;
      return numbers ? readNumber(text, form) === undefined : isMissingLabel(text, form);
    });
    if (bad === undefined) return true;
    const text = fields[bad]!;
    const what = numbers ? noNumber(columns[bad]!, text, form) : `${columns[bad]} is missing`;
    problems.push(`${path}:${line}: the target ${what}`);
    return false;
  });
}

/** @param all also those for testing: of which kind a column is must not depend on which rows chance took */
function fit(
  rows: readonly Row[],
  all: readonly (readonly Row[])[],
  [path, test]: readonly [path: string, test: string],
  columns: readonly string[],
  targets: readonly string[],
  options: CsvOptions,
  notes: string[],
): TablePreparation {
  const classification = options.task === 'classification';
  const goals = new Set(targets);
  const chosen = options.inputs && new Set(Object.values(options.inputs).flat());
  const kindOf = (name: string): ColumnKind | undefined => {
    if (goals.has(name)) return classification ? 'category' : 'number';
    if (chosen && !chosen.has(name)) return 'ignore';
    return Object.hasOwn(options.columns, name) ? options.columns[name] : undefined;
  };
  const form = formOf(options);
  const see = (fits: readonly ColumnFit[], file: string, of: readonly Row[]) => {
    for (const { line, fields } of of) {
      const place = () => `${file}:${line}`;
      for (let index = 0; index < fits.length; index++) fits[index]!.see(fields[index]!, place);
    }
    return fits;
  };
  // Of what is declared, rows that do not fit have been left out where they are wanted.
  const whole = columns.map((name) => new ColumnFit(name, kindOf(name) && 'ignore', form));
  see(whole, path, all[0]!);
  // A file to test with begins to count anew, or where it likes.
  const numbering = whole.filter((column) => column.isRowNumber);
  if (all[1]) see(whole, test, all[1]);
  const kinds = whole.map((column) => kindOf(column.name) ?? column.kind);
  const identifier = whole.find((column) => column.isIdentifier);
  const dates = whole.find((column) => column.isDates);
  if (dates) throw new DataError(`${path}: ${dates.whyDates}`);
  if (identifier) throw new DataError(`${path}: ${identifier.whyIdentifier}`);
  const inOrder = see(
    columns.map((name, index) => new ColumnFit(name, kinds[index], form)),
    path,
    rows,
  );
  const fits = new Map(inOrder.map((column) => [column.name, column]));
  const of = (name: string) => fits.get(name)!;
  const encode = (names: readonly string[]): ColumnEncoding[] =>
    names.flatMap((name) => of(name).encoding(options.standardize) ?? []);
  const { missing } = options;
  const groups = Object.entries(options.inputs ?? {}).map(([name, own]) => ({ name, columns: encode(own) }));
  const encodings = options.inputs
    ? groups.flatMap((group) => group.columns)
    : encode(columns.filter((name) => !goals.has(name)));
  const inputs = groups.map((group) => ({ name: group.name, features: featuresOf(group.columns) }));
  if (encodings.length === 0)
    throw new DataError(`${path}: no columns are left to predict ${targets.join(', ')} from`);
  notes.push(...whole.flatMap((column) => column.note ?? []).slice(0, NAMED));
  const constant = inOrder.filter(({ name, isConstant }) => !goals.has(name) && isConstant);
  const doubtful = inOrder.flatMap(({ name, looks }) => {
    if (Object.hasOwn(options.columns, name)) return [];
    const otherwise = goals.has(name) || chosen?.has(name) ? [] : looks.otherwise();
    return [...looks.grouped(form), ...looks.marked(), ...otherwise];
  });
  const used = columns.flatMap((name, index) =>
    goals.has(name) || kinds[index] === 'ignore' ? [] : [index],
  );
  const leaks = targets.length === 1 ? leaksOf(rows, columns.indexOf(targets[0]!), used) : [];
  notes.push(
    ...sayLeaks(
      leaks.map((index) => columns[index]!),
      targets[0]!,
    ),
    ...doubtful.slice(0, NAMED),
    ...sayNumbering(numbering, chosen),
    ...sayConstant(constant),
  );
  const said = saidOf(options);
  const kept = Object.keys(said).length > 0 ? { form: said } : {};
  const base = { columns: encodings, missing, ...(options.inputs && { inputs }), ...kept };
  if (classification) return { ...base, targets: [], classes: of(targets[0]!).categories() };
  const scaled = targets.map((name) => of(name).encoding(options.standardizeTarget) as NumberEncoding);
  return { ...base, targets: scaled };
}

const ignoring = (names: readonly string[]) =>
  `data.columns: { ${names.map((name) => `${quoted(name)}: ignore`).join(', ')} }`;

/** @param chosen those that were named as inputs: whoever did that knows them */
const sayNumbering = (columns: readonly ColumnFit[], chosen: ReadonlySet<string> | undefined): string[] =>
  columns
    .filter(({ name }) => !chosen?.has(name))
    .map(
      ({ name }) =>
        `column '${name}' seems to number the rows, but is used like any other; to ignore it, set ${ignoring([name])}`,
    );

const sayLeaks = (names: readonly string[], target: string): string[] =>
  names.length === 0
    ? []
    : [
        `${names.length === 1 ? `column '${names[0]}' determines` : `columns ${few(names)} each determine`} the target '${target}' in every row, so a model learns nothing else; if new rows do not have ${names.length === 1 ? 'it' : 'them'}, set ${ignoring(names.slice(0, NAMED))}`,
      ];

/** One sentence for all: of pixels there may be many. */
function sayConstant(columns: readonly ColumnFit[]): string[] {
  if (columns.length === 0) return [];
  const names = columns.map(({ name }) => name);
  const what = names.length === 1 ? `column '${names[0]}' has` : `columns ${few(names)} have`;
  return [
    `${what} the same value in all training rows, so nothing can be learned from ${names.length === 1 ? 'it' : 'them'}; to ignore ${names.length === 1 ? 'it' : 'them'}, set ${ignoring(names.slice(0, NAMED))}`,
  ];
}

function encodePart(
  rows: readonly Row[],
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
