/** Files of tables as people have them: ends of lines, encodings, titles, spreadsheets. */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, it, vi } from 'vitest';
import { readIdx } from '../src/idx/idx.ts';
import { openCsvFile } from '../src/tables/csv-file.ts';
import { tableFiles } from './support/table-files.ts';

vi.setConfig({ testTimeout: 120_000 });

const { write, table, series } = tableFiles();
/** A table of numbers with a class in the last column. */
const rows = (count: number, row: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => `${row(i)},${i % 2 ? 'hi' : 'lo'}\n`).join('');
const good = `x,kind\n${rows(12, String)}`;

it('every end of lines, with and without a mark at the beginning, reads the same', async () => {
  const { train } = await table(good);
  const lines = good.split('\n');
  const mixed = lines.map((line, i) => line + ['\n', '\r\n', '\r'][i % 3]).join('');
  for (const content of [good.replaceAll('\n', '\r\n'), good.replaceAll('\n', '\r'), mixed])
    for (const mark of ['', '\ufeff']) expect((await table(mark + content)).train.digest).toBe(train.digest);
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
  // 東京 and 大阪, without kana; what other languages write so is none of it.
  const kanji = Buffer.from(
    `x,kind\n${rows(12, (i) => (i % 2 ? '\x93\x8c\x8b\x9e' : '\x91\xe5\x8d\xe3'))}`,
    'latin1',
  );
  await expect(table(kanji)).rejects.toThrow(/csv:2: it is not UTF-8.*set data.encoding: shift_jis$/);
  for (const word of [
    'Générales',
    'na\xefve \x93quote\x94',
    '\xc4\xc0\xd2\xc0',
    '\xb6\xab\xbe\xa9',
    '\xaaF\xa8\xca',
  ])
    await expect(table(Buffer.from(`x,kind\n${rows(12, () => word)}`, 'latin1'))).rejects.toThrow(
      /set data.encoding: windows-1252 or its encoding$/,
    );
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

it('many blank lines at the end of a single column are counted', async () => {
  const file = await openCsvFile(write(`x\n1\n2\n${'\n'.repeat(130_000)}`), { onDamaged: 'fail' });
  let rows = 0;
  for await (const _ of file.rows()) rows++;
  expect(rows).toBe(2);
  expect(file.notes().join()).toMatch(/skipped 130000 blank lines/);
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
  ['a quotation mark', good.replace('x,', 'x"y,').replaceAll('x"y', 'x"y'), { quote: '' }, /data.quote: ""/],
])('%s: the likely cause, and the option', async (_, content, options, message) => {
  await expect(table(content)).rejects.toThrow(message);
  expect((await table(content, options)).preparation.classes).toEqual(['hi', 'lo']);
});

it.each([
  ['5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n', /the first row, .* looks like the rows below it/],
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
  [
    '[{"a": 1, "kind": "x"},\n{"a": 2, "kind": "y"}]\n',
    /it contains JSON, not CSV. Write one object per line to a file that ends in .jsonl/,
  ],
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

it('NUL characters in fields are refused with their place, or skipped, like other damage', async () => {
  const content = `x,kind\n${rows(30, (i) => (i === 7 ? `${i}\0` : `${i}`))}`;
  await expect(table(content)).rejects.toThrow(
    /csv:9: x contains NUL characters, which are not text\. Fix the row, or set data\.onDamaged: skip/,
  );
  const { train, test } = await table(content, { onDamaged: 'skip' });
  expect(train.samples + test.samples).toBe(29);
});

it.each([
  [gzipSync(good), /it is a gzip file, not text. Unpack it first/],
  [Buffer.from([0xff, 0xfe, 0, 0, 0x78, 0, 0, 0]), /it is in UTF-32. Save it as UTF-8/],
  [Buffer.from('PK\u0003\u0004 sheet'), /a ZIP file, like .*xlsx.* export it as CSV/],
  [Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), /it is a PNG image, not text/],
  [
    Buffer.from('\x93NUMPY\x01\0', 'latin1'),
    /a NumPy array \(\.npy\), not text\. Pack it with kasane data pack/,
  ],
  [Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), /an HDF5 file, not text\. Export it as CSV/],
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

it('a header that comes again, as in files that were put together, is no row', async () => {
  const twice = good + good;
  await expect(table(twice)).rejects.toThrow(
    /csv:14: the row repeats the names of the columns, .*\. Fix the row, or set data\.onDamaged: skip$/,
  );
  const { train, test, notes } = await table(twice, { onDamaged: 'skip' });
  expect(train.samples + test.samples).toBe(24);
  expect(notes.join('\n')).toMatch(/skipped 1 of 25 rows: .*:14: the row repeats/);
  // Texts have no other word for it: it would be a class.
  const texts = `note,kind\n${rows(12, (i) => `n${i % 3}`)}note,kind\n`;
  await expect(table(texts)).rejects.toThrow('repeats the names of the columns');
  // Without a header there is nothing to repeat.
  const bare = `${rows(12, String)}`;
  await expect(table(bare + bare, { header: false, target: '2' })).resolves.toBeDefined();
});

it("fields between ' and ' with a delimiter are told from row names", async () => {
  const quoted = `note,x,kind\n${rows(12, (i) => `'n, ${i % 3}',${i}`)}`;
  await expect(table(quoted)).rejects.toThrow(/If ' encloses fields, set data\.quote: "'"$/);
  await expect(table(quoted, { quote: "'" })).resolves.toBeDefined();
});

it('a quotation mark after a backslash: how one is written', async () => {
  const escaped = `note,kind\n${rows(12, () => '"say \\"hi\\" ok"')}`;
  await expect(table(escaped)).rejects.toThrow(/csv:2: .* Within a field, write "" for "\./);
});
