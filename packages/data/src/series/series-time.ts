/** The times of a series' rows: which column has them, and whether they ascend without gaps. */
import { counted } from '@kasane/tensor/internal/counted';
import { DataError } from '../dataset.ts';
import { type CsvRow, skippedRows } from '../tables/csv-file.ts';
import { joinTime } from '../tables/joined-time.ts';
import {
  areCompactDates,
  exactTime,
  isDate,
  isOtherDate,
  readCompact,
  type TimeReader,
  timeBetween,
  timeReader,
} from '../tables/read-time.ts';
import { isMissing, type TableForm } from '../tables/table-form.ts';
import { directionOf } from './backwards.ts';
import { checkGaps, checkOrder, checkZones, WAY_OUT } from './check-times.ts';
import { repeated, severalSeries } from './several-series.ts';

export interface TimeOptions {
  /**
   * Column of the time of each row: numbers, or dates that begin with the year; or several, such as a date and an hour. Default: one that is
   * called so, or has such dates.
   */
  readonly time?: string | readonly string[] | undefined;
  /** check: rows that are not in order of time are refused. sort: they are sorted. file: they are taken as they stand. Default check. */
  readonly order?: 'check' | 'sort' | 'file' | undefined;
  /** Times further apart than the others. Default fail. */
  readonly gaps?: 'fail' | 'accept' | undefined;
  /** Of rows without a time that can be read, as of rows with too few or too many fields. */
  readonly onDamaged: 'fail' | 'skip';
}

/** The same, with one column of times. */
type OneTime = Omit<TimeOptions, 'time'> & { readonly time?: string | undefined };

/** A file whose times are in one column: parts of times are joined in one behind the others. */
export interface JoinedTimes {
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
  readonly time: string | undefined;
  /** Columns of the file that have them. */
  readonly parts: readonly string[];
}

/** @throws DataError naming a part that is no column */
export function joinTimes(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  time: TimeOptions['time'],
  form: TableForm,
): JoinedTimes {
  const parts = time === undefined ? [] : [time].flat();
  const strange = parts.find((name) => !columns.includes(name));
  if (strange !== undefined)
    throw new DataError(
      `${path}: there is no column '${strange}' (data.time) to order the rows by; its columns are: ${columns.slice(0, 50).join(', ')}`,
    );
  if (parts.length <= 1) return { columns, rows, time: parts[0], parts };
  const places = parts.map((name) => columns.indexOf(name));
  const name = parts.join(' + ');
  const textOf = ({ fields }: CsvRow) =>
    joinTime(places.map((at) => (isMissing(fields[at]!, form) ? '' : fields[at]!)));
  return {
    columns: [...columns, name],
    rows: rows.map((row) => ({ ...row, fields: [...row.fields, textOf(row)] })),
    time: name,
    parts,
  };
}

/** What rows are ordered by. */
export interface TimeColumn {
  readonly name: string;
  readonly at: number;
  readonly read: TimeReader;
  /** Whether they are dates, which are no quantities. */
  readonly isDate: boolean;
}

const NAMES = /^(time|date|datetime|timestamp|ts|ds|t)$/i;
/** The forms that are read, as a message lists them. */
const DATES = 'dates such as 2026-01-31, 2026/01/31 12:00, 31 Jan 2026, 20260131, 2026-01 or 2026-Q1';
/**
 * The column of times, the named one or one that looks like it; undefined when there is none, or none is asked for.
 * @param notes takes what was guessed, a sentence each
 * @throws DataError naming a column that seems to have the times, but in a form that is not read
 */
export function timeColumn(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  { time, order }: OneTime,
  form: TableForm,
  notes: string[],
): TimeColumn | undefined {
  if (order === 'file') {
    requireForwards(path, columns, rows, time, form);
    notes.push(...mixed(path, columns, rows, time, form));
    return undefined;
  }
  const at = time === undefined ? findTime(path, columns, rows, form) : columns.indexOf(time);
  if (at === undefined) {
    const parts = partsOfTime(columns);
    const how =
      parts.length > 1 ? `; to order them by these columns, set data.time: [${parts.join(', ')}]` : '';
    notes.push(
      `${path}: no time column was found, so rows keep the order of the file${how || '; to choose a column, set data.time'}`,
    );
    return undefined;
  }
  const name = columns[at]!;
  const texts = rows.map(({ fields }) => fields[at]!).filter((text) => !isMissing(text, form));
  const compact = areCompactDates(texts);
  if (time === undefined)
    notes.push(`${path}: column '${name}' is used as the time of the rows; to change this, set data.time`);
  if (compact) notes.push(`${path}: column '${name}' is read as dates: ${example(texts)}`);
  return {
    name,
    at,
    read: compact ? readCompact : timeReader(form),
    isDate: compact || texts.some(isDate),
  };
}

