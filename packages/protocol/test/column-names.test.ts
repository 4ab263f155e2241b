/** Names of columns in job files: without a header they are numbers, and YAML reads them as such. */
import { expect, it } from 'vitest';
import { checkData } from '../src/job/job-data.ts';

const csv = { format: 'csv', path: 'x.csv' };
const text = { format: 'text', path: 'x.csv' };
const series = { format: 'series', path: 'x.csv', window: 4 };

it.each([
  [{ ...csv, target: 5 }, { target: '5' }],
  [{ ...csv, target: [4, 'b'], task: 'regression' }, { target: ['4', 'b'] }],
  [{ ...csv, target: 5, inputs: { left: [1, 2] } }, { inputs: { left: ['1', '2'] } }],
  [
    { ...text, text: 2, label: 1 },
    { text: '2', label: '1' },
  ],
  [{ ...text }, { text: 'text', label: 'label' }],
  [
    { ...series, time: 1, columns: [2, 3], target: 3 },
    { time: '1', columns: ['2', '3'], target: '3' },
  ],
])('%j', (given, read) => {
  expect(checkData(given)).toMatchObject(read);
});

it.each([
  [{ ...csv, target: 1.5 }, 'data.target: expected a column name'],
  [{ ...csv, target: [true] }, 'data.target: expected a column name'],
  [csv, 'data.target: it is missing; expected a column name'],
  [{ ...text, label: null }, 'data.label: expected a column name'],
  [
    { ...csv, target: 'y', missingValues: [-999] },
    'data.missingValues.0: expected text in quotes, as it is written in the file',
  ],
  [
    { path: 'x', columns: { a: 'number' } },
    'data.columns: it is an option of format csv, series, but the format is idx; its options are: format, path',
  ],
  [{ ...csv, target: 'y', targt: 'z' }, "data.targt: unknown key; did you mean 'target'"],
  [
    { ...text, missing: 'mean' },
    'data.missing: it is an option of format csv, series, but the format is text',
  ],
])('%j is refused', (given, why) => {
  expect(() => checkData(given)).toThrow(why);
});
