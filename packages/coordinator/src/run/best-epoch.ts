/** Which epochs were best, and whether to stop early: pure functions of a job's history. */

import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Job, TrainingSpec } from '@kasane/protocol/job';
import { counted } from '@kasane/tensor/internal/counted';
import { testMetricForms } from '@kasane/tensor/internal/test-metrics';
import { type MetricName, metricKindOf, metricOf } from '@kasane/tensor/objective';

export interface StopCriterion {
  readonly stopEarly?: TrainingSpec['stopEarly'];
  readonly metric: MetricName;
}

/** The metric that epochs are compared by. */
export const stopCriterionOf = ({ spec, objective }: Pick<Job, 'spec' | 'objective'>): StopCriterion => ({
  stopEarly: spec.training.stopEarly,
  metric: metricOf(objective),
});

/** Lower is better. */
const cost = (
  { stopEarly, metric }: StopCriterion,
  { testLoss, testMetric, testMetrics }: EpochResult,
): number => {
  const on = stopEarly?.on ?? 'loss';
  if (on === 'loss') return testLoss;
  if (on === 'metric') return metricKindOf[metric] === 'fraction' ? -testMetric : testMetric;
  // R² is missing if all targets are equal, and any metric if the model has overflowed.
  const value = testMetrics?.[on] ?? Number.NaN;
  if (Number.isNaN(value)) return Number.POSITIVE_INFINITY;
  return testMetricForms[on].better === 'higher' ? -value : value;
};

/** Epochs from best to worst; of equal ones, the earlier is better. */
export function rankEpochs(history: readonly EpochResult[], criterion: StopCriterion): EpochResult[] {
  return [...history].sort((a, b) => cost(criterion, a) - cost(criterion, b) || a.epoch - b.epoch);
}

/** Why to stop after the last epoch; undefined: continue. */
export function earlyStopReason(
  history: readonly EpochResult[],
  criterion: StopCriterion,
): string | undefined {
  if (!criterion.stopEarly) return undefined;
  const { on, patience, least } = criterion.stopEarly;
  let [best, since] = [Number.POSITIVE_INFINITY, 0];
  for (const epoch of history) {
    since++;
    if (cost(criterion, epoch) < best - least) {
      best = cost(criterion, epoch);
      since = 0;
    }
  }
  if (since < patience) return undefined;
  return `the test ${on === 'metric' ? criterion.metric : on} has not improved for ${counted(since, 'epoch')}`;
}