/** Columns that have a part of a time each, by their names. */
function partsOfTime(columns: readonly string[]): readonly string[] {
  const parts = [
    /^(year|yr|年)$/i,
    /^(month|mon|月)$/i,
    /^(day|日)$/i,
    /^(hour|hr|時)$/i,
    /^(minute|min|分)$/i,
  ];
  const found = parts.map((name) => columns.find((column) => name.test(column)));
  const lacking = found.indexOf(undefined);
  return found.slice(0, lacking < 0 ? found.length : lacking) as string[];
}

function example(texts: readonly string[]): string {
  const first = texts.find((text) => readCompact(text) !== undefined)!;
  return `${first} is ${new Date(readCompact(first)!).toISOString().replace('T00:00:00.000Z', '').replace('.000Z', '')}`;
}

/**
 * The rows in order of time, and the usual step from one to the next, if there is one.
 * @param notes takes what was left out
 * @throws DataError naming the line that has no time, is out of order, or after a gap
 */
export function inOrderOfTime(
  path: string,
  { name, at, read }: TimeColumn,
  columns: readonly string[],
  rows: readonly CsvRow[],
  { order = 'check', gaps = 'fail', onDamaged }: OneTime,
  form: TableForm,
  notes: string[],
): { readonly rows: readonly CsvRow[]; readonly step: number | undefined } {
  const damaged: string[] = [];
  const timed = rows.flatMap((row) => {
    const time = read(row.fields[at]!);
    if (time === undefined) damaged.push(noTime(path, name, row, row.fields[at]!, form));
    return time === undefined ? [] : [{ row, ...exactTime(row.fields[at]!, time, form) }];
  });
  if (damaged.length > 0 && onDamaged === 'fail') {
    const more = damaged.length > 1 ? ` (and ${damaged.length - 1} more)` : '';
    throw new DataError(
      `${damaged[0]}${more}. Write numbers, or ${DATES}; set data.onDamaged: skip to skip such rows, ${WAY_OUT}`,
    );
  }
  if (damaged.length > 0) notes.push(skippedRows(damaged, timed.length));
  checkZones(path, name, timed, at);
  if (order === 'sort') timed.sort(timeBetween);
  checkOrder(path, name, columns, timed, at);
  const steps = timed.slice(1).map((one, i) => timeBetween(one, timed[i]!));
  const step = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)];
  if (gaps === 'fail' && step !== undefined) checkGaps(path, name, timed, at, steps, step);
  return { rows: timed.map(({ row }) => row), step };
}

/** A column of dates, whether they are read or not, that goes from the newest to the oldest, if none goes the other way. */
function backwards(
  columns: readonly string[],
  rows: readonly CsvRow[],
  places: readonly number[],
  form: TableForm,
): { readonly what: string; readonly isRead: boolean } | undefined {
  const found = places.flatMap((at) => {
    const dates = rows.map(({ fields }) => fields[at]!).filter((text) => !isMissing(text, form));
    const direction = directionOf(dates);
    if (!direction) return [];
    const [from, to] = direction.ends.map((text) => text.slice(0, 40));
    return { ...direction, what: `column '${columns[at]}' goes from ${from} down to ${to}` };
  });
  return found.some(({ way }) => way === 'rise') ? undefined : found[0];
}

/** @throws DataError where the order of the file is the reverse of that of time: what would be told is the past */
function requireForwards(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  time: string | undefined,
  form: TableForm,
): void {
  const named = time === undefined ? -1 : columns.indexOf(time);
  const found = backwards(columns, rows, named < 0 ? columns.map((_, at) => at) : [named], form);
  if (!found) return;
  const right = found.isRead ? 'Set data.order: sort, or reverse' : 'Reverse';
  throw new DataError(
    `${path}: the newest row comes first (${found.what}), so data.order: file would forecast the past. ${right} the rows of the file`,
  );
}

