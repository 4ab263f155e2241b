/** Tables and series as people have them: odd names, notations, encodings, ends of lines, titles, order. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ArraysRead } from '../src/arrays.ts';
import { type CsvOptions, readCsv } from '../src/csv.ts';
import { readIdx } from '../src/idx.ts';
import { readSeries, type SeriesOptions } from '../src/series.ts';

vi.setConfig({ testTimeout: 120_000 });

let folder: string;
let made = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-tables-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const write = (content: string | Uint8Array) => {
  const path = join(folder, `t${made++}.csv`);
  writeFileSync(path, content);
  return path;
};
const table = (content: string | Uint8Array, options: Partial<CsvOptions> = {}): Promise<ArraysRead> =>
  readCsv({
    ...{ format: 'csv', path: write(content), validation: 0.25, seed: 1, target: 'kind', columns: {} },
    ...{ task: 'classification', standardize: false, standardizeTarget: false },
    ...{ missing: 'fail', onDamaged: 'fail' },
    ...options,
  });
const series = (content: string, options: Partial<SeriesOptions> = {}) =>
  readSeries({
    ...{ format: 'series', path: write(content), window: 2, horizon: 1, stride: 1, validation: 0.25 },
    ...{ standardize: false, missing: 'fail', onDamaged: 'fail' },
    ...options,
  });
/** A table of numbers with a class in the last column. */
const rows = (count: number, row: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => `${row(i)},${i % 2 ? 'hi' : 'lo'}\n`).join('');

describe('names', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', '', 'a b', 'é', '0'])(
    'a column called %j is a column',
    async (name) => {
      const { train, preparation } = await table(`x,${name},kind\n${rows(12, (i) => `${i},${i + 1}`)}`);
      expect(preparation.table!.columns.map((column) => [column.name, column.kind])).toEqual([
        ['x', 'number'],
        [name, 'number'],
      ]);
      expect([...train.inputs].every(Number.isFinite)).toBe(true);
    },
  );

  it.each(['constructor', '__proto__', 'toString'])('a class and a category called %j', async (name) => {
    const content = `x,kind\n${Array.from({ length: 12 }, (_, i) => `${i % 3 ? 'b' : name},${i % 2 ? name : 'a'}\n`).join('')}`;
    const { preparation } = await table(content);
    expect(preparation.classes).toEqual([name, 'a'].sort());
    expect(preparation.table!.columns).toEqual([
      { name: 'x', kind: 'category', categories: [name, 'b'].sort() },
    ]);
  });

  it('a name that is there twice is refused', async () => {
    await expect(table('x,x,kind\n1,2,a\n')).rejects.toThrow(/columns 1 and 2 are both called 'x'/);
    await expect(table(',x,\n1,2,a\n')).rejects.toThrow(/columns 1 and 3 have no name/);
  });

  it('a header that is none is refused, unless it is said to be one', async () => {
    await expect(series('1.5\n2.5\n3\n')).rejects.toThrow(/consists of numbers. Set data.header: false/);
    const numbers = Array.from({ length: 12 }, (_, i) => `${i / 2}\n`).join('');
    expect((await series(numbers, { header: false })).preparation.columns[0]!.name).toBe('1');
    expect((await series(numbers, { header: true })).preparation.columns[0]!.name).toBe('0');
    const counted = `0,1,2\n${rows(12, (i) => `${i},${i}`)}`;
    expect((await table(counted, { target: '2' })).preparation.classes).toEqual(['hi', 'lo']);
  });
});

