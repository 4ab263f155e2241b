/** What came of a trial, from what its job has reached: a pure function, so that it does not matter when it is asked. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { ModelCost } from '@kasane/protocol/internal/job/model-cost';
import { type Objective, objectivesOf, type SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { hasEnded } from '@kasane/protocol/job-state';
import { rankEpochs, type StopCriterion } from '../run/best-epoch.ts';
import type { Decision } from '../store/sweep-store.ts';

/** A trial's job at one moment. */
export interface SeenJob {
  readonly state: JobState;
  readonly error: string;
  /** Its epochs, oldest first. */
  readonly history: readonly EpochResult[];
  readonly criterion: StopCriterion;
  /** What its model costs; null where no model can be made of it any more. */
  readonly cost: () => ModelCost | null;
}

/** What a decision has come to. */
export type Outcome = Required<Pick<Decision, 'outcome'>> & Pick<Decision, 'error' | 'further'>;

function valueIn(
  metric: Objective['metric'],
  result: EpochResult,
  cost: SeenJob['cost'],
): number | undefined {
  if (metric === 'parameters' || metric === 'flops') return cost()?.[metric];
  if (metric === 'testLoss') return result.testLoss;
  return metric === 'testAccuracy' || metric === 'testError'
    ? result.testMetric
    : result.testMetrics?.[metric];
}

/** @param epochs of a whole training @returns undefined while the trial is on its way */
export function outcomeOf(
  { epochs: wanted }: Pick<Decision, 'epochs'>,
  { state, error, history, criterion, cost }: SeenJob,
  search: Pick<SearchSpec, 'metric'>,
  epochs: number,
): Outcome | undefined {
  const measured = (result: EpochResult): Outcome => {
    const values: number[] = [];
    for (const { metric } of objectivesOf(search)) {
      const value = valueIn(metric, result, cost);
      if (value === undefined || !Number.isFinite(value))
        return { outcome: 'failed', error: `${metric} is not finite after epoch ${result.epoch}` };
      values.push(value);
    }
    const [outcome, ...further] = values;
    return { outcome: outcome!, ...(further.length > 0 && { further }) };
  };
  // A job that goes on beyond the epoch has a value there; a whole training has one when its weights are on disk.
  const reached = wanted < epochs ? history.find(({ epoch }) => epoch === wanted) : undefined;
  if (reached) return measured(reached);
  if (!hasEnded(state)) return undefined;
  if (state === JobState.JOB_STATE_CANCELLED) return { outcome: 'failed', error: 'its job was cancelled' };
  if (state === JobState.JOB_STATE_FAILED) return { outcome: 'failed', error: error || 'its job failed' };
  // What stops early ends with the weights of its best epoch.
  const last = criterion.stopEarly ? rankEpochs(history, criterion)[0] : history.at(-1);
  return last ? measured(last) : { outcome: 'failed', error: 'its job has no epochs' };
}
