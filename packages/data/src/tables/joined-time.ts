/** Times that a file spreads over several columns: a date and an hour, or a year, a month and a day. */
import { isDate, readCompact } from './read-time.ts';

/** 7, 07, 7.0, 24. */
const HOUR = /^(\d{1,2})(?:\.0+)?$/;
/** 7:00, 07:00:00.5. */
const CLOCK = /^\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?$/;
const YEAR = /^[12]\d{3}$/;

/** Whether it is a time of day by itself. */
export const isClock = (text: string): boolean => CLOCK.test(text);
/** Whether it may be the hour of a day: some count them from 0, and some from 1. */
export const isHour = (text: string): boolean => HOUR.test(text) && Number(text) <= 24;

const two = (text: string) => String(Number(text)).padStart(2, '0');
const areNumbers = (texts: readonly string[]) => texts.every((text) => HOUR.test(text));

/**
 * One text of the parts of a time, from the largest to the smallest, which `readDate` reads; they stand side by side where it is none.
 * Empty where a part is.
 */
export function joinTime(parts: readonly string[]): string {
  if (parts.some((part) => part === '')) return '';
  const asTheyAre = parts.join(' ');
  const [first, ...others] = parts as [string, ...string[]];
  const dateParts = YEAR.test(first) ? 3 : 1;
  const date = dateOf(parts.slice(0, dateParts));
  const rest = others.slice(dateParts - 1);
  if (date === undefined) return asTheyAre;
  if (rest.length === 0) return date;
  const [only] = rest;
  if (rest.length === 1 && CLOCK.test(only!)) return `${date} ${only}`;
  if (rest.length > 3 || !areNumbers(rest)) return asTheyAre;
  const [hour, minute = '0', second = '0'] = rest.map(two);
  return `${date} ${hour}:${two(minute)}:${two(second)}`;
}

/** The day, or the month, that the parts of a date name. */
function dateOf(parts: readonly string[]): string | undefined {
  const [first, ...others] = parts as [string, ...string[]];
  if (YEAR.test(first))
    return others.length > 0 && areNumbers(others) ? [first, ...others.map(two)].join('-') : undefined;
  const compact = first.length === 8 ? readCompact(first) : undefined;
  if (compact !== undefined) return new Date(compact).toISOString().slice(0, 10);
  // A date of a day, without a time of day.
  return isDate(first) && !first.includes(':') ? first : undefined;
}