describe('numbers', () => {
  it('with a decimal comma are refused with what reads them', async () => {
    const content = `x;kind\n${rows(12, (i) => `${i},5`).replaceAll(/,(hi|lo)/g, ';$1')}`;
    await expect(table(content)).rejects.toThrow(/has no ',', but ';'. Set data.delimiter: ';'/);
    await expect(table(content, { delimiter: ';' })).rejects.toThrow(
      /column 'x': 0 of 12 values are numbers; .*csv:2: '0,5' is not. Set data.decimal: ","/,
    );
    const { train } = await table(content, { delimiter: ';', decimal: ',' });
    expect([...train.inputs].sort((a, b) => a - b)[0]).toBe(0.5);
  });

  it('with one stray text are refused with its line and the option that takes it for none', async () => {
    const content = `x,kind\n${rows(40, (i) => (i === 17 ? 'ERR' : `${i}`))}`;
    await expect(table(content)).rejects.toThrow(
      /'x': 39 of 40 values are numbers; .*:19: 'ERR' is not. Set data.missingValues: \[ERR\]/,
    );
    const { train, test } = await table(content, { missingValues: ['ERR'], missing: 'mean' });
    expect(train.samples + test.samples).toBe(40);
    const left = await table(content, { columns: { x: 'number' }, onDamaged: 'skip' });
    expect(left.train.samples + left.test.samples).toBe(39);
  });

  it.each([
    ['1.234,5', { decimal: ',', thousands: '.' }, 1234.5],
    ['1,234.5', { thousands: ',' }, 1234.5],
    ['12,34,567', { thousands: ',' }, 1_234_567],
    ['1\u202f234', { thousands: ' ' }, 1234],
    ["1'234", { thousands: "'" }, 1234],
  ] as const)('%s', async (text, form, value) => {
    const content = `x|kind\n${Array.from({ length: 12 }, (_, i) => `${text}|${i % 2 ? 'a' : 'b'}\n`).join('')}`;
    await expect(table(content, { delimiter: '|' })).rejects.toThrow(
      /0 of 12 values are numbers.*Set data\./,
    );
    const { train } = await table(content, { delimiter: '|', ...form });
    expect(train.inputs[0]).toBe(value);
  });

  it.each(['12 %', '$3.50', '3.50 €', '(12)', '\u22125', 'inf'])(
    '%s is no set of categories',
    async (text) => {
      await expect(table(`x,kind\n${rows(12, () => text)}`)).rejects.toThrow(
        /0 of 12 values are numbers.*columns: \{ x: category \}/,
      );
    },
  );

  it('1.300 is 1.3: a point is no thousands separator unless that is said', async () => {
    const content = `x,kind\n${rows(12, () => '1.300')}`;
    expect((await table(content)).train.inputs[0]).toBe(Math.fround(1.3));
    const { train } = await table(content, { decimal: ',', thousands: '.' });
    expect(train.inputs[0]).toBe(1300);
  });

  it('1.2.3 and S, M, 42 are categories', async () => {
    const sizes = ['S', 'M', 'L', '42'];
    const { preparation, notes } = await table(
      `v,s,kind\n${rows(12, (i) => `1.2.${i % 3},${sizes[i % 4]}`)}`,
    );
    expect(preparation.table!.columns.map(({ kind }) => kind)).toEqual(['category', 'category']);
    expect(notes.join()).toMatch(/column 's': \d of \d values are numbers, .* \(data.columns decides\)/);
  });

  it('too large for what trains are refused', async () => {
    await expect(table(`x,kind\n${rows(12, () => '1e300')}`)).rejects.toThrow(/too large/);
    await expect(series(`v\n${'1e60\n'.repeat(12)}`)).rejects.toThrow(/too large/);
  });
});

describe('labels', () => {
  it('NA is a class; what is empty, or said to be none, is missing', async () => {
    const content = `x,kind\n${Array.from({ length: 12 }, (_, i) => `${i},${['EU', 'NA', 'None'][i % 3]}\n`).join('')}`;
    expect((await table(content)).preparation.classes).toEqual(['EU', 'NA', 'None']);
    await expect(table(content, { missingValues: ['NA'] })).rejects.toThrow(/the target kind is missing/);
    await expect(table(`${content}9,\n`)).rejects.toThrow(/:14: the target kind is missing/);
  });

  it('a class with one row is for training, and said', async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { preparation, notes } = await table(`x,kind\n${rows(80, String)}99,rare\n`, { seed });
      expect(preparation.classes).toEqual(['hi', 'lo', 'rare']);
      expect(notes).toEqual([expect.stringContaining('class rare: so few rows')]);
    }
  });
});

