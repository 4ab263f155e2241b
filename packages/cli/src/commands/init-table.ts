/** What `kasane init` makes of a CSV file: how it is written, what is predicted, and of which kind that is. Every guess is told. */

import { openCsvFile } from '@kasane/data/csv-file';
import { openRegular } from '@kasane/data/regular-file';
import { ColumnFit } from '@kasane/data/table';
import {
  formOf,
  isMissing,
  looksLikeNumber,
  notationsOf,
  readNumber,
  saidOf,
  type TableForm,
} from '@kasane/data/table-form';
import { counted } from '@kasane/tensor/counted';
import { asData } from './data.ts';

/** A column with more different values than this, all numbers, is a quantity. */
const MOST_CLASSES = 20;
/** Rows that a guess is made from. */
const ROWS = 10_000;
const DELIMITERS = [',', ';', '\t', '|', ' '];

export interface TableGuess {
  readonly data: { readonly format: 'csv' } & Readonly<Record<string, unknown>>;
  /** A sentence each, with what decides otherwise. */
  readonly guesses: readonly string[];
}

/**
 * @param given what was said of the data
 * @param ask which of the columns is predicted; the answer when nobody says it is the last
 */
export async function guessTable(
  path: string,
  given: Readonly<Record<string, unknown>>,
  target: string | undefined,
  ask: (columns: readonly string[]) => Promise<string>,
): Promise<TableGuess> {
  const guesses: string[] = [];
  const excel = 'skipLines' in given || 'delimiter' in given ? undefined : await excelSign(path);
  if (excel !== undefined) guesses.push("its first line is Excel's and is left out (data.skipLines)");
  const said: Partial<TableForm> = {
    ...given,
    ...(excel !== undefined && { skipLines: 1, delimiter: excel }),
  };
  const delimiter = said.delimiter ?? (await guessDelimiter(path, said));
  if (delimiter !== ',' && !('delimiter' in given))
    guesses.push(
      `fields are separated by ${delimiter === '\t' ? 'tabs' : `'${delimiter}'`} (data.delimiter)`,
    );
  const { columns, rows } = await readRows(path, { ...said, delimiter });
  const notation =
    said.decimal === undefined && said.thousands === undefined ? guessNotation(rows, formOf(said)) : {};
  for (const [key, value] of Object.entries(notation))
    guesses.push(
      `numbers are read with '${value}' as their ${key === 'decimal' ? 'decimal sign' : 'thousands separator'} (data.${key})`,
    );
  const form = formOf({ ...said, delimiter, ...notation });
  const chosen = target ?? (await ask(columns));
  if (target === undefined) guesses.push(`column '${chosen}' is predicted (data.target)`);
  const left = 'columns' in given ? {} : leftOut(columns, rows, chosen, form, guesses);
  const gaps =
    'missing' in given ? {} : missingNumbers(columns, rows, [chosen, ...Object.keys(left)], form, guesses);
  const base = {
    ...({ format: 'csv', path, ...saidOf({ ...said, delimiter, ...notation }), target: chosen } as const),
    ...(Object.keys(left).length > 0 && { columns: left }),
    ...gaps,
  };
  if ('task' in given) return { data: { ...base, ...given }, guesses };
  const quantity = await isQuantity(path, chosen, columns.indexOf(chosen), rows, form);
  const task = quantity ? 'regression' : 'classification';
  guesses.push(`${quantity ? 'its values are numbers' : 'its values are classes'}: a ${task} (data.task)`);
  return { data: { ...base, task, ...(quantity && { standardizeTarget: true }), ...given }, guesses };
}

/** How a column's values look, all of them. */
function fitOf(name: string, at: number, rows: Table['rows'], form: TableForm): ColumnFit {
  const fit = new ColumnFit(name, undefined, form);
  for (const fields of rows) fit.see(fields[at]!, () => name);
  return fit;
}

const NUMBERING = 'seems to number the rows';

