/** Labels that are many different numbers are refused: each would be a class of its own. */
import { expect, it } from 'vitest';
import { lines, tableFiles } from './support/table-files.ts';

const files = tableFiles();
const { table } = files;
const read = (label: (i: number) => string, options: Parameters<typeof table>[1] = {}) =>
  table(`size,kind\n${lines(60, (i) => `${i % 7},${label(i)}`)}`, options);

it.each([
  [
    'decimals',
    (i: number) => String(0.5 + (i % 30)),
    /30 different numbers in 60 rows, such as 0\.5,.*data\.task: regression/,
  ],
  [
    'numbers of each row',
    (i: number) => String(1000 + 7 * i),
    /60 different numbers in 60 rows, such as 1000,/,
  ],
])('%s', async (_, label, said) => {
  await expect(read(label)).rejects.toThrow(said);
  const { preparation } = await read(label, { task: 'regression' });
  expect(preparation.classes).toBeUndefined();
});

it('not where the job says that they are classes', async () => {
  const { preparation } = await read((i) => String(0.5 + (i % 30)), { columns: { kind: 'category' } });
  expect(preparation.classes).toHaveLength(30);
});

it.each([
  ['a few decimals', (i: number) => String(0.5 + (i % 5)), 5],
  ['many whole numbers, with several rows each', (i: number) => String(i % 25), 25],
  ['numbers among words', (i: number) => (i === 0 ? 'none' : String(i / 2)), 60],
])('%s are classes', async (_, label, classes) => {
  const test = `size,kind\n${lines(60, (i) => `${i % 7},${label(i)}`)}`;
  const { write } = files;
  const { preparation } = await read(label, { test: write(test) });
  expect(preparation.classes).toHaveLength(classes);
});
