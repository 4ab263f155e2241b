/** Series whose times are there more than once: one row too many, or several series in one file. */
import { expect, it } from 'vitest';
import { lines, tableFiles } from './support/table-files.ts';

const { series } = tableFiles();
const day = (i: number) => `2026-01-${String(i + 1).padStart(2, '0')}`;
const shops = ['Kobe', 'Osaka', 'Kyoto', 'Nara'];
/** Of each day a row of each shop; or of each shop, all days. */
const byDay = `date,shop,sales\n${lines(80, (i) => `${day(i >> 2)},${shops[i % 4]},${(37 * i) % 101}`)}`;
const byShop = `date,shop,sales\n${lines(80, (i) => `${day(i % 20)},${shops[Math.floor(i / 20)]},${(37 * i) % 101}`)}`;

it.each([
  ['a day after the other', byDay, /:3: date 2026-01-01 is repeated; it is already on line 2\. /],
  ['a shop after the other', byShop, /:22: date 2026-01-01 is repeated; it is already on line 2\. /],
])('several series are named with the column that tells them apart: %s', async (_, content, place) => {
  for (const order of ['check', 'sort'] as const) {
    const why = await series(content, { order }).catch((error: Error) => error.message);
    expect(why).toMatch(place);
    expect(why).toMatch(
      /several series, one per value of column 'shop': Kobe, Osaka, Kyoto, ... \(4 in all\)\. Write one file per series, and train on one of them$/,
    );
    expect(why).not.toMatch(/order/);
  }
});

it('numbers may tell them apart, and what differs by chance does not', async () => {
  const content = `date,sales,shop\n${lines(40, (i) => `${day(i >> 1)},${i},${i % 2}`)}`;
  await expect(series(content)).rejects.toThrow(/one per value of column 'shop': 0, 1\. Write one file/);
});

it('without such a column it is said as well', async () => {
  const content = `date,sales\n${lines(40, (i) => `${day(i >> 1)},${i}`)}`;
  await expect(series(content)).rejects.toThrow(
    /the file seems to contain several series\. Write one file per series/,
  );
});

it('one time too many is no second series', async () => {
  const content = `date,kind,v\n${lines(20, (i) => `${day(i === 7 ? 6 : i)},${i % 2},${i}`)}`;
  await expect(series(content)).rejects.toThrow(
    /:9: date 2026-01-07 is repeated; it is already on line 8\. Keep one row per time, or set data.order: file/,
  );
});

it('sorting is recommended only where it helps', async () => {
  const turned = `date,v\n${lines(20, (i) => `${day(19 - i)},${i}`)}`;
  await expect(series(turned)).rejects.toThrow(/comes after .* Set data.order: sort/);
  await expect(series(`${turned}${day(3)},9\n`)).rejects.toThrow(
    /:22: date 2026-01-04 is repeated; it is already on line 18/,
  );
});

it('data.order: file takes such rows with a note', async () => {
  const { notes } = await series(byDay, { order: 'file' });
  expect(notes).toContainEqual(
    expect.stringMatching(
      /date 2026-01-01 is repeated on lines 2 and 3\. .* value of column 'shop': .*\. Write one file per series, .*\. Windows mix rows/,
    ),
  );
  const once = await series(`date,v\n${lines(20, (i) => `${day(i)},${i}`)}`, { order: 'file' });
  expect(once.notes.join()).not.toMatch(/twice/);
  const named = `day of,v\n${lines(20, (i) => `${i === 7 ? 6 : i},${i}`)}`;
  expect((await series(named, { order: 'file', time: 'day of' })).notes).toContainEqual(
    expect.stringContaining('day of 6 is repeated on lines 8 and 9; windows use both rows'),
  );
});

