/** Fits a table: of which kind each column is, and how its values become numbers. */
import { DataError, type TablePreparation } from '../dataset.ts';
import type { CsvOptions } from './csv.ts';
import type { CsvRow } from './csv-file.ts';
import { NAMED } from './listed.ts';
import { sayConstant, sayLeaks, sayNumbering } from './notes/columns.ts';
import { leaksOf } from './notes/leaks.ts';
import { type ColumnEncoding, ColumnFit, type ColumnKind, featuresOf, type NumberEncoding } from './table.ts';
import { formOf, saidOf } from './table-form.ts';

/** What a table is fitted on. */
export interface TableToFit {
  /** To train with. */
  readonly rows: readonly CsvRow[];
  /** Of each file, in its order, also those to test with: of which kind a column is must not depend on which rows chance took. */
  readonly all: readonly [main: readonly CsvRow[], test?: readonly CsvRow[]];
  readonly path: string;
  /** Of the rows to test with. */
  readonly test: string;
  readonly columns: readonly string[];
  readonly targets: readonly string[];
  readonly options: CsvOptions;
}

/** @throws DataError naming file and column */
export function fitTable(table: TableToFit): { preparation: TablePreparation; notes: string[] } {
  const { path, rows, columns, targets, options } = table;
  const { whole, numbering, kinds } = kindsOfColumns(table);
  const fits = see(
    columns.map((name, index) => new ColumnFit(name, kinds[index], formOf(options))),
    path,
    rows,
  );
  const preparation = preparationOf(table, fits);
  const doubts = whole.flatMap((column) => column.note ?? []).slice(0, NAMED);
  const chosen = chosenInputs(options);
  const leaks =
    targets.length === 1 ? leaksOf(rows, columns.indexOf(targets[0]!), inputsOf(table, kinds)) : [];
  const notes = [
    ...doubts,
    ...sayLeaks(
      leaks.map((index) => columns[index]!),
      targets[0]!,
    ),
    ...doubtfulNumbers(table, fits).slice(0, NAMED),
    ...sayNumbering(numbering, chosen),
    ...sayConstant(fits.filter(({ name, isConstant }) => !targets.includes(name) && isConstant)),
  ];
  return { preparation, notes };
}

/** Of a model with input layers, what goes in. */
const chosenInputs = ({ inputs }: CsvOptions) => inputs && new Set(Object.values(inputs).flat());

/** Places of the columns that go in. */
const inputsOf = ({ columns, targets }: TableToFit, kinds: readonly ColumnKind[]): number[] =>
  columns.flatMap((name, index) => (targets.includes(name) || kinds[index] === 'ignore' ? [] : [index]));

function see(fits: readonly ColumnFit[], file: string, rows: readonly CsvRow[]): readonly ColumnFit[] {
  for (const { line, fields } of rows) {
    const place = () => `${file}:${line}`;
    for (let index = 0; index < fits.length; index++) fits[index]!.see(fields[index]!, place);
  }
  return fits;
}

/** Decides on all rows of which kind each column is. @returns also the columns as seen, and those that number the rows */
function kindsOfColumns({ all: [main, other], path, test, columns, targets, options }: TableToFit) {
  const goals = new Set(targets);
  const chosen = chosenInputs(options);
  const saidKind = (name: string): ColumnKind | undefined => {
    if (goals.has(name)) return options.task === 'classification' ? 'category' : 'number';
    if (chosen && !chosen.has(name)) return 'ignore';
    return Object.hasOwn(options.columns, name) ? options.columns[name] : undefined;
  };
  // Of what is declared, rows that do not fit have been left out where they are wanted.
  const whole = columns.map((name) => new ColumnFit(name, saidKind(name) && 'ignore', formOf(options)));
  see(whole, path, main);
  // A file to test with begins to count anew, or where it likes.
  const numbering = whole.filter((column) => column.isRowNumber);
  if (other) see(whole, test, other);
  const kinds = whole.map((column) => saidKind(column.name) ?? column.kind);
  const identifier = whole.find((column) => column.isIdentifier);
  const dates = whole.find((column) => column.isDates);
  if (dates) throw new DataError(`${path}: ${dates.whyDates}`);
  if (identifier) throw new DataError(`${path}: ${identifier.whyIdentifier}`);
  return { whole, numbering, kinds };
}

/** @param fits of the training rows, in the order of the columns */
function preparationOf(
  { path, columns, targets, options }: TableToFit,
  fits: readonly ColumnFit[],
): TablePreparation {
  const { missing, inputs: layers } = options;
  const byName = new Map(fits.map((column) => [column.name, column]));
  const of = (name: string) => byName.get(name)!;
  const encode = (names: readonly string[]): ColumnEncoding[] =>
    names.flatMap((name) => of(name).encoding(options.standardize) ?? []);
  const groups = Object.entries(layers ?? {}).map(([name, own]) => ({ name, columns: encode(own) }));
  const encodings = layers
    ? groups.flatMap((group) => group.columns)
    : encode(columns.filter((name) => !targets.includes(name)));
  const inputs = groups.map((group) => ({ name: group.name, features: featuresOf(group.columns) }));
  if (encodings.length === 0)
    throw new DataError(`${path}: no columns are left to predict ${targets.join(', ')} from`);
  const said = saidOf(options);
  const kept = Object.keys(said).length > 0 ? { form: said } : {};
  const base = { columns: encodings, missing, ...(layers && { inputs }), ...kept };
  if (options.task === 'classification')
    return { ...base, targets: [], classes: of(targets[0]!).categories() };
  const scaled = targets.map((name) => of(name).encoding(options.standardizeTarget) as NumberEncoding);
  return { ...base, targets: scaled };
}

/** Notes on numbers that may be something else. */
function doubtfulNumbers({ targets, options }: TableToFit, fits: readonly ColumnFit[]): string[] {
  const form = formOf(options);
  const chosen = chosenInputs(options);
  return fits.flatMap(({ name, looks }) => {
    if (Object.hasOwn(options.columns, name)) return [];
    const otherwise = targets.includes(name) || chosen?.has(name) ? [] : looks.otherwise();
    return [...looks.grouped(form), ...looks.marked(), ...otherwise];
  });
}