describe('files', () => {
  const good = `x,kind\n${rows(12, String)}`;

  it('every end of lines, with and without a mark at the beginning, reads the same', async () => {
    const { train } = await table(good);
    const lines = good.split('\n');
    const mixed = lines.map((line, i) => line + ['\n', '\r\n', '\r'][i % 3]).join('');
    for (const content of [good.replaceAll('\n', '\r\n'), good.replaceAll('\n', '\r'), mixed])
      for (const mark of ['', '\ufeff'])
        expect((await table(mark + content)).train.digest).toBe(train.digest);
  });

  it('in another encoding is refused with its line, and read when that is said', async () => {
    const city = `x,kind\n${rows(12, (i) => (i % 2 ? 'Orléans' : 'Zürich'))}`;
    const latin = Buffer.from(city, 'latin1');
    await expect(table(latin)).rejects.toThrow(/csv:2: it is not UTF-8.*set data.encoding: windows-1252/);
    const { digest } = (await table(city)).train;
    expect((await table(latin, { encoding: 'latin1' })).train.digest).toBe(digest);
    const wide = Buffer.from(`\ufeff${city}`, 'utf16le');
    await expect(table(wide)).rejects.toThrow(/csv:1: it is not UTF-8.*set data.encoding: utf-16le/);
    expect((await table(wide, { encoding: 'utf-16le' })).train.digest).toBe(digest);
    // Without a mark it decodes as UTF-8, to a NUL behind each letter.
    const bare = wide.subarray(2);
    await expect(table(Buffer.from('x,kind\n1,a\n', 'utf16le'))).rejects.toThrow(
      /NUL characters.*data.encoding: utf-16le/,
    );
    expect((await table(bare, { encoding: 'utf-16le' })).train.digest).toBe(digest);
    // Far behind the first piece, and cut within a character at the end.
    const long = Buffer.from(`x,kind\n${rows(30_000, String)}é,lo\n`, 'latin1');
    await expect(table(long)).rejects.toThrow(/csv:30002: it is not UTF-8/);
    await expect(table(Buffer.from(`${good}é`).subarray(0, -1))).rejects.toThrow(/csv:14: it is not UTF-8/);
  });

  it('a comma at the end of each line makes no feature', async () => {
    const { preparation, notes } = await table(good.replaceAll('\n', ',\n'));
    expect(preparation.table!.columns.map(({ name }) => name)).toEqual(['x']);
    expect(notes.join()).toMatch(/each line ends with ',': the empty column after it is left out/);
    await expect(table(good.replace('\n1,', '\n1,,'))).rejects.toThrow(/:3: 3 fields; the header has 2/);
    await expect(table(good.replace(/hi\n/, 'hi,\n'))).rejects.toThrow(/:3: .*The line ends with ','/);
  });

  it.each([
    ['a title', `Prices of May\n${good}`, { skipLines: 1 }, /If it is a title, set data.skipLines: 1/],
    ['a comment', `# by LabTool 3\n${good}`, { comment: '#' }, /set data.comment: "#"/],
    ['a comment within', good.replace('\n3', '\n# here\n3'), { comment: '#' }, /set data.comment: "#"/],
    ['tabs', good.replaceAll(',', '\t'), { delimiter: '\t' }, /Set data.delimiter: "\\t"/],
    ['bars', good.replaceAll(',', '|'), { delimiter: '|' }, /Set data.delimiter: '\|'/],
    [
      'a quotation mark',
      good.replace('x,', 'x"y,').replaceAll('x"y', 'x"y'),
      { quote: '' },
      /data.quote: ""/,
    ],
  ])('%s: the likely cause, and the option', async (_, content, options, message) => {
    await expect(table(content)).rejects.toThrow(message);
    expect((await table(content, options)).preparation.classes).toEqual(['hi', 'lo']);
  });

  it('too many columns are refused before they cost anything', async () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `c${i}`).join(',');
    await expect(table(`${names}\n`)).rejects.toThrow(/100000 columns; at most 32768 are read/);
  });

  it('a packed file that unpacks to far more than its size is refused', () => {
    const path = `${write(gzipSync(Buffer.alloc(1 << 25)))}`;
    const packed = `${path}.gz`;
    writeFileSync(packed, gzipSync(Buffer.alloc(1 << 25)));
    expect(() => readIdx(packed)).toThrow(/it unpacks to more than 16777216 bytes/);
  });
});

describe('series', () => {
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
    await expect(series(days([1, 2, 2, 3]))).rejects.toThrow(/:4: date 2026-01-02 is there twice/);
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
    expect((await series(days(all))).notes.join()).toMatch(/column 'date' is taken for the time/);
    expect((await series(`v\n${all.join('\n')}`)).notes.join()).toMatch(/no column of times was found/);
    const stamps = `when,v\n${all.map((i) => `2026-01-01 ${String(i).padStart(2, '0')}:00:00+01:00,${i}`).join('\n')}`;
    expect((await series(stamps, { time: 'when' })).values.length).toBe(20);
    await expect(series(stamps, { time: 'then' })).rejects.toThrow(/no column 'then' \(data.time\)/);
    await expect(series(`at,v\n${all.map((i) => `soon,${i}`).join('\n')}`, { time: 'at' })).rejects.toThrow(
      /:2: at is 'soon', which is no time/,
    );
  });

  it('a text among numbers is named', async () => {
    const content = `v\n${all.map((i) => (i === 5 ? 'ERR' : i)).join('\n')}`;
    await expect(series(content)).rejects.toThrow(/'v': 19 of 20 values are numbers; .*:6: 'ERR' is not/);
    await expect(series(content, { columns: ['v'] })).rejects.toThrow(/:6: v is 'ERR', which is no number/);
    const { values } = await series(content, { missingValues: ['ERR'], missing: 'previous' });
    expect(values[4]).toBe(4);
  });
});
