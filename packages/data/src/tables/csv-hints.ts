/** What is likely wrong with a CSV file whose rows do not fit its header, and which option says otherwise. */
import { counted } from '@kasane/tensor/internal/counted';
import { DataError } from '../dataset.ts';
import { namedColumns } from './empty-columns.ts';
import { readNumber, type TableForm } from './table-form.ts';

export interface FirstRow {
  readonly line: number;
  readonly fields: readonly string[];
}

/** Rows after the header that are looked at, and those of them that must fit it. */
export const FIRST_ROWS = 200;
const FITTING_ROWS = 10;

const shown = (delimiter: string) => (delimiter === '\t' ? '"\\t"' : `'${delimiter}'`);
const cut = (text: string) => (text.length > 40 ? `${text.slice(0, 40)}...` : text);

/**
 * Refuses a file of which not even the first rows fit.
 * @param header the first row. @param rows those after it, FIRST_ROWS at most
 * @throws DataError
 */
export function checkHeader(
  path: string,
  header: FirstRow,
  rows: readonly FirstRow[],
  form: TableForm,
): void {
  const { fields, line } = header;
  const [first] = rows;
  const next = rows.slice(0, FITTING_ROWS);
  const [, sep] = /^sep=(.?)$/i.exec(fields.join(form.delimiter)) ?? [];
  if (sep !== undefined)
    throw new DataError(
      `${path}:${line}: '${cut(fields.join(form.delimiter))}' tells Excel which delimiter to use. Set data.skipLines: ${line} and data.delimiter: ${shown(sep || '\t')}`,
    );
  if (fields.some((name) => name.includes('\0')))
    throw new DataError(
      `${path}:${line}: it contains NUL characters: it is either not text or UTF-16. If it is UTF-16, set data.encoding: utf-16le`,
    );
  const wrong = next.every((row) => row.fields.length !== fields.length);
  if (first && (wrong || fields.length === 1)) {
    const other = delimiterOf(fields, first.fields, form.delimiter);
    if (other)
      throw new DataError(
        `${path}:${line}: '${cut(fields.join(form.delimiter))}' has no ${shown(form.delimiter)}, but ${shown(other)}. Set data.delimiter: ${shown(other)}`,
      );
  }
  if (first && wrong && rows.length > 0 && fields.length < first.fields.length)
    throw new DataError(titleMessage(path, header, first, form));
  checkNames(path, header, rows, form);
}

