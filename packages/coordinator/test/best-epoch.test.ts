import { expect, it } from 'vitest';
import { earlyStopReason, rankEpochs, type StopCriterion } from '../src/run/best-epoch.ts';

const epochs = (losses: number[], metrics: number[] = losses) =>
  losses.map((testLoss, i) => ({
    epoch: i + 1,
    trainLoss: 0,
    trainMetric: 0,
    testLoss,
    testMetric: metrics[i]!,
    seconds: 1,
    endedAt: 0,
    testMetrics: {},
  }));
const criterion = (
  fields: Partial<NonNullable<StopCriterion['stopEarly']>> = {},
  metric: StopCriterion['metric'] = 'accuracy',
) => ({
  stopEarly: { on: 'loss' as const, patience: 2, least: 0, ...fields },
  metric,
});

it('ranks by loss, or by the metric in its own direction; of equal epochs the earlier is better', () => {
  const order = (list: ReturnType<typeof epochs>, by: StopCriterion) =>
    rankEpochs(list, by).map(({ epoch }) => epoch);
  expect(order(epochs([3, 1, 2, 1]), { metric: 'accuracy' })).toEqual([2, 4, 3, 1]);
  expect(order(epochs([3, 1, 2], [0.1, 0.2, 0.9]), criterion({ on: 'metric' }))).toEqual([3, 2, 1]);
  expect(order(epochs([3, 1, 2], [5, 6, 4]), criterion({ on: 'metric' }, 'mean absolute error'))).toEqual([
    3, 1, 2,
  ]);
});

it('stops when the last epochs, as many as the patience, have not been better than the best before', () => {
  expect(earlyStopReason(epochs([3, 2, 2.5]), criterion())).toBeUndefined();
  expect(earlyStopReason(epochs([3, 2, 2.5, 2]), criterion())).toMatch(
    /test loss has not improved for 2 epochs/,
  );
  expect(earlyStopReason(epochs([3, 2, 2.5, 1.9, 2]), criterion())).toBeUndefined();
  expect(earlyStopReason(epochs([3, 2.95, 2.91]), criterion({ least: 0.1 }))).toMatch(/2 epochs/);
  expect(earlyStopReason(epochs([1, 1], [0.9, 0.8]), criterion({ on: 'metric', patience: 1 }))).toMatch(
    /accuracy/,
  );
  expect(earlyStopReason(epochs([1, 1, 1, 1]), { metric: 'accuracy' })).toBeUndefined();
});

it('judges by a further metric of the test, in its own direction', () => {
  const named = (name: 'f1' | 'rmse', values: readonly number[]) =>
    epochs(values.map(() => 1)).map((epoch, i) => ({
      ...epoch,
      testMetrics: Number.isNaN(values[i]) ? {} : { [name]: values[i]! },
    }));
  const order = (name: 'f1' | 'rmse', values: readonly number[]) =>
    rankEpochs(named(name, values), criterion({ on: name })).map(({ epoch }) => epoch);
  expect(order('f1', [0.1, 0.9, 0.5])).toEqual([2, 3, 1]);
  expect(order('rmse', [0.1, 0.9, 0.5])).toEqual([1, 3, 2]);
  // Where a test has none it is worst.
  expect(order('rmse', [Number.NaN, 0.9, 0.5])).toEqual([3, 2, 1]);
  expect(earlyStopReason(named('f1', [0.5, 0.6, 0.6, 0.55]), criterion({ on: 'f1' }))).toBe(
    'the test f1 has not improved for 2 epochs',
  );
});
