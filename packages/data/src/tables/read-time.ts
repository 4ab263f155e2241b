/**
 * Times as files write them: numbers, ISO 8601, dates with an English month, and dates without separators. Dates whose day, month and year
 * could be swapped are none.
 */
import { inPlainNotation, readNumber, type TableForm } from './table-form.ts';

/** 2026-01-31, 2026/1/31, 2026.01.31, 2026-01, 2026/01: the year is first, so the month is second. */
const DATE = /^(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|[-/](\d\d))/;
/** 31 Jan 2026, 31-January-2026, Jan 31, 2026, 2026-Jan-31, Jan 2026: in 31-Jan-26 either number could be the year. */
const NAMED_MONTHS = [
  /^(?<day>\d{1,2})(?<sign>[ -])(?<month>[a-z]{3,9})\.?\k<sign>(?<year>\d{4})(?!\d)/i,
  /^(?<month>[a-z]{3,9})\.? (?<day>\d{1,2}),? (?<year>\d{4})(?!\d)/i,
  /^(?<year>\d{4})(?<sign>[ -])(?<month>[a-z]{3,9})\.?\k<sign>(?<day>\d{1,2})(?!\d)/i,
  /^(?<month>[a-z]{3,9})\.?[ -](?<year>\d{4})$/i,
];
const MONTHS = [
  ...['january', 'february', 'march', 'april', 'may', 'june'],
  ...['july', 'august', 'september', 'october', 'november', 'december'],
];
/** 2026年1月31日. */
const EAST_ASIAN_DATE = /^(\d{4})年(\d{1,2})月(?:(\d{1,2})日)?/;
/** 2026-Q1, 2026Q1. */
const QUARTER = /^(\d{4})[- ]?Q([1-4])$/i;
/** T12:00, 9:30:15.5, with a zone or without. */
const TIME_OF_DAY =
  /^(?:T| {1,2})(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:\s?(?:Z|UTC|GMT|([+-])(\d\d):?(\d\d)?(?: UTC| GMT)?))?$/i;
/** 20260131, 202601, 202601311200, 20260131T120000. */
const COMPACT = /^((?:19|20)\d\d)(\d\d)(?:(\d\d)(?:T?([01]\d|2[0-3])([0-5]\d)([0-5]\d)?)?)?$/;
/** 31/01/2026, 1.31.26, 2026/1/31 noon, 31-Jan-26, 31 Mai 2026: with or without a time of day. */
const OTHER_DATE =
  /^(\d{4}([./-])\d{1,2}\2\d{1,2}|\d{1,2}([./-])\d{1,2}\3(\d{4}|\d\d)|\d{1,2}[ -][a-z]{3,9}[ -]\d{2,4}|[a-z]{3,9} \d{1,2},? \d{4})([T ,].*)?$/i;

const [EPOCH_FROM, EPOCH_TO] = [Date.UTC(2000, 0), Date.UTC(2100, 0)];

/** Whether it may be milliseconds since 1970, as JavaScript and most databases write times: of one from 2000 to 2100. */
export const isEpochMs = (value: number): boolean =>
  value >= EPOCH_FROM && value < EPOCH_TO && Number.isInteger(value);

/** A time as a number; undefined when it is none. */
export type TimeReader = (text: string) => number | undefined;

/** Whether it is written as a date, though not in a way that is read. */
export const isOtherDate = (text: string): boolean => !isDate(text) && OTHER_DATE.test(text);

/** Whether it is a date as they are read, though there may be no such day. */
export const isDate = (text: string): boolean => partsOf(text) !== undefined;

/** Whether numbers are dates without separators. Months alone, as 202601, are few digits for a chance: then every value must be one. */
export function areCompactDates(values: readonly string[]): boolean {
  const dates = values.filter((text) => readCompact(text) !== undefined);
  const length = dates[0]?.length;
  if (length === undefined || dates.some((text) => text.length !== length)) return false;
  return length > 6 ? 2 * dates.length >= values.length : dates.length === values.length;
}

/** Numbers, and dates that begin with the year. */
export const timeReader =
  (form: TableForm): TimeReader =>
  (text) =>
    readNumber(text, form) ?? readDate(text);

/** Digits that every number holds. */
const HELD_DIGITS = 15;

/** A time of which a number alone would lose digits: of today's, it holds microseconds, and no nanoseconds. */
export interface ExactTime {
  readonly time: number;
  /** To be added to it. */
  readonly rest: number;
}

