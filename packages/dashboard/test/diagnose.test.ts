import type { StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect, it } from 'vitest';
import { diagnose } from '../src/page/diagnose.ts';

const layer = (layer: string, gradientNorm: number, updateRatio = 0.001) => ({
  layer,
  gradientNorm,
  weightNorm: 1,
  updateRatio,
});
const quiet = [layer('first', 1), layer('second', 2)];
/** Points that are quiet, but for the last. */
const ending = (last: StepMetrics['layers'], before = 10) =>
  [...Array.from({ length: before }, () => quiet), last].map((layers) => ({ layers }) as StepMetrics);

it('finds nothing where all is well, and nothing in the first few points', () => {
  expect(diagnose([])).toEqual(new Map());
  expect(diagnose(ending(quiet))).toEqual(new Map());
  expect(diagnose(ending([layer('first', 1e-9), layer('second', 2)], 2))).toEqual(new Map());
});

it.each([
  ['vanishing', layer('first', 1e-4)],
  ['exploding', layer('first', 150)],
  ['diverged', layer('first', Number.NaN)],
  ['large', layer('first', 1, 0.5)],
] as const)('names a layer whose gradient is %s', (trouble, odd) => {
  expect(diagnose(ending([odd, layer('second', 2)]))).toEqual(new Map([['first', trouble]]));
});
