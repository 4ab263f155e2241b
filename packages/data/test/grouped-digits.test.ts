/** Numbers whose dots may group thousands: they are read as decimals, and whoever owns the data hears of it. */
import { expect, it } from 'vitest';
import { lines, tableFiles } from './support/table-files.ts';

const { table } = tableFiles();
const kind = (i: number) => (i % 2 ? 'hi' : 'lo');
const notesOf = async (value: (i: number) => string, options: Parameters<typeof table>[1] = {}) => {
  const content = `price,kind\n${lines(40, (i) => `${value(i)},${kind(i)}`)}`;
  return (await table(content, options)).notes;
};
/** 300 to 3,042, as a German spreadsheet writes them. */
const grouped = (i: number) => {
  const whole = 300 + 703 * (i % 4) + i;
  return whole < 1000
    ? String(whole)
    : `${Math.floor(whole / 1000)}.${String(whole % 1000).padStart(3, '0')}`;
};

it('685 beside 1.307 is told, with what reads them as thousands', async () => {
  expect(await notesOf(grouped)).toEqual([
    'column \'price\': \'1.004\' is read as 1.004; if the dot separates thousands, set data.thousands: "." and data.decimal: ","',
  ]);
  expect(await notesOf(grouped, { thousands: '.', decimal: ',' })).toEqual([]);
  expect(await notesOf(grouped, { columns: { price: 'number' } })).toEqual([]);
});

it('the same of a target', async () => {
  const content = `size,price\n${lines(40, (i) => `${(7 * i) % 11},${grouped(i)}`)}`;
  const { notes } = await table(content, { target: 'price', task: 'regression' });
  expect(notes).toEqual([expect.stringContaining("column 'price': '1.004' is read as 1.004")]);
});

it.each([
  ['three decimals throughout', (i: number) => (1 + i / 7).toFixed(3)],
  ['three decimals at most', (i: number) => String(Number((100 + i / 8).toFixed(3)))],
  ['eighths, and small whole numbers', (i: number) => ['1.125', '2', '3', '1.375'][i % 4]!],
  ['with larger numbers that have no dot', (i: number) => ['685', '1307', '1.250', '2.125'][i % 4]!],
])('numbers with %s are plain', async (_, value) => {
  expect(await notesOf(value)).toEqual([]);
});
