import { expect, it } from 'vitest';
import { brief, briefPercent, metric, part } from '../src/page/format.ts';

it.each([
  [0, '0'],
  [1, '1'],
  [0.25, '0.25'],
  [0.123456, '0.1235'],
  [0.001, '0.001'],
  [0.0001, '1e-4'],
  [0.0000025, '2.5e-6'],
  [7030, '7,030'],
  [20_000, '20,000'],
  [3e12, '3e12'],
  [-0.00001, '-1e-5'],
])('writes %d in a chart as %s', (value, text) => expect(brief(value)).toBe(text));

it('writes fractions as per cent, and what is not known as no number', () => {
  expect([0, 0.25, 0.8984, 0.99996].map(briefPercent)).toEqual(['0 %', '25 %', '89.84 %', '100 %']);
  expect(metric({ metricKind: 1 }, undefined)).toBe('–');
  expect([1e-7, 0.004, 0].map(part)).toEqual(['1/10,000,000', '1/100', '0']);
});
