/** What comes of a trial does not depend on when it is asked. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { expect, it } from 'vitest';
import { outcomeOf, type SeenJob } from '../../src/sweeps/outcome.ts';

const { JOB_STATE_RUNNING, JOB_STATE_SUCCEEDED, JOB_STATE_FAILED, JOB_STATE_CANCELLED, JOB_STATE_PAUSED } =
  JobState;

/** Epochs with these test losses; the accuracy is what they lack of 1. */
const history = (...losses: number[]): EpochResult[] =>
  losses.map((testLoss, index) => ({
    ...{ epoch: index + 1, trainLoss: 0, trainMetric: 0, seconds: 1, endedAt: 1 },
    ...{ testLoss, testMetric: 1 - testLoss, testMetrics: { f1: testLoss / 2 } },
  }));
const seen = (state: JobState, losses: number[], more: Partial<SeenJob> = {}): SeenJob => ({
  ...{ state, error: '', history: history(...losses), criterion: { metric: 'accuracy' } },
  cost: () => ({ parameters: 10, flops: 20 }),
  ...more,
});
const after = (epochs: number, job: SeenJob, metric: SearchSpec['metric'] = 'testLoss') =>
  outcomeOf({ epochs }, job, { metric }, 9);
const stopEarly = {
  criterion: { metric: 'accuracy', stopEarly: { on: 'loss', patience: 2, least: 0 } },
} as const;

it.each<[string, ReturnType<typeof after>, ReturnType<typeof after>]>([
  ['on its way', after(3, seen(JOB_STATE_RUNNING, [0.5, 0.4])), undefined],
  ['at its epoch', after(3, seen(JOB_STATE_RUNNING, [0.5, 0.4, 0.3])), { outcome: 0.3 }],
  ['in the metric', after(3, seen(JOB_STATE_RUNNING, [1, 1, 0.25]), 'testAccuracy'), { outcome: 0.75 }],
  ['in a further metric', after(3, seen(JOB_STATE_RUNNING, [1, 1, 0.25]), 'f1'), { outcome: 0.125 }],
  [
    'in a metric that its test lacks',
    after(1, seen(JOB_STATE_RUNNING, [0.5]), 'rmse'),
    { outcome: 'failed', error: 'rmse is not finite after epoch 1' },
  ],
  [
    'in several metrics, of which some are costs',
    after(1, seen(JOB_STATE_RUNNING, [0.25]), ['testAccuracy', 'testLoss', 'flops', 'parameters']),
    { outcome: 0.75, further: [0.25, 20, 10] },
  ],
  [
    'in several metrics, of which its test lacks one',
    after(1, seen(JOB_STATE_RUNNING, [0.25]), ['testLoss', 'rmse']),
    { outcome: 'failed', error: 'rmse is not finite after epoch 1' },
  ],
  [
    'of a model that cannot be made any more',
    after(1, seen(JOB_STATE_RUNNING, [0.25], { cost: () => null }), ['testLoss', 'parameters']),
    { outcome: 'failed', error: 'parameters is not finite after epoch 1' },
  ],
  ['beyond its epoch', after(1, seen(JOB_STATE_PAUSED, [0.5, 0.4, 0.3])), { outcome: 0.5 }],
  ['beyond its epoch, and failed', after(1, seen(JOB_STATE_FAILED, [0.5, 0.4])), { outcome: 0.5 }],
  ['after all epochs, not yet on disk', after(9, seen(JOB_STATE_RUNNING, Array(9).fill(0.2))), undefined],
  ['after all epochs', after(9, seen(JOB_STATE_SUCCEEDED, [...Array(8).fill(1), 0.2])), { outcome: 0.2 }],
  [
    'stopped early: of its best epoch',
    after(9, seen(JOB_STATE_SUCCEEDED, [0.5, 0.2, 0.3], stopEarly)),
    { outcome: 0.2 },
  ],
  [
    'stopped early before it is compared',
    after(4, seen(JOB_STATE_SUCCEEDED, [0.5, 0.2, 0.3], stopEarly)),
    { outcome: 0.2 },
  ],
  [
    'failed',
    after(3, seen(JOB_STATE_FAILED, [0.5], { error: 'no memory' })),
    { outcome: 'failed', error: 'no memory' },
  ],
  [
    'cancelled',
    after(3, seen(JOB_STATE_CANCELLED, [0.5])),
    { outcome: 'failed', error: 'its job was cancelled' },
  ],
  [
    'not finite',
    after(1, seen(JOB_STATE_RUNNING, [Number.POSITIVE_INFINITY])),
    { outcome: 'failed', error: 'testLoss is not finite after epoch 1' },
  ],
])('%s', (_, outcome, expected) => expect(outcome).toEqual(expected));