/** What whoever wants the rows as they stand should hear of times that are there twice, and of rows that have none. */
function mixed(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  time: string | undefined,
  form: TableForm,
): string[] {
  const at = time === undefined ? readableTime(columns, rows, form) : columns.indexOf(time);
  if (at === undefined || at < 0) return [];
  const compact = areCompactDates(
    rows.map(({ fields }) => fields[at]!).filter((text) => !isMissing(text, form)),
  );
  const read = compact ? readCompact : timeReader(form);
  const timed = rows.flatMap((row) => {
    const value = read(row.fields[at]!);
    return value === undefined ? [] : [{ row, ...exactTime(row.fields[at]!, value, form) }];
  });
  const notes: string[] = [];
  const unread = rows.filter(({ fields }) => read(fields[at]!) === undefined);
  if (timed.length > 0 && unread.length > 0 && unread.length <= timed.length) {
    const what = noTime(path, columns[at]!, unread[0]!, unread[0]!.fields[at]!, form);
    const more = unread.length > 1 ? ` (and ${counted(unread.length - 1, 'more row')})` : '';
    notes.push(`${what}${more}; the row is part of the series all the same (data.order: file)`);
  }
  const twice = repeated(timed);
  if (!twice) return notes;
  const { row, first } = twice;
  const several = severalSeries(twice, columns, timed, at);
  const what = `${path}: ${columns[at]} ${row.fields[at]} is repeated on lines ${first.line} and ${row.line}`;
  return [
    ...notes,
    several
      ? `${what}. ${several}. Windows mix rows of one time (data.order: file)`
      : `${what}; windows use both rows, in the order of the file (data.order: file)`,
  ];
}

function noTime(path: string, name: string, { line }: CsvRow, text: string, form: TableForm): string {
  const what = isMissing(text, form) ? 'is missing' : `is '${text.slice(0, 40)}'`;
  const why = isDate(text)
    ? ', but that time does not exist'
    : isMissing(text, form)
      ? ''
      : ', which is not a time';
  return `${path}:${line}: ${name} ${what}${why}`;
}

/** Whether at least half of a column's values are such, and one at least. */
function most(rows: readonly CsvRow[], at: number, form: TableForm, is: (text: string) => boolean): boolean {
  const texts = rows.map(({ fields }) => fields[at]!).filter((text) => !isMissing(text, form));
  const count = texts.filter(is).length;
  return count > 0 && 2 * count >= texts.length;
}

/** A column of dates, or one of times by its name. One bad value does not hide it: most are enough. */
function readableTime(
  columns: readonly string[],
  rows: readonly CsvRow[],
  form: TableForm,
): number | undefined {
  const read = timeReader(form);
  const places = columns.map((_, at) => at);
  const named = places.filter((at) => NAMES.test(columns[at]!));
  return (
    named.find((at) => most(rows, at, form, (text) => read(text) !== undefined)) ??
    places.find((at) => most(rows, at, form, isDate)) ??
    places.find(
      (at) =>
        most(rows, at, form, (text) => text.length >= 8) &&
        areCompactDates(rows.map(({ fields }) => fields[at]!)),
    )
  );
}

/** @throws DataError when what seems to be the column of times is written in another way */
function findTime(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  form: TableForm,
): number | undefined {
  const found = readableTime(columns, rows, form);
  if (found !== undefined) return found;
  const places = columns.map((_, at) => at);
  const other =
    places.find((at) => most(rows, at, form, isOtherDate)) ??
    places.find((at) => NAMES.test(columns[at]!) && most(rows, at, form, () => true));
  if (other === undefined) return undefined;
  const row = rows.find(({ fields }) => !isMissing(fields[other]!, form))!;
  const wayOut = backwards(columns, rows, [other], form)
    ? 'or reverse the rows of the file, whose first is the newest, and set data.order: file'
    : WAY_OUT;
  throw new DataError(
    `${path}:${row.line}: column '${columns[other]}' seems to contain the times of the rows, but '${row.fields[other]!.slice(0, 40)}' cannot be read as a time. Write ${DATES}, name another column with data.time, ${wayOut}`,
  );
}
