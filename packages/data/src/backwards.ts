/** Rows from newest to oldest, where nothing sorts them: a forecast from them would be of the past. */
import { areCompactDates, isDate, readCompact, readDate } from './read-time.ts';

/** 31.12.2026 or 12/31/26, whatever follows. */
const DAY_OR_MONTH_FIRST = /^(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d\d)(?!\d)/;

/**
 * Days as numbers that grow with them, in each way that dates may be meant: where the day or the month may be first, in both. Empty where
 * some are no dates.
 */
export function daysOf(texts: readonly string[]): number[][] {
  const dates = texts.map((text) => DAY_OR_MONTH_FIRST.exec(text)?.slice(1).map(Number));
  if (dates.some((date) => date === undefined)) return [];
  return [
    [0, 1],
    [1, 0],
  ].flatMap(([day, month]) =>
    dates.every((date) => date![month!]! <= 12)
      ? [dates.map((date) => 10_000 * date![2]! + 100 * date![month!]! + date![day!]!)]
      : [],
  );
}

export const rises = (times: readonly number[]): boolean =>
  times.every((time, i) => time >= (times[i - 1] ?? time));
const falls = (times: readonly number[]): boolean =>
  times.every((time, i) => time <= (times[i - 1] ?? time)) && times[0] !== times.at(-1);

/** Of fewer dates the order may be chance. */
const FEWEST = 3;

/** How dates follow each other. */
export interface Direction {
  readonly way: 'rise' | 'fall';
  /** Whether they can be sorted: it is known which number is the day. */
  readonly isRead: boolean;
}

/** Undefined for what is in no order, and for plain numbers, of which nobody knows that they are times. */
export function directionOf(texts: readonly string[]): Direction | undefined {
  if (texts.length < FEWEST) return undefined;
  const read = texts.every(isDate) ? readDate : areCompactDates(texts) ? readCompact : undefined;
  const ways = read ? [texts.flatMap((text) => read(text) ?? [])] : daysOf(texts);
  const way = ways.some(rises) ? 'rise' : ways.some(falls) ? 'fall' : undefined;
  return way && { way, isRead: read !== undefined };
}
