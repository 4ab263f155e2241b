/** Numbers that may be codes, IDs or times, and numbers with signs that no option reads. */
import { expect, it } from 'vitest';
import { lines, tableFiles } from './support/table-files.ts';

const { table } = tableFiles();
const kind = (i: number) => (i % 2 ? 'hi' : 'lo');
const read = (value: (i: number) => string, options: Parameters<typeof table>[1] = {}) =>
  table(`size,kind\n${lines(40, (i) => `${value(i)},${kind(i)}`)}`, options);

it.each([
  [
    'codes',
    (i: number) => String(1003 + 997 * (i % 23)).padStart(5, '0'),
    /'01003' start with 0.*size: category }, or ignore/,
  ],
  [
    'IDs',
    (i: number) => `90071992547410${10 + ((i * 7) % 80)}`,
    /has more digits than a number can store.*size: ignore }/,
  ],
  [
    'times',
    (i: number) => String(1_700_000_000_000 + 86_400_000 * ((i * 7) % 40)),
    /milliseconds since 1970.*size: ignore }/,
  ],
  [
    'powers',
    (i: number) => (i % 9 === 8 ? '1E5' : String(i % 8)),
    /'1E5' is read as 100000; if it is a code, .*size: category }, or ignore/,
  ],
  [
    'phone numbers',
    (i: number) => String(5_550_000_000 + ((i * 7_919) % 9_973)),
    /all values have 10 digits.*phone numbers or IDs, .*size: ignore }/,
  ],
])('%s are told, once each column, unless somebody says that they are numbers', async (_, value, said) => {
  expect((await read(value)).notes).toEqual([expect.stringMatching(said)]);
  expect((await read(value, { columns: { size: 'number' } })).notes).toEqual([]);
});

it.each([
  ['decimals below 1', (i: number) => `0.${10 + i}`],
  ['0 and 1', (i: number) => String((i >> 1) % 2)],
  ['years', (i: number) => String(1990 + (i % 30))],
  ['a single 999', (i: number) => String(i === 7 ? 999 : i % 9)],
  ['999 among its like', (i: number) => String(980 + (i % 25))],
  ['large quantities', (i: number) => String(1_700_000_000_000 + 0.5 + i * i)],
  ['quantities of any size', (i: number) => String(10 ** (i % 14))],
])('%s are plain', async (_, value) => {
  expect((await read(value)).notes).toEqual([]);
});

it.each([
  ['$', (i: number) => `$${100 + i}`, "Remove the currency sign '$' from its numbers. "],
  ['€', (i: number) => `${100 + i} €`, "Remove the currency sign '€' from its numbers. "],
  ['%', (i: number) => `${i}%`, 'Remove the percent sign from its numbers. '],
  ['brackets', (i: number) => (i % 3 ? `(${i})` : String(i)), "If '(1)' is negative, write '-1'. "],
  ['another minus', (i: number) => `\u2212${i + 1}`, "Write negative numbers with '-'. "],
])('numbers with %s are refused with what to do', async (_, value, cure) => {
  await expect(read(value)).rejects.toThrow(`is not. ${cure}Fix the file, or set data.columns`);
  await expect(read(value, { columns: { size: 'number' } })).rejects.toThrow(
    `which is not a number (${cure.slice(0, -2)})`,
  );
});

it.each([
  ['-999', (i: number) => String(i % 9 ? i % 12 : -999)],
  ['99999', (i: number) => String(i % 9 ? i % 12 : 99_999)],
  ['-999.0', (i: number) => (i % 9 ? `${i % 12}.5` : '-999.0')],
])('%s among small numbers may be a missing value', async (marker, value) => {
  const { notes } = await read(value);
  expect(notes).toEqual([
    expect.stringContaining(
      `column 'size': ${Number(marker)} is in 3 training rows, far from all other values; if it means a missing value, set data.missingValues: ["${marker}"]`,
    ),
  ]);
  expect((await read(value, { missingValues: [marker], missing: 'mean' })).notes).toEqual([]);
});

it('a column that tells the target by itself is said', async () => {
  const rows = (code: (i: number) => string) =>
    `size,code,kind\n${lines(40, (i) => `${i % 3},${code(i)},${kind(i)}`)}`;
  const said = /column 'code' determines the target 'kind' in every row.*columns: { code: ignore }/;
  expect((await table(rows(kind))).notes).toContainEqual(expect.stringMatching(said));
  expect((await table(rows((i) => String(i % 2)))).notes).toContainEqual(expect.stringMatching(said));
  expect(
    (
      await table(
        rows((i) => String(i % 2)),
        { columns: { code: 'ignore' } },
      )
    ).notes,
  ).toEqual([]);
  expect((await table(rows((i) => String(i % 4)))).notes).toEqual([]);
});
