/** Which epochs were best, and whether it is time to stop: pure functions of a job's history. */

import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Job, TrainingSpec } from '@kasane/protocol/job';
import { counted } from '@kasane/tensor/internal/counted';
import { type MetricName, metricKindOf, metricOf } from '@kasane/tensor/objective';

export interface Judge {
  readonly stopEarly?: TrainingSpec['stopEarly'];
  readonly metric: MetricName;
}

/** By what a job's epochs are judged. */
export const judgeOf = ({ spec, objective }: Pick<Job, 'spec' | 'objective'>): Judge => ({
  stopEarly: spec.training.stopEarly,
  metric: metricOf[objective.type],
});

/** Lower is better. */
const badness = ({ stopEarly, metric }: Judge, { testLoss, testMetric }: EpochResult): number => {
  if (stopEarly?.on !== 'metric') return testLoss;
  return metricKindOf[metric] === 'fraction' ? -testMetric : testMetric;
};

/** The epochs from the best on; of equal ones the earlier is better. */
export function ranked(history: readonly EpochResult[], judge: Judge): EpochResult[] {
  return [...history].sort((a, b) => badness(judge, a) - badness(judge, b) || a.epoch - b.epoch);
}

/** Why to stop after the last epoch of the history; undefined: go on. */
export function whyStop(history: readonly EpochResult[], judge: Judge): string | undefined {
  if (!judge.stopEarly) return undefined;
  const { on, patience, least } = judge.stopEarly;
  let [best, since] = [Number.POSITIVE_INFINITY, 0];
  for (const epoch of history) {
    since++;
    if (badness(judge, epoch) < best - least) {
      best = badness(judge, epoch);
      since = 0;
    }
  }
  if (since < patience) return undefined;
  return `the test ${on === 'loss' ? 'loss' : judge.metric} has not improved for ${counted(since, 'epoch')}`;
}