function titleMessage(path: string, { fields, line }: FirstRow, first: FirstRow, form: TableForm): string {
  const [text = ''] = fields;
  const what = `${path}:${line}: '${cut(fields.join(', '))}' names ${counted(fields.length, 'column')}, but line ${first.line} has ${counted(first.fields.length, 'field')}`;
  const [, mark] = /^(#|%|\/\/|;)/.exec(text) ?? [];
  if (mark) return `${what}. If it is a comment, set data.comment: "${mark}"`;
  if (first.fields.length === fields.length + 1 && first.fields.at(-1) === '')
    return `${what}, the last one empty. Remove the delimiter from the ends of the lines`;
  const opened = first.fields.findIndex((field) => /^'[^']*$/.test(field));
  if (form.quote !== "'" && opened >= 0 && first.fields.slice(opened).some((field) => /^[^']*'$/.test(field)))
    return `${what}. If ' encloses fields, set data.quote: "'"`;
  // R's write.table names no column for them.
  if (first.fields.length === fields.length + 1 && fields.length > 1)
    return `${what}. If the first of them is a row number or name, as R writes it, add a name for that column to the header, or write the file with row.names = FALSE. If line ${line} is a title, set data.skipLines: ${line}`;
  return `${what}. If it is a title, set data.skipLines: ${line}; otherwise fix the header`;
}

/**
 * Whether rows that commas cut are rather cut by semicolons: each has as many, with a number like 2,5 between them. Spreadsheets write so
 * wherever the comma is the decimal sign.
 */
export function isBySemicolons(rows: readonly (readonly string[])[]): boolean {
  const cut = rows.map((fields) => fields.join(',').split(';'));
  const [first] = cut;
  return (
    first !== undefined &&
    first.length > 1 &&
    cut.every(
      (parts) => parts.length === first.length && parts.some((part) => /^\s*[+-]?\d+,\d+\s*$/.test(part)),
    )
  );
}

/** Another delimiter, of which header and row have as many. */
function delimiterOf(
  header: readonly string[],
  row: readonly string[],
  delimiter: string,
): string | undefined {
  if (header.length > 1) return undefined;
  const [a, b] = [header, row].map((fields) => fields.join(delimiter)) as [string, string];
  const count = (text: string, sign: string) => text.split(sign).length - 1;
  return [';', '\t', '|', ',', ' ']
    .filter((sign) => sign !== delimiter)
    .find((sign) => count(a, sign) > 0 && count(a, sign) === count(b, sign));
}

function checkNames(path: string, header: FirstRow, rows: readonly FirstRow[], form: TableForm): void {
  const { fields, line } = header;
  const places = new Map<string, number>();
  for (const [index, name] of fields.entries()) {
    const before = places.get(name);
    places.set(name, index);
    if (before === undefined || isRow(header, rows, form)) continue;
    // Spreadsheets write empty columns after the last one: whoever reads the rows takes them off.
    if (name === '' && index >= namedColumns(fields)) continue;
    const what = name === '' ? 'have no names' : `are both named '${cut(name)}'`;
    throw new DataError(
      `${path}:${line}: columns ${before + 1} and ${index + 1} ${what}. Give each column a unique name`,
    );
  }
  if (form.header !== undefined || !isRow(header, rows, form)) return;
  if (form.delimiter === ',' && isBySemicolons([header, ...rows].map((row) => row.fields)))
    throw new DataError(
      `${path}:${line}: the first row, '${cut(fields.join(','))}', and those after it contain numbers with ',' between ';'. Set data.delimiter: ';', data.decimal: ',' and data.header: false. If ',' separates fields, set data.header`,
    );
  const what = fields.every((name) => readNumber(name, form) !== undefined)
    ? 'consists of numbers'
    : 'looks like the rows below it';
  throw new DataError(
    `${path}:${line}: the first row, '${cut(fields.join(', '))}', ${what}. Set data.header: false if it is a row of data, or true if it contains the column names`,
  );
}

/** Whether the first row is no header by the look of it: values where names would be, or most words of it again below. */
export function isRow({ fields }: FirstRow, below: readonly FirstRow[], form: TableForm): boolean {
  if (form.header !== undefined) return false;
  const values = fields.flatMap((name) => readNumber(name, form) ?? []);
  const step = values[1]! - values[0]!;
  // Pixels by number, years: names as good as any.
  const counted =
    values.length > 1 &&
    values.every((value, i) => Number.isInteger(value) && value >= 0 && value === values[0]! + i * step) &&
    step > 0;
  if (values.length === fields.length) return !(counted && step === 1);
  // Files that were put together bring their headers along, but hardly so soon.
  const rows = below.filter((row, at) => at < FITTING_ROWS || row.fields.join('\n') !== fields.join('\n'));
  const recurs = fields.map((name, at) => name !== '' && rows.some((row) => row.fields[at] === name));
  const words = fields.flatMap((name, at) =>
    name === '' || readNumber(name, form) !== undefined ? [] : [at],
  );
  const again = words.filter((at) => recurs[at]).length;
  if (values.length === 0 || counted) return fields.length > 1 && again > 0 && 2 * again >= words.length;
  if (values.some((value) => !Number.isInteger(value) || value < 0)) return true;
  return 2 * values.length >= fields.length && values.length > 1 ? true : recurs.some(Boolean);
}

/** Why a row does not fit. */
export function rowProblem(path: string, columns: readonly string[], row: FirstRow, form: TableForm): string {
  const { fields, line } = row;
  const what = `${path}:${line}: ${counted(fields.length, 'field')}; the header has ${columns.length}`;
  if (fields.length === columns.length + 1 && fields.at(-1) === '')
    return `${what}. The line ends with ${shown(form.delimiter)}`;
  if (fields.length === columns.length - 1 && columns.at(-1) === '')
    return `${what}. The header ends with ${shown(form.delimiter)}`;
  if (fields.length === 1 && columns.length > 1 && form.comment === '') {
    const [, mark] = /^(#|%|\/\/)/.exec(fields[0]!) ?? [];
    if (mark) return `${what}. If it is a comment, set data.comment: "${mark}"`;
  }
  return what;
}
