/** Rows from newest to oldest, where nothing sorts them: a forecast from them would be of the past. */
import { areCompactDates, isDate, readCompact, readDate } from '../tables/read-time.ts';

/** 31.12.2026 or 12/31/26, whatever follows. */
const DAY_OR_MONTH_FIRST = /^(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d\d)(?!\d)/;

/** 2026-02-04 07:05 PM, 1992-W16, 2026年2月4日 7時: the year, and what follows it in the order of its weight. */
const YEAR_FIRST = /^\D?(\d{4})\D/;

/** A number that grows with a date that begins with the year, in whatever form. */
function rankOf(text: string): number | undefined {
  if (!YEAR_FIRST.test(text)) return undefined;
  const [year, month = 0, day = 0, hour = 0, minute = 0] = (text.match(/\d+/g) ?? []).map(Number);
  // 12 is the hour before 1.
  const ofDay = /[ap]m\b|午[前後]/i.test(text) ? (hour % 12) + (/pm\b|午後/i.test(text) ? 12 : 0) : hour;
  return [year!, month, day, ofDay, minute].reduce((rank, part) => 100 * rank + part, 0);
}

/**
 * Days as numbers that grow with them, in each way that dates may be meant: where the day or the month may be first, in both. Empty where
 * most are no dates; a few that are none say nothing of the others.
 */
export function daysOf(texts: readonly string[]): number[][] {
  const dates = texts.flatMap((text) => {
    const found = DAY_OR_MONTH_FIRST.exec(text);
    return found ? [found.slice(1).map(Number)] : [];
  });
  if (!areMost(dates, texts)) return [];
  return [
    [0, 1],
    [1, 0],
  ].flatMap(([day, month]) =>
    dates.every((date) => date[month!]! <= 12)
      ? [dates.map((date) => 10_000 * date[2]! + 100 * date[month!]! + date[day!]!)]
      : [],
  );
}

/** Whether at least half of a column is in `some` of it. */
const areMost = (some: readonly unknown[], all: readonly unknown[]) => 2 * some.length >= all.length;

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
  /** The first and the last date. */
  readonly ends: readonly [string, string];
}

/** Undefined for what is in no order, and for plain numbers, of which nobody knows that they are times. */
export function directionOf(texts: readonly string[]): Direction | undefined {
  if (texts.length < FEWEST) return undefined;
  const isCompact = !areMost(texts.filter(isDate), texts) && areCompactDates(texts);
  const isOther = (text: string) => DAY_OR_MONTH_FIRST.test(text) || YEAR_FIRST.test(text);
  const dates = isCompact ? texts : texts.filter((text) => isDate(text) || isOther(text));
  const read = isCompact ? readCompact : dates.every(isDate) ? readDate : undefined;
  if (!areMost(dates, texts)) return undefined;
  const ranks = dates.flatMap((text) => rankOf(text) ?? []);
  const inDoubt = areMost(ranks, dates) ? [ranks] : daysOf(dates);
  const ways = read ? [dates.flatMap((text) => read(text) ?? [])] : inDoubt;
  const way = ways.some(rises) ? 'rise' : ways.some(falls) ? 'fall' : undefined;
  return way && { way, isRead: read !== undefined, ends: [dates[0]!, dates.at(-1)!] };
}
