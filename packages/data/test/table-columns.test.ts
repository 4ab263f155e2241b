/** Columns that are no features: what a delimiter at the end leaves, row numbers, and what never changes. */
import { expect, it } from 'vitest';
import { ColumnFit } from '../src/tables/table.ts';
import { lines, tableFiles } from './support/table-files.ts';

const { table, write } = tableFiles();
const kind = (i: number) => (i % 2 ? 'hi' : 'lo');

it('an empty column after the last delimiter is left out, also where the options name it', async () => {
  const content = `a,b,kind,\n${lines(12, (i) => `.${(3 * i) % 7},.2${i},${kind(i)},`)}`;
  const plain = await table(content);
  expect(plain.notes).toEqual([expect.stringContaining("each line ends with ','")]);
  for (const columns of [{}, { '': 'ignore' }] as const) {
    const { preparation } = await table(content, { columns });
    expect(preparation.table!.columns.map(({ name }) => name)).toEqual(['a', 'b']);
  }
});

it('the same without a header', async () => {
  const content = lines(12, (i) => `.${(3 * i) % 7},${kind(i)},`);
  const { preparation, notes } = await table(content, { header: false, target: '2' });
  expect(preparation.table!.columns.map(({ name }) => name)).toEqual(['1']);
  expect(notes).toEqual([expect.stringContaining("each line ends with ','")]);
});

it.each(['PassengerId', 'Id', 'instant', '', 'Unnamed: 0'])(
  'the row numbers of a column %j are said to be learnt from',
  async (name) => {
    const from = name === '' ? 0 : 892;
    const content = `${name},x,kind\n${lines(40, (i) => `${from + i},${(7 * i) % 11},${kind(i)}`)}`;
    const { notes } = await table(content);
    expect(notes).toEqual([
      expect.stringMatching(
        `^column '${name}' seems to number the rows, .* to ignore it, set data.columns: { .*: ignore }$`,
      ),
    ]);
    const columns = { [name]: 'ignore' } as const;
    expect((await table(content, { columns })).notes).toEqual([]);
    expect((await table(content, { columns: { [name]: 'number' } })).notes).toEqual([]);
  },
);

it('row numbers with rows taken out, and beside a file to test with', async () => {
  const ids = Array.from({ length: 60 }, (_, i) => i).filter((i) => i % 17 !== 5);
  const content = `Id,x,kind\n${ids.map((i) => `${i},${(7 * i) % 11},${kind(i)}\n`).join('')}`;
  const test = write(`Id,x,kind\n${lines(12, (i) => `${i},${i % 5},${kind(i)}`)}`);
  expect((await table(content, { test })).notes).toEqual([expect.stringContaining("column 'Id' seems")]);
});

it.each([
  ['steps of 2', (i: number) => 2 * i],
  ['repeated', (i: number) => Math.floor(i / 2)],
  ['in any order', (i: number) => (7 * i) % 40],
  ['fractions', (i: number) => i + 0.5],
])('numbers that are no row numbers: %s', async (_, value) => {
  const content = `Id,kind\n${lines(40, (i) => `${value(i)},${kind(i)}`)}`;
  expect((await table(content)).notes).toEqual([]);
});

it("pandas' index is one in any order", async () => {
  const content = `Unnamed: 0,x,kind\n${lines(40, (i) => `${(7 * i) % 40},${i % 3},${kind(i)}`)}`;
  expect((await table(content)).notes).toEqual([
    expect.stringContaining("column 'Unnamed: 0' seems to number the rows"),
  ]);
});

it('columns of one value are said, in one sentence', async () => {
  const content = `x,site,unit,kind\n${lines(40, (i) => `${(7 * i) % 11},Kobe,5,${kind(i)}`)}`;
  expect((await table(content)).notes).toEqual([
    'columns site, unit have the same value in all training rows, so nothing can be learned from them; to ignore them, set data.columns: { site: ignore, unit: ignore }',
  ]);
  const columns = { site: 'ignore' } as const;
  expect((await table(content, { columns })).notes).toEqual([
    expect.stringMatching(
      /^column 'unit' has the same value .* to ignore it, set data.columns: { unit: ignore }$/,
    ),
  ]);
});

it.each([
  ['id', true],
  ['user_id', true],
  ['orderId', true],
  ['paid', false],
  ['height', false],
])(
  'whole numbers that only rise, by any step, are row numbers under a name of ids alone: %s',
  (name, expected) => {
    const fit = new ColumnFit(name, undefined);
    for (let i = 0; i < 40; i++) fit.see(String(1 + 3 * i + (i > 20 ? 5 : 0)), () => 'row');
    expect(fit.isRisingId).toBe(expected);
  },
);

it('a value that makes all others nearly equal is named, and not repeated rows', async () => {
  const far = (value: string) =>
    `x,y,kind\n${lines(100, (i) => `${i === 40 ? value : `${(i * 37) % 101}.${i}`},${(i * 13) % 17},${kind(i)}`)}`;
  for (const value of ['999999999', '1e30', '-5e9']) {
    const { notes } = await table(far(value), { standardize: true });
    expect(notes).toEqual([
      expect.stringContaining(
        `:42: x is ${value}, so far from the other values that standardization makes those nearly equal. Fix it, set data.missingValues: ["${value}"]`,
      ),
    ]);
    expect((await table(far(value), { standardize: false })).notes.join()).not.toMatch(/so far from/);
  }
  // Far, but the others can still be told apart.
  expect((await table(far('5000'), { standardize: true })).notes).toEqual([]);
});

it.each(['Total', '合計', 'Summe:', '120'])('a last row of totals is named: %s', async (word) => {
  const rows = Array.from({ length: 16 }, (_, i) => [i + 1, 3 * i + 2, kind(i)] as const);
  const sum = rows.reduce((total, [, value]) => total + value, 0);
  const content = (last: string) =>
    `shop,sales,kind\n${rows.map(([shop, sales, of]) => `s${shop % 4},${sales},${of}\n`).join('')}${last}`;
  expect((await table(content(`${word},${sum},hi\n`))).notes.join()).toMatch(
    /:18: the last row seems to be a total \((it is called|it has the sum).*\), but is used like the others\. Remove it/,
  );
  expect((await table(content('s1,40,hi\n'))).notes.join()).not.toMatch(/a total/);
});
