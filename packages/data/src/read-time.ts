/** Times as files write them: numbers, ISO 8601, and dates without separators. Dates whose day and month could be swapped are none. */
import { readNumber, type TableForm } from './table-form.ts';

const ISO = /^(\d{4})-(\d\d)(?:-(\d\d)([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?\s?(Z|[+-]\d\d(:?\d\d)?)?)?)?$/i;
/** 20260131, 202601, 202601311200, 20260131T120000. */
const COMPACT = /^((?:19|20)\d\d)(\d\d)(?:(\d\d)(?:T?([01]\d|2[0-3])([0-5]\d)([0-5]\d)?)?)?$/;
/** 31/01/2026, 1.31.26, 2026/1/31, 31 Jan 2026, Jan 31, 2026: with or without a time of day. */
const OTHER_DATE =
  /^(\d{4}([./-])\d{1,2}\2\d{1,2}|\d{1,2}([./-])\d{1,2}\3(\d{4}|\d\d)|\d{1,2}[ -][a-z]{3,9}[ -]\d{2,4}|[a-z]{3,9} \d{1,2},? \d{4})([T ,].*)?$/i;

/** A time as a number; undefined when it is none. */
export type TimeReader = (text: string) => number | undefined;

/** Whether it is written as a date, though not in a way that is read. */
export const isOtherDate = (text: string): boolean => OTHER_DATE.test(text);

/** Whether ISO 8601 writes a date so, though there may be no such day. */
export const isIsoDate = (text: string): boolean => ISO.test(text);

/** Whether numbers are dates without separators. Months alone, as 202601, are few digits for a chance: then every value must be one. */
export function areCompactDates(values: readonly string[]): boolean {
  const dates = values.filter((text) => readCompact(text) !== undefined);
  const length = dates[0]?.length;
  if (length === undefined || dates.some((text) => text.length !== length)) return false;
  return length > 6 ? 2 * dates.length >= values.length : dates.length === values.length;
}

/** Numbers, and dates as ISO 8601 writes them. */
export const timeReader =
  (form: TableForm): TimeReader =>
  (text) =>
    readNumber(text, form) ?? readIso(text);

export function readCompact(text: string): number | undefined {
  const [, year, month, day = '01', hour = '00', minute = '00', second = '00'] = COMPACT.exec(text) ?? [];
  if (year === undefined || !isDay(year, month!, day)) return undefined;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function readIso(text: string): number | undefined {
  const [, year, month, day = '01'] = ISO.exec(text) ?? [];
  // Date.parse takes 30 February for a day in March.
  if (year === undefined || !isDay(year, month!, day)) return undefined;
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

function isDay(year: string, month: string, day: string): boolean {
  const [m, d] = [Number(month), Number(day)];
  return m >= 1 && m <= 12 && d >= 1 && d <= new Date(Date.UTC(Number(year), m, 0)).getUTCDate();
}
