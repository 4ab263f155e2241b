/** Parquet and JSON Lines as tables: the rules of columns are those of CSV files, whatever a value was. */
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openParquet } from '../src/records/parquet.ts';
import { openCsvFile } from '../src/tables/csv-file.ts';
import files from './support/parquet-files.json' with { type: 'json' };
import { lines, tableFiles } from './support/table-files.ts';

const { write, table, series } = tableFiles();
const ROWS = 24;
const parquet = (kind: keyof typeof files, name = `${kind.replace(/\W/g, '-')}.parquet`) =>
  write(Buffer.from(files[kind], 'base64'), name);

async function readAll(path: string) {
  const file = await openCsvFile(path, { onDamaged: 'fail' });
  const rows: string[][] = [];
  for await (const { fields } of file.rows()) rows.push([...fields]);
  return { columns: file.columns, rows, notes: file.notes(), skipped: file.skipped };
}

it('each value of Parquet is as a CSV file would have it', async () => {
  const { columns, rows, notes } = await readAll(parquet('snappy'));
  expect(columns).toEqual(['id', 'x', 'y', 'kind', 'ok', 'day', 'at', 'price', 'big', 'half']);
  expect(rows).toHaveLength(ROWS);
  expect(rows[7]).toEqual([
    // Beyond what a double holds, a missing one, and a time to the microsecond.
    ...['1152921504606846983', '', '3.5', 'grün', 'false', '2026-01-08', '2026-01-01T19:00:00.000007Z'],
    ...['0.07', '9223372036854775815', '3.5'],
  ]);
  expect(rows[3]![2]).toBe('');
  expect(notes).toEqual([
    expect.stringMatching(
      /the columns v, tokens, image, raw hold lists, objects or bytes and are not used.*data pack .* --set input=v$/,
    ),
  ]);
});

it('pages of every kind hold the same', async () => {
  const { rows } = await readAll(parquet('snappy'));
  expect((await readAll(parquet('zstd, pages of version 2'))).rows).toEqual(rows);
  const some = rows.map(([id, x, , kind]) => [id, x, kind]);
  for (const kind of ['gzip', 'brotli', 'not compressed', 'deltas'] as const) {
    expect((await readAll(parquet(kind))).rows, kind).toEqual(some);
    const file = await openParquet(parquet(kind));
    const raw: unknown[] = [];
    for await (const { values } of file.rows(['raw']))
      raw.push(Buffer.from(values[0] as Uint8Array).toString('hex'));
    expect(raw[3], kind).toBe(Buffer.from('prefix\x03').toString('hex'));
  }
  await expect(readAll(parquet('lz4'))).rejects.toThrow(
    /lz4.parquet: column 'id' is compressed with LZ4_RAW.*Write the file with zstd/,
  );
});

it('a table in Parquet, in JSON Lines and in CSV is the same one', async () => {
  const { columns, rows } = await readAll(parquet('snappy'));
  const csv = write(lines(ROWS + 1, (i) => (i === 0 ? columns : rows[i - 1]!).join(',')));
  const json = write(
    lines(ROWS, (i) =>
      JSON.stringify(
        Object.fromEntries(
          columns.flatMap((name, at) => (rows[i]![at] === '' ? [] : [[name, rows[i]![at]]])),
        ),
      ).replace(/"(-?[\d.]+|true|false)"(?=[,}])/g, '$1'),
    ),
    't.jsonl',
  );
  const options = { columns: { day: 'ignore', at: 'ignore' }, missing: 'mean' } as const;
  const [one, ...others] = await Promise.all(
    [csv, json, parquet('snappy')].map((path) => table('', { path, ...options })),
  );
  expect(one!.train.samples).toBe(18);
  for (const other of others) {
    expect(other.train.digest).toBe(one!.train.digest);
    expect(other.preparation).toEqual(one!.preparation);
  }
});

it('a series in Parquet is ordered by its time', async () => {
  const path = parquet('snappy');
  const { train } = await series('', { path, columns: ['half'], time: 'at' });
  const { train: other } = await series('', { path, columns: ['half'], time: 'day' });
  expect(train.digest).toBe(other.digest);
});

