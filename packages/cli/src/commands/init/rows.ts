/** How a table is written, as `kasane init` guesses it by its first rows. Every guess is told. */

import { openRegular } from '@kasane/data/internal/files/regular-file';
import { recordKind } from '@kasane/data/internal/records/record-file';
import { openCsvFile } from '@kasane/data/internal/tables/csv-file';
import { FIRST_ROWS, isBySemicolons, isRow } from '@kasane/data/internal/tables/csv-hints';
import {
  formOf,
  looksLikeNumber,
  notationsOf,
  readNumber,
  saidOf,
  type TableForm,
} from '@kasane/data/internal/tables/table-form';
import { KasaneError } from '@kasane/protocol/errors';
import { asData } from '../data/data.ts';
import { wordsOf } from './columns.ts';

/** Rows that a guess is made from, and those that show how they are written. */
const ROWS = 10_000;
const FIRST = 20;
const DELIMITERS = [',', ';', '\t', '|'];
/** Words of a name at most: what has more in each row, the first one too, is a text. */
const NAME_WORDS = 5;

/** A table as far as it was looked at. */
export interface Look {
  readonly path: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** How it is written, where that is not the default. */
  readonly said: Partial<TableForm>;
  readonly form: TableForm;
}

type Table = Pick<Look, 'columns' | 'rows'>;

/** @throws KasaneError USAGE when what was given is not one character, or none where that may be */
function requireSign(
  key: 'delimiter' | 'quote',
  { [key]: value = ',' }: Readonly<Record<string, unknown>>,
  least: 0 | 1,
): void {
  if (typeof value === 'string' && value.length >= least && value.length <= 1) return;
  const wanted = least === 1 ? 'one character, such as ";", or "\\t" for a tab' : 'one character, or none';
  throw new KasaneError('USAGE', `--set ${key}: expected ${wanted}`);
}

/**
 * @param given what was said of the data
 * @param target that was named, if one was
 * @param guesses takes a sentence each, with what decides otherwise
 * @throws KasaneError DATA_INVALID
 */
export async function lookAt(
  path: string,
  given: Readonly<Record<string, unknown>>,
  target: unknown,
  guesses: string[],
): Promise<Look> {
  if (recordKind(path)) {
    const { columns, rows } = await readRows(path, given);
    return { path, columns, rows, said: {}, form: formOf({}) };
  }
  requireSign('delimiter', given, 1);
  requireSign('quote', given, 0);
  const excel = 'skipLines' in given || 'delimiter' in given ? undefined : await excelSign(path);
  if (excel !== undefined) guesses.push('its first line is for Excel and is skipped (data.skipLines)');
  const before: Partial<TableForm> = {
    ...given,
    ...(excel !== undefined && { skipLines: 1, delimiter: excel }),
  };
  const signs = await guessSigns(path, before);
  if (signs.delimiter !== ',' && !('delimiter' in given))
    guesses.push(
      `fields are separated by ${signs.delimiter === '\t' ? 'tabs' : `'${signs.delimiter}'`} (data.delimiter)`,
    );
  if (signs.quote === '' && !('quote' in given))
    guesses.push('quotation marks are read as ordinary characters (data.quote)');
  const header = 'header' in given ? {} : await guessHeader(path, { ...before, ...signs }, target);
  if (header.header === false)
    guesses.push(
      'the first row looks like the rows below it, so columns are named 1, 2 and so on (--set header=true if it contains their names)',
    );
  const written = { ...before, ...signs, ...header };
  const { columns, rows } = await readRows(path, written);
  const notation =
    given.decimal === undefined && given.thousands === undefined ? guessNotation(rows, formOf(written)) : {};
  for (const [key, value] of Object.entries(notation))
    guesses.push(
      `numbers are read with '${value}' as their ${key === 'decimal' ? 'decimal sign' : 'thousands separator'} (data.${key})`,
    );
  const said = saidOf({ ...written, ...notation });
  return { path, columns, rows, said, form: formOf(said) };
}

type Signs = Pick<TableForm, 'delimiter'> & Partial<Pick<TableForm, 'quote'>>;

/**
 * The sign by which the file falls into most columns, as many in each of its first rows; spaces only where no other does, and no commas within
 * numbers.
 */
async function guessSigns(path: string, said: Partial<TableForm>): Promise<Signs> {
  const columnsBy = async (signs: Signs) => {
    // Names are looked at later.
    const found = await readRows(path, { header: false, ...said, ...signs }, FIRST).catch(() => undefined);
    return { signs, columns: found?.columns.length ?? 0, rows: found?.rows ?? [] };
  };
  const one = said.delimiter;
  const counts = await Promise.all(
    (one === undefined ? DELIMITERS : [one]).map((delimiter) => columnsBy({ delimiter })),
  );
  const [best] = counts.sort((a, b) => b.columns - a.columns);
  if (best!.signs.delimiter === ',' && one === undefined && isBySemicolons(best!.rows))
    return { delimiter: ';' };
  const isTabs = best!.columns <= 1 || best!.signs.delimiter === '\t';
  if (said.quote === undefined && isTabs && (one ?? '\t') === '\t') {
    // What is written with tabs is often written without quotation marks, and texts hold some: seen only in all of them.
    const quoted = best!.columns > 1 && (await isRead(path, { header: false, ...said, ...best!.signs }));
    const plain = { delimiter: '\t', quote: '' };
    if (
      !quoted &&
      (await columnsBy(plain)).columns > 1 &&
      (await isRead(path, { header: false, ...said, ...plain }))
    )
      return plain;
  }
  if (best!.columns > 1 || one !== undefined) return best!.signs;
  const spaces = await columnsBy({ delimiter: ' ' });
  return spaces.columns > 1 ? spaces.signs : { delimiter: ',' };
}

const isRead = (path: string, form: Partial<TableForm>): Promise<boolean> =>
  readRows(path, form).then(
    () => true,
    () => false,
  );

/** Whether the first row is one like the others, by what stands in it. */
async function guessHeader(
  path: string,
  said: Partial<TableForm>,
  target: unknown,
): Promise<{ readonly header?: false }> {
  const { rows } = await readRows(path, { ...said, header: false }, 1 + FIRST_ROWS);
  const [first, ...others] = rows.map((fields, at) => ({ line: at + 1, fields }));
  if (!first || others.length === 0) return {};
  // Whoever names a column has seen its name.
  if (first.fields.some((name) => name === target)) return {};
  const isText = (text: string) => wordsOf(text) > NAME_WORDS;
  const texts = first.fields.some(
    (name, at) =>
      isText(name) && 2 * others.filter(({ fields }) => isText(fields[at]!)).length > others.length,
  );
  return texts || isRow(first, others, formOf(said)) ? { header: false } : {};
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
    const file = await openCsvFile(path, { ...form, onDamaged: most === FIRST ? 'fail' : 'skip' });
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
