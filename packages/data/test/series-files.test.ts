/** Series as people have them: order, gaps, notations of times. */
import { expect, it, vi } from 'vitest';
import { tableFiles } from './support/table-files.ts';

vi.setConfig({ testTimeout: 120_000 });

const { series } = tableFiles();
const days = (order: readonly number[]) =>
  `date,v\n${order.map((day) => `2026-01-${String(day).padStart(2, '0')},${day}\n`).join('')}`;
const all = Array.from({ length: 20 }, (_, i) => i + 1);

it('rows out of order are refused, or sorted', async () => {
  const mixed = [...all.slice(0, 5), 9, ...all.slice(5, 8), ...all.slice(9)];
  await expect(series(days(mixed))).rejects.toThrow(
    /:8: date 2026-01-06 comes after 2026-01-09 on line 7. Set data.order: sort/,
  );
  const { values } = await series(days(all));
  expect([...(await series(days(mixed), { order: 'sort' })).values]).toEqual([...values]);
  expect([...(await series(days(mixed), { order: 'file' })).values]).toEqual(mixed);
  await expect(series(days([1, 2, 2, 3]))).rejects.toThrow(/:4: date 2026-01-02 is repeated/);
});

it('gaps are refused, or accepted; months differ in length', async () => {
  const gap = all.filter((day) => day !== 9);
  await expect(series(days(gap))).rejects.toThrow(/:10: date goes from 2026-01-08 to 2026-01-10, 2 times/);
  expect((await series(days(gap), { gaps: 'accept' })).values.length).toBe(19);
  const months = Array.from({ length: 12 }, (_, i) => `2026-${String(i + 1).padStart(2, '0')}-01,${i}\n`);
  expect((await series(`month,v\n${months.join('')}`)).values.length).toBe(12);
});

it('working days have gaps at weekends, which a job accepts or not', async () => {
  const working = Array.from({ length: 28 }, (_, i) => i + 1).filter((day) => ![3, 4].includes(day % 7));
  await expect(series(days(working))).rejects.toThrow(/2026-01-02 to 2026-01-05, 3 times the usual step/);
  expect((await series(days(working), { gaps: 'accept' })).values.length).toBe(20);
});

it('times are found by name or as dates, said, and may be named', async () => {
  expect((await series(days(all))).notes.join()).toMatch(/column 'date' is used as the time/);
  expect((await series(`v\n${all.join('\n')}`)).notes.join()).toMatch(/no time column was found/);
  const stamps = `when,v\n${all.map((i) => `2026-01-01 ${String(i).padStart(2, '0')}:00:00+01:00,${i}`).join('\n')}`;
  expect((await series(stamps, { time: 'when' })).values.length).toBe(20);
  await expect(series(stamps, { time: 'then' })).rejects.toThrow(/no column 'then' \(data.time\)/);
  await expect(series(`at,v\n${all.map((i) => `soon,${i}`).join('\n')}`, { time: 'at' })).rejects.toThrow(
    /:2: at is 'soon', which is not a time/,
  );
});

it('one time that can not be read is named; it switches no check off', async () => {
  const lines = days(all).split('\n');
  const bad = (text: string) => lines.with(9, `${text},9`).join('\n');
  for (const [text, why] of [
    ['', 'date is missing'],
    ['soon', "date is 'soon', which is not a time"],
    ['2026-01-32', "date is '2026-01-32', but that time does not exist"],
    ['2024-02-30', "date is '2024-02-30', but that time does not exist"],
    ['31/01/2026', "date is '31/01/2026', which is not a time"],
  ] as const) {
    await expect(series(bad(text))).rejects.toThrow(
      new RegExp(`csv:10: ${why}\\. .*data.onDamaged: skip .*data.order: file`),
    );
    const left = await series(bad(text), { onDamaged: 'skip', gaps: 'accept' });
    expect(left.values.length).toBe(19);
    expect(left.notes.join()).toMatch(/skipped 1 of 20 rows: .*csv:10: date/);
    await expect(series(bad(text), { onDamaged: 'skip' })).rejects.toThrow(/2 times the usual step/);
  }
  const renamed = bad('').replace('date,', 'when,');
  await expect(series(renamed)).rejects.toThrow(/csv:10: when is missing/);
});

it('sorted rows may not have one time twice either', async () => {
  await expect(series(days([3, 1, 2, 1, 4]), { order: 'sort' })).rejects.toThrow(
    /:5: date 2026-01-01 is repeated; it is already on line 3\. /,
  );
});

