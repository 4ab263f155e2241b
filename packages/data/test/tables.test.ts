/** Tables and series as people have them: odd names, notations, encodings, ends of lines, titles, order. */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { readIdx } from '../src/idx/idx.ts';
import { tableFiles } from './support/table-files.ts';

vi.setConfig({ testTimeout: 120_000 });

const { write, table, series } = tableFiles();
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
    await expect(table('x,x,kind\n1,2,a\n')).rejects.toThrow(/columns 1 and 2 are both named 'x'/);
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

  it('of which kind a column is does not depend on which rows are for testing', async () => {
    for (const stray of [3, 17, 39]) {
      const content = `x,kind\n${rows(40, (i) => (i === stray ? 'ERR' : `${i}`))}`;
      for (const seed of [1, 2, 3, 4])
        for (const onDamaged of ['fail', 'skip'] as const)
          await expect(table(content, { seed, onDamaged })).rejects.toThrow(
            /'x': 39 of 40 values are numbers/,
          );
      const footer = `${content.replace('ERR', '7')}Total,\n`;
      expect((await table(footer, { onDamaged: 'skip' })).preparation.table!.columns[0]!.kind).toBe('number');
    }
  });

  it('a column with a text of its own in each row is no set of categories, unless that is said', async () => {
    const content = `x,id,kind\n${rows(40, (i) => `${i},user-${i}`)}`;
    await expect(table(content)).rejects.toThrow(
      /column 'id' has 40 different values in 40 rows, such as 'user-0'.*data.columns: \{ id: ignore \}/,
    );
    expect((await table(content, { columns: { id: 'ignore' } })).preparation.table!.columns.length).toBe(1);
    expect((await table(content, { columns: { id: 'category' } })).preparation.table!.columns.length).toBe(2);
  });

  it('full-width digits are doubtful; quantities with units and times of day are said', async () => {
    await expect(table(`x,kind\n${rows(12, () => '１２')}`)).rejects.toThrow(/0 of 12 values are numbers/);
    for (const text of ['8 kg', '10:30', '3,5 cm']) {
      const { notes } = await table(`x,kind\n${rows(12, () => `"${text}"`)}`);
      expect(notes).toEqual([
        expect.stringContaining(`column 'x': values such as '${text}' are used as categories`),
        expect.stringContaining('the same value in all training rows'),
      ]);
    }
  });

  it('1.2.3 and S, M, 42 are categories', async () => {
    const sizes = ['S', 'M', 'L', '42'];
    const { preparation, notes } = await table(
      `v,s,kind\n${rows(12, (i) => `1.2.${i % 3},${sizes[i % 4]}`)}`,
    );
    expect(preparation.table!.columns.map(({ kind }) => kind)).toEqual(['category', 'category']);
    expect(notes.join()).toMatch(
      /column 's': 3 of 12 values are numbers, .*; to change this, set data\.columns/,
    );
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
      const { preparation, notes } = await table(`x,kind\n${rows(80, (i) => `${2 * i}`)}99,rare\n`, { seed });
      expect(preparation.classes).toEqual(['hi', 'lo', 'rare']);
      expect(notes).toEqual([expect.stringContaining('class rare: too few rows')]);
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
    // あめ and はれ, as two encodings of Japan have them.
    for (const [encoding, kana] of [
      ['shift_jis', ['\x82\xa0\x82\xdf', '\x82\xcd\x82\xea']],
      ['euc-jp', ['\xa4\xa2\xa4\xe1', '\xa4\xcf\xa4\xec']],
    ] as const) {
      const japanese = Buffer.from(`x,kind\n${rows(12, (i) => kana[i % 2]!)}`, 'latin1');
      await expect(table(japanese)).rejects.toThrow(
        new RegExp(`csv:2: it is not UTF-8.*set data.encoding: ${encoding}$`),
      );
      const letters = await table(`x,kind\n${rows(12, (i) => (i % 2 ? 'はれ' : 'あめ'))}`);
      expect((await table(japanese, { encoding })).train.digest).toBe(letters.train.digest);
    }
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
    expect(notes.join()).toMatch(/each line ends with ',': the empty column after it is ignored/);
    await expect(table(good.replace('\n1,', '\n1,,'))).rejects.toThrow(/:3: 3 fields; the header has 2/);
    await expect(table(good.replace(/hi\n/, 'hi,\n'))).rejects.toThrow(/:3: .*The line ends with ','/);
  });

  it('several empty columns at the end make none; a value in one of them is named', async () => {
    const wide = good.replaceAll('\n', ',,,\n');
    const { preparation, notes } = await table(wide);
    expect(preparation.table!.columns.map(({ name }) => name)).toEqual(['x']);
    expect(notes.join()).toMatch(/the 3 empty columns at the end are ignored/);
    await expect(table(wide.replace(/,,,\n$/, ',,,z\n'))).rejects.toThrow(
      /columns 3 and 5 have no names, but column 5 contains 'z'/,
    );
  });

  it("row names as R's write.table writes them, without a column name", async () => {
    const lines = good.trim().split('\n');
    const content = [lines[0]!, ...lines.slice(1).map((line, i) => `"${i + 1}",${line}`)].join('\n');
    await expect(table(content)).rejects.toThrow(
      /row number or name, as R writes it, add a name .*row\.names = FALSE/,
    );
    await expect(table('x y kind\n"1" 1.2 3.4 "ja"\n')).rejects.toThrow(
      /:2: there is text after a closing quotation mark\. .*set data\.delimiter/,
    );
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

  it.each([
    [
      '5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n',
      /the first row, .* looks like the rows below it/,
    ],
    ['7,setosa\n4,setosa\n6,versicolor\n', /looks like the rows below it/],
    ['17,yes,blue\n18,no,blue\n', /looks like the rows below it/],
    ['-1,a\n2,b\n3,a\n', /looks like the rows below it/],
    ['red,a\nblue,b\nred,a\n', /looks like the rows below it/],
    ['1,1,a\n2,3,b\n2,4,a\n', /looks like the rows below it/],
    ['good,nine\nbad,ten\nodd,six\ngood,two\n', /looks like the rows below it/],
  ])('%j has no header: its first row is not lost in silence', async (content, message) => {
    const target = String(content.split('\n')[0]!.split(',').length);
    await expect(table(content, { target })).rejects.toThrow(message);
    const many = content.repeat(4);
    const { train, test } = await table(many, { target, header: false });
    expect(train.samples + test.samples).toBe(many.split('\n').length - 1);
  });

  it.each([
    ['<!DOCTYPE html>\n<html><body>404</body></html>\n', /: it is a web page or XML, not a table/],
    ['<?xml version="1.0"?>\n<rows/>\n', /it is a web page or XML/],
    ['[{"a": 1, "kind": "x"},\n{"a": 2, "kind": "y"}]\n', /it contains JSON, not a table. Convert it to CSV/],
    ['{\n  "a": 1\n}\n', /it contains JSON/],
  ])('%j is no table', async (content, message) => {
    await expect(table(content)).rejects.toThrow(message);
  });

  it.each(['a,2019,2020,2021,kind', 'a,2010,2015,2020,kind', 'a,b,c,1,kind', '0,1,2,3,kind'])(
    'years and numbers are names: %s',
    async (header) => {
      const { preparation } = await table(`${header}\n${rows(12, (i) => `${i},${i + 1},${i + 2},${i + 3}`)}`);
      expect(preparation.table!.columns.map(({ name }) => name)).toEqual(header.split(',').slice(0, -1));
    },
  );

  it.each(['Z', '+09:30', '-05:00', ' UTC'])(
    'times of which only some name their zone are refused: %s',
    async (zone) => {
      const time = (i: number) => `2024-01-0${1 + Math.floor(i / 24)}T${String(i % 24).padStart(2, '0')}:00`;
      const mixed = (has: (i: number) => boolean) =>
        `time,v\n${Array.from({ length: 60 }, (_, i) => `${time(i)}${has(i) ? zone : ''},${i}\n`).join('')}`;
      await expect(series(mixed((i) => i >= 30))).rejects.toThrow(
        /:32: time '2024-01-02T06:00.*' has an offset from UTC, but '2024-01-01T00:00' on line 2 has none/,
      );
      await expect(
        series(
          mixed((i) => i % 2 === 0),
          { order: 'sort' },
        ),
      ).rejects.toThrow(/has an offset from UTC/);
      for (const all of [true, false])
        expect((await series(mixed(() => all))).train.samples).toBeGreaterThan(0);
    },
  );

  it('test rows that are training rows, too, are told, unless the table is small', async () => {
    const again = (count: number, different: number) =>
      `a,kind\n${rows(count, (i) => String((i % different) / 3))}`;
    expect((await table(again(200, 10))).notes.join()).toMatch(
      /50 of 50 test rows also occur in the training rows, with the same values: the test says little/,
    );
    expect((await table(again(200, 200))).notes).toEqual([]);
    expect((await table(again(40, 10))).notes).toEqual([]);
  });

  it('blank lines are counted; of a single column they are missing values', async () => {
    const { train } = await table(good);
    const blank = await table(good.replace('\n3,', '\n\n   \n3,'));
    expect(blank.train.digest).toBe(train.digest);
    expect(blank.notes.join()).toMatch(/skipped 2 blank lines, the first on line 5/);
    expect((await table(`\n${good}\n\n`)).notes).toEqual([]);
    await expect(series('v\n1\n2\n\n4\n5\n6\n7\n8\n')).rejects.toThrow(/:4: v is missing/);
    const filled = await series('v\n1\n2\n\n4\n5\n6\n7\n8\n\n', { missing: 'previous' });
    expect([...filled.values]).toEqual([1, 2, 2, 4, 5, 6, 7, 8]);
    expect(filled.notes.join()).toMatch(/skipped a blank line on line 10/);
  });

  it.each(['\n', '\r\n', '\r'])('a title with quotation marks is skipped as a line, ends %j', async (end) => {
    const { train } = await table(good);
    for (const title of ['The "best" table', 'A 5" disk', '"never closed', '', 'x'.repeat(300_000)]) {
      const titled = `${title}\n\n${good}`.replaceAll('\n', end);
      expect((await table(titled, { skipLines: 2 })).train.digest).toBe(train.digest);
      await expect(table(`${titled}1,2,3${end}`, { skipLines: 2 })).rejects.toThrow(/:16: 3 fields/);
    }
  });

  it("Excel's first line says which sign separates, and how to set it", async () => {
    for (const sign of [';', ',', '|']) {
      const content = `sep=${sign}\r\n${good.replaceAll(',', sign)}`;
      await expect(table(content)).rejects.toThrow(`Set data.skipLines: 1 and data.delimiter: '${sign}'`);
      expect((await table(content, { skipLines: 1, delimiter: sign })).preparation.classes).toEqual([
        'hi',
        'lo',
      ]);
    }
  });

  it('columns that are lined up with spaces', async () => {
    const { train } = await table(good);
    const lined = good.replaceAll(',', '   ').replaceAll(/^(\d+)/gm, (_, value) => ` ${value}`);
    for (const content of [good.replaceAll(',', ' '), lined, lined.replaceAll('\n', '  \n')])
      expect((await table(content, { delimiter: ' ' })).train.digest).toBe(train.digest);
    await expect(table(good.replaceAll(',', ' '))).rejects.toThrow(
      /has no ',', but ' '. Set data.delimiter: ' '/,
    );
  });

  it.each([
    [gzipSync(good), /it is a gzip file, not text. Unpack it first/],
    [Buffer.from([0xff, 0xfe, 0, 0, 0x78, 0, 0, 0]), /it is in UTF-32. Save it as UTF-8/],
    [Buffer.from('PK\u0003\u0004 sheet'), /a ZIP file, like .*xlsx.* export it as CSV/],
    [Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), /it is a PNG image, not text/],
    [Buffer.from('%PDF-1.7'), /it is a PDF file/],
  ])('what is no text is called what it is (%#)', async (content, message) => {
    for (const encoding of ['utf-8', 'windows-1252', 'utf-16le'])
      await expect(table(content, { encoding })).rejects.toThrow(message);
  });

  it('a byte order mark that contradicts data.encoding is refused', async () => {
    const wide = Buffer.from(`\ufeff${good}`, 'utf16le');
    const swapped = Buffer.from(wide).swap16();
    for (const [content, encoding, mark] of [
      [wide, 'utf-16be', 'utf-16le'],
      [swapped, 'utf-16le', 'utf-16be'],
      [wide, 'latin1', 'utf-16le'],
      [Buffer.from(`\ufeff${good}`), 'latin1', 'utf-8'],
      [Buffer.from(`\ufeff${good}`), 'shift_jis', 'utf-8'],
    ] as const)
      await expect(table(content, { encoding })).rejects.toThrow(
        `its byte order mark says ${mark}. Set data.encoding: ${mark}`,
      );
  });

  it('too many columns are refused before they cost anything', async () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `c${i}`).join(',');
    await expect(table(`${names}\n`)).rejects.toThrow(/100000 columns; at most 32768 are supported/);
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
    await expect(series(content, { columns: ['v'] })).rejects.toThrow(
      /:6: v is 'ERR', which is not a number/,
    );
    const { values } = await series(content, { missingValues: ['ERR'], missing: 'previous' });
    expect(values[4]).toBe(4);
  });
});
