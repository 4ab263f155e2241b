/** Series whose times are spread over columns: a date and an hour, or a year, a month and a day. */
import { expect, it } from 'vitest';
import { joinTime } from '../src/tables/joined-time.ts';
import { readDate } from '../src/tables/read-time.ts';
import { lines, tableFiles } from './support/table-files.ts';

const { series } = tableFiles();
const day = (i: number) => `2026-01-${String(1 + Math.floor(i / 24)).padStart(2, '0')}`;
const hours = (count: number, head: string, time: (i: number) => string) =>
  `${head},v\n${lines(count, (i) => `${time(i)},${(37 * i) % 101}`)}`;

it.each([
  [['2026-01-31', '7'], '2026-01-31T07:00Z'],
  [['2026-01-31', '07:30'], '2026-01-31T07:30Z'],
  [['31 Jan 2026', '7:30:15'], '2026-01-31T07:30:15Z'],
  [['20260131', '24'], '2026-02-01T00:00Z'],
  [['2026', '1', '31'], '2026-01-31T00:00Z'],
  [['2026', '1', '31', '7.0', '5'], '2026-01-31T07:05Z'],
  [['2026', '2'], '2026-02-01T00:00Z'],
])('%j is one time', (parts, time) => {
  expect(readDate(joinTime(parts))).toBe(Date.parse(time));
});

it.each([
  [['2026-01-31', '25']],
  [['07:00', '2026-01-31']],
  [['2026', '13', '1']],
  [['2026-01-31', '']],
  [['2026-01-31', '7', 'x']],
  [['2026-01-31 05:00', '7']],
])('%j is none', (parts) => {
  expect(readDate(joinTime(parts))).toBeUndefined();
});

it.each([
  ['hours as numbers', 'date,hour', (i: number) => `${day(i)},${i % 24}`, ['date', 'hour']],
  ['times of day', 'Date,Time', (i: number) => `${day(i)},${i % 24}:00:00`, ['Date', 'Time']],
  ['numbers', 'y,m,d,h', (i: number) => `2026,1,${1 + Math.floor(i / 24)},${i % 24}`, ['y', 'm', 'd', 'h']],
])('data.time takes several columns: %s', async (_, head, time, columns) => {
  const content = hours(100, head, time);
  const { preparation } = await series(content, { time: columns });
  expect(preparation).toMatchObject({ time: columns, step: 3_600_000 });
  // They are the time, and no features.
  expect(preparation.columns).toHaveLength(1);
  const gap = content.split('\n').toSpliced(50, 1).join('\n');
  await expect(series(gap, { time: columns })).rejects.toThrow(/2 times the usual step/);
});

it('parts of the time are features where data.columns lists them', async () => {
  const content = hours(100, 'date,hour', (i) => `${day(i)},${i % 24}`);
  const { preparation } = await series(content, { time: ['date', 'hour'], columns: ['hour', 'v'] });
  expect(preparation.columns).toHaveLength(2);
});

it.each([
  [
    'date,Time',
    (i: number) => `${day(i)},${i % 24}:00`,
    /Column 'Time' seems to contain the times of day\. Set data\.time: \[date, Time\]/,
  ],
  [
    'date,hour',
    (i: number) => `${day(i)},${i % 24}`,
    /If column 'hour' contains the hours of the day, set data\.time: \[date, hour\]/,
  ],
])('a date that is repeated for %s names the columns to read together', async (head, time, says) => {
  await expect(series(hours(100, head, time))).rejects.toThrow(says);
});

it('columns called year, month and day are named where no time was found', async () => {
  const content = hours(100, 'year,month,day', (i) => `${2000 + Math.floor(i / 28)},1,${1 + (i % 28)}`);
  expect((await series(content)).notes.join('\n')).toContain('set data.time: [year, month, day]');
});

it('a part that is no column is named', async () => {
  const content = hours(100, 'date,hour', (i) => `${day(i)},${i % 24}`);
  await expect(series(content, { time: ['date', 'clock'] })).rejects.toThrow(
    /there is no column 'clock' \(data\.time\)/,
  );
});
