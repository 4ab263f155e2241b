/** The rows of a table, and which of them can be used. */

import type { CsvOptions } from './csv.ts';
import { type CsvRow, openCsvFile, skippedRows } from './csv-file.ts';
import { widthWithoutEmpty } from './empty-columns.ts';
import { totalsRow } from './notes/totals-row.ts';
import { noNumber } from './table.ts';
import { formOf, isMissing, isMissingLabel, readNumber } from './table-form.ts';

/** The rows of a file without its empty columns, and what is noted of them. */
export async function readRows(path: string, options: CsvOptions) {
  const file = await openCsvFile(path, options);
  const rows: CsvRow[] = [];
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
export function withTargets(
  rows: readonly CsvRow[],
  path: string,
  columns: readonly string[],
  targets: readonly string[],
  options: CsvOptions,
  problems: string[],
): CsvRow[] {
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
