/** Names of columns in job files: without a header they are numbers, and YAML reads them as such. */
import { expect, it } from 'vitest';
import { checkData } from '../src/job-data.ts';

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
  [{ ...csv, target: 1.5 }, 'data.target: expected the name of a column'],
  [{ ...csv, target: [true] }, 'data.target: expected the name of a column'],
  [csv, 'data.target: it is missing; expected the name of a column'],
  [{ ...text, label: null }, 'data.label: expected the name of a column'],
  [
    { ...csv, target: 'y', missingValues: [-999] },
    'data.missingValues.0: expected a text in quotes, as the file writes it',
  ],
])('%j is refused', (given, why) => {
  expect(() => checkData(given)).toThrow(why);
});
