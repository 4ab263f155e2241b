/** Columns that say nothing, and columns of large numbers, as a network sees them. */
import { expect, it } from 'vitest';
import { ColumnFit, encodeRow } from '../src/tables/table.ts';
import { plainForm } from '../src/tables/table-form.ts';

function encoded(texts: readonly string[]): number[] {
  const fit = new ColumnFit('x', 'number');
  for (const [row, text] of texts.entries()) fit.see(text, () => `row ${row}`);
  const out = new Float32Array(texts.length);
  for (const [row, text] of texts.entries())
    encodeRow([fit.encoding(true)!], () => text, { missing: 'fail', form: plainForm }, out, row);
  return [...out];
}

it.each(['10000.123', '14.62', '1764331200', '0.1', '1e-200', '-1e300', '0'])(
  'a column of %s is 0',
  (text) => {
    for (const rows of [1, 2, 3, 49, 1000, 30_011]) {
      expect([...new Set(encoded(Array(rows).fill(text)))], `${rows} rows`).toEqual([0]);
    }
  },
);

it('seconds since 1970 keep what tells them apart', () => {
  const found = encoded([0, 1, 2, 3].map((second) => String(1_764_331_200 + second)));
  const deviation = Math.sqrt(1.25);
  found.forEach((value, i) => {
    expect(value).toBeCloseTo((i - 1.5) / deviation, 6);
  });
});

it.each([
  ['1e-200', '3e-200'],
  ['-1e300', '1e300'],
])('columns of %s and %s are as far apart as any two numbers', (low, high) => {
  expect(encoded([low, high])).toEqual([-1, 1]);
});