/** @param text which was read as `time` */
export function exactTime(text: string, time: number, form: TableForm): ExactTime {
  const below = Number(`0.${partsOf(text)?.time?.[4]?.slice(3) ?? ''}0`);
  if (below > 0) return { time: Math.round(time - below), rest: below };
  const plain = inPlainNotation(text, form) ?? '';
  const [, sign, whole, digits = ''] = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(plain) ?? [];
  if (whole === undefined || whole.length + digits.length <= HELD_DIGITS) return { time, rest: 0 };
  const part = withoutZeros(digits);
  if (whole.length + part.length <= HELD_DIGITS) return { time, rest: 0 };
  const near = Number(whole);
  const rest = Number(BigInt(whole) - BigInt(near)) + Number(`0.${part}0`);
  return sign === '-' ? { time: -near, rest: -rest } : { time: near, rest };
}

/** Without zeros at its end. A pattern for them takes a second for each ten thousand. */
function withoutZeros(digits: string): string {
  let length = digits.length;
  while (digits[length - 1] === '0') length--;
  return digits.slice(0, length);
}

/** How much later `one` is; 0 only of the same time. */
export const timeBetween = (one: ExactTime, other: ExactTime): number =>
  one.time - other.time + (one.rest - other.rest);

export function readCompact(text: string): number | undefined {
  const [, year, month, day = '01', hour = '00', minute = '00', second = '00'] = COMPACT.exec(text) ?? [];
  if (year === undefined || !isDay(year, month!, day)) return undefined;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

interface DateParts {
  readonly year: string;
  readonly month: string;
  readonly day: string;
  readonly time: RegExpExecArray | undefined;
}

/** The number of a month by its English name, or its first letters. */
function monthOf(name: string): string | undefined {
  const word = name.toLowerCase();
  const at = MONTHS.findIndex((month) => word === month || word === month.slice(0, 3));
  return word === 'sept' ? '9' : at < 0 ? undefined : String(at + 1);
}

function partsWithName(text: string): DateParts | undefined {
  for (const form of NAMED_MONTHS) {
    const found = form.exec(text);
    const { year, month: name, day } = found?.groups ?? {};
    const month = name === undefined ? undefined : monthOf(name);
    if (!found || month === undefined) continue;
    const rest = text.slice(found[0].length);
    const time = TIME_OF_DAY.exec(rest) ?? undefined;
    if (rest === '' || time) return { year: year!, month, day: day ?? '1', time };
  }
  return undefined;
}

/** The hour of a date that has one, and names no zone. */
export function localHour(text: string): number | undefined {
  const { time } = partsOf(text) ?? {};
  return !time || /(?:Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)$/i.test(time[0]) ? undefined : Number(time[1]);
}

/** Whether a date with a time of day names its zone; undefined for what has no time of day. */
export function namesZone(text: string): boolean | undefined {
  const { time } = partsOf(text) ?? {};
  return time ? localHour(text) === undefined : undefined;
}

function partsOf(text: string): DateParts | undefined {
  const [, quartered, quarter] = QUARTER.exec(text) ?? [];
  if (quartered !== undefined)
    return { year: quartered, month: String(3 * Number(quarter) - 2), day: '1', time: undefined };
  const east = EAST_ASIAN_DATE.exec(text);
  const found = DATE.exec(text) ?? east;
  if (!found) return partsWithName(text);
  const [whole, year] = found;
  const [month, day] = east ? [east[2], east[3]] : [found[3] ?? found[5], found[4]];
  const rest = text.slice(whole.length);
  const time = day === undefined ? null : TIME_OF_DAY.exec(rest);
  if (rest !== '' && !time) return undefined;
  return { year: year!, month: month!, day: day ?? '1', time: time ?? undefined };
}

/** Milliseconds since 1970. Of no zone: that of no place, where each day has 24 hours. */
export function readDate(text: string): number | undefined {
  const { year, month, day, time } = partsOf(text) ?? {};
  if (year === undefined || !isDay(year, month!, day!)) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (!time) return date.getTime();
  const [, hour, minute, second = '0', fraction = '0', sign, zoneHour = '0', zoneMinute = '0'] = time;
  const [h, m, s] = [Number(hour), Number(minute), Number(`${second}.${fraction}`)];
  // 24:00 is the end of the day.
  if (h > 24 || m > 59 || s >= 60 || (h === 24 && m + s > 0)) return undefined;
  const [zh, zm] = [Number(zoneHour), Number(zoneMinute)];
  if (zh > 23 || zm > 59) return undefined;
  const ahead = (sign === '-' ? -1 : 1) * (60 * zh + zm);
  return date.getTime() + 60_000 * (60 * h + m - ahead) + 1000 * s;
}

function isDay(year: string, month: string, day: string): boolean {
  const [m, d] = [Number(month), Number(day)];
  return m >= 1 && m <= 12 && d >= 1 && d <= new Date(Date.UTC(Number(year), m, 0)).getUTCDate();
}
