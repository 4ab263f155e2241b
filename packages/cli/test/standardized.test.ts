import type { NumberEncoding } from '@kasane/data/table';
import { expect, it } from 'vitest';
import { digitsOf } from '../src/commands/predict/answers.ts';
import { unitOf } from '../src/render/standardized.ts';

const of = (name: string, mean: number, std: number): NumberEncoding => ({
  name,
  kind: 'number',
  mean,
  std,
  fill: 0,
});
const table = (...targets: NumberEncoding[]) => ({
  table: { columns: [], missing: 'fail' as const, targets },
});

it('an error of standardized numbers has its unit, and what that is in the data', () => {
  expect(unitOf({}, 0.5)).toBe('');
  expect(unitOf(table(of('y', 0, 1)), 0.5)).toBe('');
  expect(unitOf(table(of('price', 70_000, 31_360)), 0.6418)).toBe(
    " standard deviations of 'price' (20130 in its units)",
  );
  expect(unitOf(table(of('a', 1, 2), of('b', 0, 3)), 0.5)).toBe(' standard deviations of the targets');
  const series = { window: 2, horizon: 1, columns: [of('x', 0, 9), of('v', 5, 0.5)], targets: ['v'] };
  expect(unitOf({ series }, 0.25)).toBe(" standard deviations of 'v' (0.125 in its units)");
});

it('a prediction has the digits that tell it from others of its column', () => {
  expect(digitsOf(0.25)).toBe('0.250000');
  expect(digitsOf(1_234_567_890.4, 5e8)).toBe('1234567890');
  expect(digitsOf(-1_234_567_890.4, 5e8)).toBe('-1234567890');
  expect(digitsOf(1_700_000_000.123_4, 2)).toBe('1700000000.123');
  expect(digitsOf(2024.371_9, 5)).toBe('2024.372');
  expect(digitsOf(0)).toBe('0.00000');
  expect(digitsOf(1e300, 1e299)).toBe('1.00000000000000e+300');
});
