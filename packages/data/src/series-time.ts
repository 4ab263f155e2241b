/** The times of a series' rows: which column has them, and whether they ascend without gaps. */
import type { CsvRow } from './csv-file.ts';
import { DataError } from './dataset.ts';
import { readNumber, type TableForm } from './table-form.ts';

export interface TimeOptions {
  /** Column of the time of each row: numbers, or dates as ISO 8601 writes them. Default: one that is called so, or has such dates. */
  readonly time?: string | undefined;
  /** check: rows that are not in order of time are refused. sort: they are sorted. file: they are taken as they stand. Default check. */
  readonly order?: 'check' | 'sort' | 'file' | undefined;
  /** Times further apart than the others. Default fail. */
  readonly gaps?: 'fail' | 'accept' | undefined;
}

const NAMES = /^(time|date|datetime|timestamp|ts|ds|t)$/i;
const ISO = /^\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?\s?(Z|[+-]\d\d(:?\d\d)?)?)?)?$/i;
/** A row so many usual steps after the one before it has something missing before it: months differ in length, and clocks drift. */
const GAP = 1.5;

/** A time as a number; undefined when it is none. */
export function readTime(text: string, form: TableForm): number | undefined {
  const value = readNumber(text, form);
  if (value !== undefined || !ISO.test(text)) return value;
  const plain = text.replace(/\s/, 'T').replace(/\s/, '').replace(',', '.');
  // Of no zone: that of no place, where each day has 24 hours.
  const zoned = plain.length <= 10 || /(Z|[+-]\d\d(:?\d\d)?)$/i.test(plain.slice(10)) ? plain : `${plain}Z`;
  const parsed = Date.parse(
    zoned
      .replace(/([+-]\d\d)(\d\d)$/, '$1:$2')
      .replace(/([+-]\d\d)$/, (zone, _, at) => (at > 10 ? `${zone}:00` : zone)),
  );
  return Number.isNaN(parsed) ? undefined : parsed;
}

/**
 * The rows in order of time.
 * @param notes takes what was guessed, a sentence each
 * @throws DataError naming the line that is out of order, or after a gap
 */
export function inOrderOfTime(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  options: TimeOptions,
  form: TableForm,
  notes: string[],
): readonly CsvRow[] {
  const { time, order = 'check', gaps = 'fail' } = options;
  if (order === 'file') return rows;
  if (time !== undefined && !columns.includes(time))
    throw new DataError(
      `${path}: there is no column '${time}' (data.time); there are: ${columns.slice(0, 50).join(', ')}`,
    );
  const at = time === undefined ? findTime(columns, rows, form) : columns.indexOf(time);
  if (at === undefined) {
    notes.push(
      `${path}: no column of times was found; rows are taken in the order of the file (data.time names the column)`,
    );
    return rows;
  }
  const name = columns[at]!;
  const timed = rows.map((row) => ({ row, time: timeOf(path, name, row, row.fields[at]!, form) }));
  if (order === 'sort') timed.sort((a, b) => a.time - b.time);
  else checkOrder(path, name, timed, at);
  if (gaps === 'fail') checkGaps(path, name, timed, at);
  if (time === undefined)
    notes.push(`${path}: column '${name}' is taken for the time of the rows (data.time decides)`);
  return timed.map(({ row }) => row);
}

interface Timed {
  readonly row: CsvRow;
  readonly time: number;
}

function timeOf(path: string, name: string, { line }: CsvRow, text: string, form: TableForm): number {
  const value = readTime(text, form);
  if (value !== undefined) return value;
  throw new DataError(
    `${path}:${line}: ${name} is '${text.slice(0, 40)}', which is no time. A number or a date such as 2026-01-31 12:00 is expected, or set data.order: file`,
  );
}

/** A column of dates, or one of times by its name. */
function findTime(columns: readonly string[], rows: readonly CsvRow[], form: TableForm): number | undefined {
  const all = (at: number, is: (text: string) => boolean) =>
    rows.length > 0 && rows.every(({ fields }) => is(fields[at]!));
  const places = columns.map((_, at) => at);
  return (
    places.find((at) => NAMES.test(columns[at]!) && all(at, (text) => readTime(text, form) !== undefined)) ??
    places.find((at) => all(at, (text) => ISO.test(text) && readTime(text, form) !== undefined))
  );
}

function checkOrder(path: string, name: string, rows: readonly Timed[], at: number): void {
  for (const [i, { row, time }] of rows.entries()) {
    const before = rows[i - 1];
    if (!before || time > before.time) continue;
    const [here, there] = [row, before.row].map(({ fields }) => fields[at]!);
    if (time === before.time)
      throw new DataError(
        `${path}:${row.line}: ${name} ${here} is there twice, on line ${before.row.line} too. Keep one row of each time, or set data.order: file to take the rows as they stand`,
      );
    throw new DataError(
      `${path}:${row.line}: ${name} ${here} comes after ${there} on line ${before.row.line}. Set data.order: sort to sort the rows by time, or file to take them as they stand`,
    );
  }
}

function checkGaps(path: string, name: string, rows: readonly Timed[], at: number): void {
  const steps = rows.slice(1).map(({ time }, i) => time - rows[i]!.time);
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)];
  if (usual === undefined || usual <= 0) return;
  const wide = steps.flatMap((step, i) => (step > GAP * usual ? [i + 1] : []));
  const [first] = wide;
  if (first === undefined) return;
  const [before, after] = [rows[first - 1]!.row, rows[first]!.row];
  const more = wide.length > 1 ? ` (and ${wide.length - 1} more gaps)` : '';
  throw new DataError(
    `${path}:${after.line}: ${name} goes from ${before.fields[at]} to ${after.fields[at]}, ${Number((steps[first - 1]! / usual).toPrecision(3))} times the usual step${more}. Fill in the rows between, or set data.gaps: accept`,
  );
}
