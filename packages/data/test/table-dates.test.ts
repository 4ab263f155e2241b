/** Dates in tables and series: which are read, and what they are in a table that has no time. */
import { describe, expect, it } from 'vitest';
import { isDate, isOtherDate, readDate } from '../src/tables/read-time.ts';
import { lines, tableFiles } from './support/table-files.ts';

const { table, series } = tableFiles();

describe('dates that begin with the year are read', () => {
  it.each([
    ['2024-01-31', '2024-01-31'],
    ['2024/01/31', '2024-01-31'],
    ['2024/1/3', '2024-01-03'],
    ['2024.01.31', '2024-01-31'],
    ['2024-1-3', '2024-01-03'],
    ['2024-01', '2024-01-01'],
    ['2024/01', '2024-01-01'],
    ['2024年1月31日', '2024-01-31'],
    ['2024-Q1', '2024-01-01'],
    ['2024Q4', '2024-10-01'],
    ['2024-01-01 00:00:00 UTC', '2024-01-01'],
    ['2024-01-01 10:00 GMT', '2024-01-01T10:00Z'],
    ['2024-01-31T10:00Z', '2024-01-31T10:00Z'],
    ['2024-01-31t10:00z', '2024-01-31T10:00Z'],
    ['2024/01/31 9:05', '2024-01-31T09:05Z'],
    ['2024-01-31T10:00+09:00', '2024-01-31T01:00Z'],
    ['2024-01-31 10:00:00 +0530', '2024-01-31T04:30Z'],
    ['2024-01-31 10:00-08', '2024-01-31T18:00Z'],
    ['2024-01-31 10:00:00 +0000 UTC', '2024-01-31T10:00Z'],
    ['2024-01-31 10:00:00.250', '2024-01-31T10:00:00.250Z'],
    ['2024-01-31T10:00:00,25Z', '2024-01-31T10:00:00.250Z'],
    ['2024-01-31 24:00', '2024-02-01'],
    ['0099-03-01', '0099-03-01'],
  ])('%s', (text, iso) => {
    expect(readDate(text)).toBe(Date.parse(iso));
  });

  it.each(['2024-02-30', '2024/13/01', '2024-01-31 25:00', '2024-01-31 10:60', '2024-01-31 24:01'])(
    '%s is written like one, but there is none',
    (text) => {
      expect(isDate(text)).toBe(true);
      expect(readDate(text)).toBeUndefined();
    },
  );

  it.each(['31/01/2024', '01-31-2024', '2024/01-31', '2024-Q5', '2024-1', 'June', '2024-01-31 PST', '1.2.3'])(
    '%s is none',
    (text) => {
      expect(isDate(text)).toBe(false);
      expect(readDate(text)).toBeUndefined();
    },
  );

  it('what is read is no doubtful date', () => {
    expect(isOtherDate('2024/01/31')).toBe(false);
    expect(isOtherDate('31/01/2024')).toBe(true);
  });
});

describe('series', () => {
  it.each([
    (day: string) => `2024/01/${day}`,
    (day: string) => `2024.01.${day}`,
    (day: string) => `2024-01-${day} 00:00:00 UTC`,
    (day: string) => `2024年01月${day}日`,
  ])('are in order of such dates', async (date) => {
    const day = (i: number) => date(String(i + 1).padStart(2, '0'));
    const { notes, preparation } = await series(`when,v\n${lines(20, (i) => `${day(i)},${i}`)}`);
    expect(notes[0]).toMatch(/column 'when' is used as the time/);
    expect(preparation.columns.map(({ name }) => name)).toEqual(['v']);
    await expect(series(`when,v\n${lines(20, (i) => `${day(19 - i)},${i}`)}`)).rejects.toThrow(/comes after/);
  });

  it('quarters have no gaps', async () => {
    const content = `quarter,v\n${lines(20, (i) => `${2000 + Math.floor(i / 4)}-Q${(i % 4) + 1},${i}`)}`;
    expect((await series(content)).preparation).toMatchObject({ time: 'quarter' });
  });

  it('the message about others lists the forms that are read', async () => {
    await expect(series(`date,v\n${lines(20, (i) => `week ${i},${i}`)}`)).rejects.toThrow(
      'Write dates such as 2026-01-31, 2026/01/31 12:00, 31 Jan 2026, 20260131, 2026-01 or 2026-Q1',
    );
  });
});

describe('tables', () => {
  const day = (i: number) => new Date(Date.UTC(2024, 0, 1 + i)).toISOString().slice(0, 10);
  const [iso, slashes] = [day, (i: number) => day(i).split('-').reverse().join('/')];
  it.each([
    ['iso', iso],
    ['day first', slashes],
  ])('dates that occur twice are no categories: %s', async (_, date) => {
    const content = `d,x,kind\n${lines(80, (i) => `${date(i >> 1)},${(7 * i) % 11},${i % 3 ? 'a' : 'b'}`)}`;
    await expect(table(content)).rejects.toThrow(
      /column 'd' contains dates, such as '.*': .* set data.columns: { d: ignore }; or category to use them anyway/,
    );
    const columns = { d: 'category' } as const;
    expect((await table(content, { columns })).preparation.table!.columns.length).toBe(2);
  });

  it('a few dates are categories', async () => {
    const content = `d,kind\n${lines(80, (i) => `${day(i % 6)},${i % 5 ? 'a' : 'b'}`)}`;
    expect((await table(content)).preparation.table!.columns[0]).toMatchObject({ kind: 'category' });
  });
});
