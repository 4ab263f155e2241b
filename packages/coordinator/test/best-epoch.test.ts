import { expect, it } from 'vitest';
import { type Judge, ranked, whyStop } from '../src/run/best-epoch.ts';

const epochs = (losses: number[], metrics: number[] = losses) =>
  losses.map((testLoss, i) => ({
    epoch: i + 1,
    trainLoss: 0,
    trainMetric: 0,
    testLoss,
    testMetric: metrics[i]!,
    seconds: 1,
    endedAt: 0,
  }));
const judge = (
  fields: Partial<NonNullable<Judge['stopEarly']>> = {},
  metric: Judge['metric'] = 'accuracy',
) => ({
  stopEarly: { on: 'loss' as const, patience: 2, least: 0, ...fields },
  metric,
});

it('ranks by loss, or by the metric in its own direction; of equal epochs the earlier is better', () => {
  const order = (list: ReturnType<typeof epochs>, by: Judge) => ranked(list, by).map(({ epoch }) => epoch);
  expect(order(epochs([3, 1, 2, 1]), { metric: 'accuracy' })).toEqual([2, 4, 3, 1]);
  expect(order(epochs([3, 1, 2], [0.1, 0.2, 0.9]), judge({ on: 'metric' }))).toEqual([3, 2, 1]);
  expect(order(epochs([3, 1, 2], [5, 6, 4]), judge({ on: 'metric' }, 'mean absolute error'))).toEqual([
    3, 1, 2,
  ]);
});

it('stops when the last epochs, as many as the patience, have not been better than the best before', () => {
  expect(whyStop(epochs([3, 2, 2.5]), judge())).toBeUndefined();
  expect(whyStop(epochs([3, 2, 2.5, 2]), judge())).toMatch(/test loss has not improved for 2 epochs/);
  expect(whyStop(epochs([3, 2, 2.5, 1.9, 2]), judge())).toBeUndefined();
  expect(whyStop(epochs([3, 2.95, 2.91]), judge({ least: 0.1 }))).toMatch(/2 epochs/);
  expect(whyStop(epochs([1, 1], [0.9, 0.8]), judge({ on: 'metric', patience: 1 }))).toMatch(/accuracy/);
  expect(whyStop(epochs([1, 1, 1, 1]), { metric: 'accuracy' })).toBeUndefined();
});
