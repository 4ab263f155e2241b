/** Tables for classification and regression: each row a sample, one column, or several, the target. */
import { resolve } from 'node:path';
import { counted } from '@kasane/tensor/internal/counted';
import type { ArraysRead } from '../arrays.ts';
import { DataError, type TablePreparation } from '../dataset.ts';
import { listOf } from '../problems.ts';
import { checkColumns } from './check-columns.ts';
import type { CsvRow } from './csv-file.ts';
import { readRows, withTargets } from './csv-rows.ts';
import { divide, type PartName, type Parts } from './divide.ts';
import { encodePart } from './encode-part.ts';
import { fitTable } from './fit-table.ts';
import { checkLabelKind } from './label-kind.ts';
import { listed, NAMED } from './listed.ts';
import { outliersOf } from './notes/outliers.ts';
import { repeatedRows } from './notes/repeated-rows.ts';
import type { ColumnKind } from './table.ts';
import { formOf, isMissingLabel, type TableForm } from './table-form.ts';

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

/** @throws DataError naming file, line and column */
export async function readCsv(options: CsvOptions): Promise<ArraysRead> {
  const { path, test, prepared } = options;
  if (prepared) return readPrepared(options, prepared);
  const main = await readRows(path, options);
  const { columns } = main;
  const targets = [options.target].flat();
  checkColumns(options, columns, targets);
  checkLabels(options, main, targets[0]!);
  const other = test === undefined ? undefined : await readRows(test, options);
  if (other && other.columns.join('\n') !== columns.join('\n'))
    throw new DataError(
      `${test}: its columns are ${listed(other.columns)}; those of ${path} are ${listed(columns)}`,
    );
  const notes = [...main.notes, ...(other?.notes ?? [])];
  const problems: string[] = [];
  const place = { train: path, test: test ?? path };
  const usable = (rows: readonly CsvRow[], name: PartName) =>
    withTargets(rows, place[name], columns, targets, options, problems);
  const parts = other
    ? { train: usable(main.rows, 'train'), test: usable(other.rows, 'test') }
    : divide(main.rows, usable, columns.indexOf(targets[0]!), options, notes);
  requireRows(parts, place, problems, other !== undefined);
  const inFile = (rows: readonly CsvRow[]) => [...rows].sort((a, b) => a.line - b.line);
  const { preparation, notes: onColumns } = fitTable({
    rows: parts.train,
    all: other ? [inFile(parts.train), inFile(parts.test)] : [inFile([...parts.train, ...parts.test])],
    ...{ path, test: place.test, columns, targets, options },
  });
  notes.push(...onColumns);
  const encode = (name: PartName) =>
    encodePart(parts[name], place[name], columns, preparation, options, problems);
  const [train, tested] = [encode('train'), encode('test')];
  const skipped = whatIsSkipped(problems, main.rows.length + (other?.rows.length ?? 0), options);
  if (skipped) notes.push(skipped);
  const outliers = options.standardize
    ? outliersOf(path, columns, parts.train, preparation.columns, formOf(options))
    : [];
  notes.push(...outliers.slice(0, NAMED));
  // Who tests on what is trained on has said so; what an outlier makes equal is not.
  if (outliers.length === 0 && (!other || resolve(place.train) !== resolve(place.test)))
    notes.push(...repeatedRows(train, tested, place.test));
  const { classes } = preparation;
  return { train, test: tested, preparation: { table: preparation, ...(classes && { classes }) }, notes };
}

/** Whether the target has classes, where nobody has said that it has. @throws DataError */
function checkLabels(
  options: CsvOptions,
  { columns, rows }: { readonly columns: readonly string[]; readonly rows: readonly CsvRow[] },
  target: string,
): void {
  if (options.task !== 'classification' || Object.hasOwn(options.columns, target)) return;
  const at = columns.indexOf(target);
  const form = formOf(options);
  const labels = rows.flatMap(({ fields }) => (isMissingLabel(fields[at]!, form) ? [] : [fields[at]!]));
  checkLabelKind(options.path, target, labels, form);
}

/** @throws DataError when a part has no rows */
function requireRows(
  parts: Parts<readonly CsvRow[]>,
  place: Parts<string>,
  problems: readonly string[],
  apart: boolean,
): void {
  for (const name of ['train', 'test'] as const) {
    if (parts[name].length > 0) continue;
    const why = problems.length > 0 ? ` (${problems[0]})` : '';
    const add = apart || why !== '' ? 'Add rows' : 'Add rows, or set data.test to a file of test rows';
    const cure = why === '' ? add : 'Fix these rows, or add others';
    throw new DataError(`${place[name]}: no rows are left to ${name} on${why}. ${cure}`);
  }
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
    throw new DataError(
      `${path}: no rows are left to test on${skipped && `: ${skipped}`}. ${skipped ? 'Fix these rows, or add others' : 'Add rows'}`,
    );
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