it('JSON Lines: columns from all lines, missing keys, long numbers, blank lines', async () => {
  const path = write(
    '{"a": 12345678901234567890, "b": null}\n\n{"c": "é", "a": -1.5e3}\n{"a": true}',
    'odd.jsonl',
  );
  const { columns, rows, notes } = await readAll(path);
  expect(columns).toEqual(['a', 'b', 'c']);
  expect(rows).toEqual([
    ['12345678901234567890', '', ''],
    ['-1500', '', 'é'],
    ['true', '', ''],
  ]);
  expect(notes).toEqual([`${path}: skipped a blank line on line 2`]);
});

it.each([
  ['{"a": 1}\n{"a": \n', /x0.jsonl:2: it is not JSON \(.*\)\. Fix the line, or set data.onDamaged: skip$/],
  [
    '[\n{"a": 1}\n]\n',
    /x1.jsonl:1: it is not JSON.*If the file is one JSON array, write one object per line/,
  ],
  ['{"a": 1}\n[1, 2]\n', /x2.jsonl:2: it holds an array; expected an object/],
  ['{"a": 1}\n{"a": [1]}\n', /x3.jsonl:2: 'a' holds lists, but a single value on line 1/],
  [
    '{"a": [1]}\n',
    /x4.jsonl: column 'a' holds lists, and it has no other columns.*data pack .* --set input=a$/,
  ],
  [Buffer.from('{"a": "\xe9"}\n', 'latin1'), /x5.jsonl:1: it is not UTF-8/],
  ['', /x6.jsonl: it contains no objects/],
  ['{"a": 1, "\u00e9": 1, "e\u0301": 2}\n', /x7.jsonl: two columns are named 'é'/],
  [`{"a": "${'x'.repeat(1 << 24)}"}\n`, /x8.jsonl:1: the line has more than 16777216 bytes/],
] as const)('%# is refused', async (content, why) => {
  const name = `x${made++}.jsonl`;
  await expect(readAll(write(content as string, name))).rejects.toThrow(why);
});
let made = 0;

it('damaged lines of JSON are skipped where that is said', async () => {
  const good = lines(20, (i) => JSON.stringify({ x: i, kind: i % 2 ? 'a' : 'b' }));
  const path = write(`${good}{"x": 1,\n`, 'cut.jsonl');
  const { notes, train } = await table('', { path, onDamaged: 'skip' });
  expect(train.samples).toBe(15);
  expect(notes).toContainEqual(expect.stringMatching(/skipped 1 of 21 rows: .*cut.jsonl:21: it is not JSON/));
});

it.each([
  [
    (bytes: Buffer) => bytes.subarray(0, -20),
    /it does not begin and end with 'PAR1'\. Copy or write it again/,
  ],
  [
    (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 200), bytes.subarray(220)]),
    /cannot be read|is damaged/,
  ],
  [() => Buffer.from('PAR1\0\0\0\0PAR1'), /its metadata cannot be read/],
  [() => Buffer.from('PAREnothing....PARE'), /it is encrypted/],
] as const)('damaged Parquet %# is refused', async (spoil, why) => {
  const path = parquet('snappy', 'spoilt.parquet');
  writeFileSync(path, spoil(Buffer.from(files.snappy, 'base64')));
  await expect(readAll(path)).rejects.toThrow(why);
});

it('a run that says that a value is there a billion times is refused before it is read', async () => {
  const bytes = Buffer.from(files['not compressed'], 'base64');
  let refused = 0;
  for (let i = 4; i + 5 < bytes.length; i += 7) {
    const spoilt = Buffer.from(bytes);
    Buffer.from('feffffff0f', 'hex').copy(spoilt, i);
    const path = write(spoilt, 'bomb.parquet');
    await readAll(path).catch((error: Error) => {
      expect(error.message).toMatch(/bomb\.parquet: /);
      refused++;
    });
  }
  expect(refused).toBeGreaterThan(100);
});
