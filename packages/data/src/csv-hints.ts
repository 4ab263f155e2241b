/** What is likely wrong with a CSV file whose rows do not fit its header, and which option says otherwise. */
import { DataError } from './dataset.ts';
import { readNumber, type TableForm } from './table-form.ts';

export interface FirstRow {
  readonly line: number;
  readonly fields: readonly string[];
}

/** Rows after the header that are looked at. */
export const FIRST_ROWS = 10;

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
  if (fields.some((name) => name.includes('\0')))
    throw new DataError(
      `${path}:${line}: it holds NUL characters: it is no text, or UTF-16. Set data.encoding: utf-16le if it is that`,
    );
  const wrong = rows.every((row) => row.fields.length !== fields.length);
  if (first && (wrong || fields.length === 1)) {
    const other = delimiterOf(fields, first.fields, form.delimiter);
    if (other)
      throw new DataError(
        `${path}:${line}: '${cut(fields.join(form.delimiter))}' has no ${shown(form.delimiter)}, but ${shown(other)}. Set data.delimiter: ${shown(other)}`,
      );
  }
  if (first && wrong && rows.length > 0 && fields.length < first.fields.length)
    throw new DataError(titleMessage(path, header, first));
  checkNames(path, header, form);
}

function titleMessage(path: string, { fields, line }: FirstRow, first: FirstRow): string {
  const [text = ''] = fields;
  const what = `${path}:${line}: '${cut(fields.join(', '))}' names ${fields.length} columns, but line ${first.line} has ${first.fields.length} fields`;
  const [, mark] = /^(#|%|\/\/|;)/.exec(text) ?? [];
  if (mark) return `${what}. If it is a comment, set data.comment: "${mark}"`;
  if (first.fields.length === fields.length + 1 && first.fields.at(-1) === '')
    return `${what}, the last one empty. Remove what separates fields from the ends of the lines`;
  return `${what}. If it is a title, set data.skipLines: ${line}; otherwise fix the header`;
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
  return [';', '\t', '|', ',']
    .filter((sign) => sign !== delimiter)
    .find((sign) => count(a, sign) > 0 && count(a, sign) === count(b, sign));
}

function checkNames(path: string, { fields, line }: FirstRow, form: TableForm): void {
  const places = new Map<string, number>();
  for (const [index, name] of fields.entries()) {
    const before = places.get(name);
    places.set(name, index);
    if (before === undefined) continue;
    const what = name === '' ? 'have no name' : `are both called '${cut(name)}'`;
    throw new DataError(
      `${path}:${line}: columns ${before + 1} and ${index + 1} ${what}. Give each column a name of its own`,
    );
  }
  if (form.header !== undefined) return;
  const values = fields.map((name) => readNumber(name, form));
  const counted = values.every((value, index) => value === index + (values[0] ?? 0)) && values.length > 1;
  if (values.some((value) => value === undefined) || counted) return;
  throw new DataError(
    `${path}:${line}: the first row, '${cut(fields.join(', '))}', consists of numbers. Set data.header: false if it is a row like the others, true if these are the names of the columns`,
  );
}

/** Why a row does not fit. */
export function rowProblem(path: string, columns: readonly string[], row: FirstRow, form: TableForm): string {
  const { fields, line } = row;
  const what = `${path}:${line}: ${fields.length} fields; the header has ${columns.length}`;
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