it.each([
  [
    'dates that are read',
    (i: number) => `2026-01-${String(i).padStart(2, '0')}`,
    /Set data.order: sort, or reverse/,
  ],
  ['compact dates', (i: number) => `202601${String(i).padStart(2, '0')}`, /Set data.order: sort, or reverse/],
  ['days first', (i: number) => `${i}.01.2026`, /\. Reverse the rows of the file$/],
  [
    'hours of half a day',
    (i: number) => `2026-02-04 ${i % 12 || 12}:05 ${i < 12 ? 'AM' : 'PM'}`,
    /\. Reverse the rows/,
  ],
  ['weeks', (i: number) => `1992-W${String(i + 1).padStart(2, '0')}`, /\. Reverse the rows/],
  ['Japanese dates', (i: number) => `2026年2月${i + 1}日 7時`, /\. Reverse the rows/],
  [
    'zones by name',
    (i: number) => `2026-01-${String(i + 1).padStart(2, '0')} 10:00 CET`,
    /\. Reverse the rows/,
  ],
  ['months first, with hours', (i: number) => `1/${i}/26 10:00`, /\. Reverse the rows of the file$/],
])('data.order: file does not forecast the past: %s', async (_, date, right) => {
  const down = (more = '') =>
    `v,when${more && ',due'}\n${lines(20, (i) => `${i},${date(20 - i)}${more && `,${more}-${i + 10}`}`)}`;
  const why = await series(down(), { order: 'file', columns: ['v'] }).catch((error: Error) => error.message);
  expect(why).toMatch(
    /the newest row comes first \(column 'when' goes from .* down to .*\), so data.order: file/,
  );
  expect(why).toMatch(right);
  // Another column of dates that rises is the time, then.
  await series(down('2026-03'), { order: 'file', columns: ['v'] });
  await expect(series(down('2026-03'), { order: 'file', columns: ['v'], time: 'when' })).rejects.toThrow(
    /the newest row comes first/,
  );
  const up = `v,when\n${lines(20, (i) => `${i},${date(i + 1)}`)}`;
  await series(up, { order: 'file', columns: ['v'] });
});

it('one time that cannot be read does not hide what the others say', async () => {
  const down = `when,v\n${lines(20, (i) => `${i === 7 ? 'unknown' : day(20 - i)},${i}`)}Total,190\n`;
  await expect(series(down, { order: 'file' })).rejects.toThrow(
    /the newest row comes first \(column 'when' goes from \S+ down to \d\S+\)/,
  );
  const up = `when,v\n${lines(20, (i) => `${day(i)},${i}`)}Total,190\n`;
  await expect(series(up)).rejects.toThrow(/:22: when is 'Total', which is not a time/);
  expect((await series(up, { order: 'file' })).notes).toContainEqual(
    expect.stringMatching(
      /:22: when is 'Total', which is not a time; the row is part of the series all the same/,
    ),
  );
});

it('a column that counts is noted, for it is an input and a target', async () => {
  const rows = lines(20, (i) => `${45_200 - i},${(i * 7) % 5}`);
  expect((await series(`Datum,v\n${rows}`)).notes).toContainEqual(
    expect.stringMatching(
      /change by the same amount in every row.*: Datum\. To order the rows by one, set data\.time/,
    ),
  );
});

it('dates that are not read, newest first: to keep the order of the file is not advised', async () => {
  const content = `when,v\n${lines(20, (i) => `${20 - i}.01.2026,${i}`)}`;
  await expect(series(content)).rejects.toThrow(
    /cannot be read as a time\. .*, or reverse the rows of the file, whose first is the newest, and set data\.order: file$/,
  );
});

it('a column of one value is said', async () => {
  const { notes } = await series(`date,v,unit\n${lines(20, (i) => `${day(i)},${i},5`)}`);
  expect(notes).toContainEqual(
    expect.stringMatching(/the same value in all training rows.*: unit; to choose columns, set data.columns/),
  );
});

it('a local hour that comes twice as clocks are put back is told as that, with the cure', async () => {
  const at = (i: number, hour: number) =>
    `2026-10-${24 + Math.floor(i / 24)} ${String(hour).padStart(2, '0')}:00`;
  const hours = Array.from({ length: 72 }, (_, i) => at(i, i % 24));
  hours.splice(hours.indexOf('2026-10-25 02:00'), 0, '2026-10-25 02:00');
  const text = (times: readonly string[]) => `time,v\n${times.map((time, i) => `${time},${i}`).join('\n')}`;
  await expect(series(text(hours))).rejects.toThrow(
    /:29: time 2026-10-25 02:00 is repeated; it is already on line 28\. It may be the hour that is repeated when daylight saving time ends: write times with their UTC offset, such as 2026-10-25T02:00\+01:00, keep one row/,
  );
  const others = hours.map((time) => time.replace('2026-10-25 02', '2026-10-25 13'));
  await expect(series(text(others), { order: 'sort' })).rejects.toThrow(/line \d+\. Keep one row per time/);
  // With offsets, the two hours are two.
  const zoned = hours.map((time, i) => `${time.replace(' ', 'T')}:00+0${i < 27 ? 2 : 1}:00`);
  expect((await series(text(zoned))).train.samples).toBeGreaterThan(0);
});