/** Columns that would only harm: row numbers, dates, a text of its own in each row, or hardly a value. */
function leftOut(
  columns: readonly string[],
  rows: Table['rows'],
  target: string,
  form: TableForm,
  guesses: string[],
): Record<string, 'ignore'> {
  const found = columns.flatMap((name, at) => {
    if (name === target) return [];
    const values = rows.filter((fields) => !isMissing(fields[at]!, form)).length;
    const fit = fitOf(name, at, rows, form);
    if (2 * values < rows.length)
      return { name, why: `has a value in only ${values} of ${counted(rows.length, 'row')}` };
    if (fit.isRowNumber) return { name, why: NUMBERING };
    if (fit.isDates) return { name, why: 'holds dates, which are no categories' };
    return !fit.isDoubtful && fit.isIdentifier
      ? { name, why: 'has a value of its own in nearly every row' }
      : [];
  });
  // What only seems to number the rows may be all that there is to learn from.
  const some = found.length < columns.length - 1 ? found : found.filter(({ why }) => why !== NUMBERING);
  for (const { name, why } of some) guesses.push(`column '${name}' ${why}: it is left out (data.columns)`);
  return Object.fromEntries(some.map(({ name }) => [name, 'ignore']));
}

/** What becomes of rows that lack a number. */
function missingNumbers(
  columns: readonly string[],
  rows: Table['rows'],
  others: readonly string[],
  form: TableForm,
  guesses: string[],
): { readonly missing?: 'mean' } {
  const numbers = columns.flatMap((name, at) => {
    if (others.includes(name)) return [];
    const fit = fitOf(name, at, rows, form);
    return !fit.isDoubtful && fit.kind === 'number' ? [at] : [];
  });
  const lacking = rows.filter((fields) => numbers.some((at) => isMissing(fields[at]!, form))).length;
  if (lacking === 0) return {};
  guesses.push(
    `${lacking} of ${counted(rows.length, 'row')} ${lacking === 1 ? 'lacks' : 'lack'} a number, which counts as the mean of its column (data.missing: fail with data.onDamaged: skip leaves such rows out)`,
  );
  return { missing: 'mean' };
}

/** The sign by which the file falls into most columns, as many in each of its first rows. */
async function guessDelimiter(path: string, said: Partial<TableForm>): Promise<string> {
  const counts = await Promise.all(
    DELIMITERS.map(async (delimiter) => {
      const found = await readRows(path, { ...said, delimiter }, 20).catch(() => undefined);
      return { delimiter, columns: found?.columns.length ?? 0 };
    }),
  );
  const [best] = counts.sort((a, b) => b.columns - a.columns);
  return best!.columns > 1 ? best!.delimiter : ',';
}

interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The sign that a first line `sep=;` names for Excel. */
async function excelSign(path: string): Promise<string | undefined> {
  const file = await asData(() => openRegular(path));
  try {
    const [, sign] = /^(?:\ufeff)?sep=(.)\r?\n/i.exec((await file.read(0, 16)).toString()) ?? [];
    return sign;
  } finally {
    await file.close();
  }
}

const readRows = (path: string, form: Partial<TableForm>, most = ROWS): Promise<Table> =>
  asData(async () => {
    const file = await openCsvFile(path, { ...form, onDamaged: most === ROWS ? 'skip' : 'fail' });
    const rows: (readonly string[])[] = [];
    for await (const { fields } of file.rows()) {
      rows.push(fields);
      if (rows.length === most) break;
    }
    return { columns: file.columns, rows };
  });

/** How numbers are written, where the values leave no doubt; nothing where they do, and the reader then says so. */
function guessNotation(rows: Table['rows'], form: TableForm): Partial<TableForm> {
  const odd = new Set<string>();
  for (const fields of rows) {
    for (const text of fields) {
      if (odd.size < 1000 && readNumber(text, form) === undefined && looksLikeNumber(text)) odd.add(text);
    }
  }
  const found = notationsOf([...odd]);
  return found.length === 1 ? saidOf(found[0]!) : {};
}

/** @throws KasaneError DATA_INVALID when the values do not tell */
async function isQuantity(
  path: string,
  name: string,
  at: number,
  rows: Table['rows'],
  form: TableForm,
): Promise<boolean> {
  if (at < 0) return false;
  const fit = new ColumnFit(name, undefined, form, 'set data.task with --set task=classification');
  for (const fields of rows) fit.see(fields[at]!, () => path);
  const values = new Set(rows.map((fields) => fields[at]!).filter((text) => !isMissing(text, form)));
  return asData(async () => fit.kind === 'number' && values.size > MOST_CLASSES);
}