it.each(['01/31/2026', '31.01.2026', '31-Jan-26', '31 Mai 2026', '1/31/26 10:00'])(
  'dates as %s, whose order would be a guess, are refused',
  async (text) => {
    for (const name of ['date', 'when']) {
      const content = `${name},v\n${all.map((i) => `"${text}",${i}\n`).join('')}`;
      await expect(series(content)).rejects.toThrow(
        new RegExp(`csv:2: column '${name}' seems to contain the times .* Write dates such as 2026-01-31`),
      );
      expect((await series(content, { order: 'file' })).values.length).toBe(20);
    }
  },
);

it('a column called time whose values are no times is refused', async () => {
  await expect(series(`time,v\n${all.map((i) => `morning,${i}\n`).join('')}`)).rejects.toThrow(
    /column 'time' seems to contain the times of the rows, but 'morning' cannot be read as a time/,
  );
});

it.each([
  ['days', (i: number) => (i < 11 ? 20240121 + i : 20240190 + i), 'is 2024-01-21'],
  ['months', (i: number) => (i < 12 ? 202401 + i : 202489 + i), 'is 2024-01-01'],
  [
    'minutes',
    (i: number) => (i < 10 ? 2024_0131_2350 + i : 2024_0201_0000 + i - 10),
    'is 2024-01-31T23:50:00',
  ],
] as const)(
  'dates without separators: %s are in order, without gaps, and no feature',
  async (_, at, shown) => {
    for (const name of ['date', 'when']) {
      if (name === 'when' && String(at(0)).length === 6) continue;
      const content = `${name},v\n${all.map((_, i) => `${at(i)},${i}\n`).join('')}`;
      const { preparation, notes } = await series(content);
      expect(preparation.columns.map((column) => column.name)).toEqual(['v']);
      expect(preparation.time).toBe(name);
      expect(notes.join()).toContain(`column '${name}' is read as dates: ${at(0)} ${shown}`);
    }
    const bad = `date,v\n20240130,1\n20240131,2\n20240132,3\n20240201,4\n`;
    await expect(series(bad)).rejects.toThrow(/csv:4: date is '20240132', which is not a time/);
  },
);

it('a text among numbers is named', async () => {
  const content = `v\n${all.map((i) => (i === 5 ? 'ERR' : i)).join('\n')}`;
  await expect(series(content)).rejects.toThrow(/'v': 19 of 20 values are numbers; .*:6: 'ERR' is not/);
  await expect(series(content, { columns: ['v'] })).rejects.toThrow(/:6: v is 'ERR', which is not a number/);
  const { values } = await series(content, { missingValues: ['ERR'], missing: 'previous' });
  expect(values[4]).toBe(4);
});

it('a column of numbers that orders the rows is no input, unless it is listed', async () => {
  const steps = Array.from({ length: 20 }, (_, i) => `${(i / 10).toFixed(1)},${(i * 7) % 5}\n`);
  const read = await series(`time,v\n${steps.join('')}`);
  expect(read.preparation.targets).toEqual(['v']);
  expect(read.notes.join()).toMatch(/column 'time' is used as the time of the rows/);
  const listed = await series(`time,v\n${steps.join('')}`, { columns: ['time', 'v'] });
  expect(listed.preparation.targets).toEqual(['time', 'v']);
  // Equal steps, but for how 0.1 is written in binary.
  expect((await series(`t2,v\n${steps.join('')}`)).notes.join()).toMatch(/by the same amount .*: t2\./);
});

it.each([
  ['dates with nanoseconds', (i: number) => `2026-01-31T12:00:00.0000${String(100 + i)}00`],
  ['nanoseconds since 1970', (i: number) => `17700000001234${String(10_000 + 7 * i)}`],
  ['seconds since 1970 with nanoseconds', (i: number) => `1770000000.1234560${String(10 + i)}`],
])('%s are times of their own, in order, with steps', async (_, time) => {
  const written = (order: readonly number[]) => `time,v\n${order.map((i) => `${time(i)},${i}\n`).join('')}`;
  expect((await series(written(all))).values.length).toBe(20);
  const mixed = [2, 1, ...all.slice(2)];
  await expect(series(written(mixed))).rejects.toThrow(/:3: time \S+ comes after \S+ on line 2/);
  expect([...(await series(written(mixed), { order: 'sort' })).values]).toEqual(all);
  await expect(series(written([1, 2, 2, 3]))).rejects.toThrow(/:4: time \S+ is repeated/);
  await expect(series(written(all.filter((i) => i !== 9)))).rejects.toThrow(/, 2 times the usual step/);
});
