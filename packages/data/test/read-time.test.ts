/** Dates with the name of a month, as spreadsheets and reports write them. */
import { expect, it } from 'vitest';
import {
  exactTime,
  isDate,
  isOtherDate,
  readDate,
  timeBetween,
  timeReader,
} from '../src/tables/read-time.ts';
import { plainForm } from '../src/tables/table-form.ts';

it.each([
  ['31 Jan 2026', '2026-01-31'],
  ['31-Jan-2026', '2026-01-31'],
  ['1 September 2026', '2026-09-01'],
  ['Jan 31, 2026', '2026-01-31'],
  ['Sept. 3 2026', '2026-09-03'],
  ['2026-Jan-31', '2026-01-31'],
  ['31 JAN 2026 12:30', '2026-01-31T12:30'],
  ['Feb 2026', '2026-02-01'],
])('%s is %s', (text, iso) => {
  expect(readDate(text)).toBe(
    Date.parse(`${iso}${iso.includes('T') ? ':00' : 'T00:00'}Z`.replace(':00:00Z', ':00Z')),
  );
});

it.each([
  '31-Jan-26',
  '05-Jan-26',
  '31 Mai 2026',
  'Jan 31',
  '31 Janu 2026',
  '31 Jan 2026 noon',
  '31 Jan-2026',
])('which number is the day, or what the month is, is not guessed: %s', (text) => {
  expect(readDate(text)).toBeUndefined();
  expect(isDate(text)).toBe(false);
});

it('a day that there is not is none, and what is not read is seen to be a date', () => {
  expect(readDate('31 Feb 2026')).toBeUndefined();
  expect(isDate('31 Feb 2026')).toBe(true);
  expect(isOtherDate('31-Jan-26')).toBe(true);
});

it('times compare by all their digits, however many there are', () => {
  const at = (text: string) => exactTime(text, timeReader(plainForm)(text)!, plainForm);
  const zeros = '0'.repeat(200_000);
  expect(timeBetween(at(`1.5${zeros}`), at('1.5'))).toBe(0);
  expect(timeBetween(at(`-1${zeros.slice(0, 17)}1`), at(`-1${zeros.slice(0, 17)}3`))).toBe(2);
  expect(timeBetween(at('1770000000.1234567890'), at('1770000000.123456788'))).toBeGreaterThan(0);
  expect(timeBetween(at('1e3'), at('1000'))).toBe(0);
  expect(at(`1${zeros.slice(0, 100)}`).rest).not.toBeNaN();
});
