/** What the reader of tables advises where a column mixes numbers and texts. */
import { expect, it } from 'vitest';
import { ColumnFit } from '../src/tables/table.ts';

const adviceOn = (values: readonly string[]) => {
  const fit = new ColumnFit('Ticket', undefined);
  for (const [i, text] of values.entries()) fit.see(text, () => `t.csv:${i + 2}`);
  return () => fit.kind;
};
const numbers = Array.from({ length: 1200 }, (_, i) => String(i));

it('one or two texts may stand for no value', () => {
  expect(adviceOn([...numbers, 'ERR'])).toThrow(
    /Set data\.missingValues: \[ERR\] if it means a missing value/,
  );
  expect(adviceOn(['kg', ...numbers])).toThrow(
    /t\.csv:2: 'kg' is not\. Remove line 2 if it contains units\. Set data\.missingValues: \[kg\] if/,
  );
  const two = [...numbers, 'ERR', 'off', 'ERR'];
  expect(adviceOn(two)).toThrow(/missingValues: \[ERR, off\] if they mean a missing value/);
});

it('more are values: the column is left out, or a category', () => {
  const tickets = adviceOn(numbers.map((text, i) => (i % 3 ? text : `A/5 ${text}`)));
  expect(tickets).not.toThrow(/missingValues/);
  expect(tickets).toThrow(/set data\.columns: \{ Ticket: ignore \}, or category/);
  const few = Array.from({ length: 90 }, (_, i) => ['1', '2', '3', 'a', 'b', 'c'][i % 6]!);
  expect(adviceOn(few)).toThrow(/set data\.columns: \{ Ticket: category \}, or ignore/);
});
