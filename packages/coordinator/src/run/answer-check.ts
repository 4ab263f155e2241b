/** Whether a worker's answer counts: its figures must match the plan, and its gradient must have arrived. */
import type { TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import type { Arrived } from '../params/attempts.ts';
import type { RunPlan } from './plan.ts';

/** Why an answer is refused: `why` says what the worker did wrong; undefined if it did nothing wrong. */
export interface Refused {
  /** Counts as a failure of this worker: others are tried first. */
  readonly isFailure: boolean;
  readonly why: string | undefined;
}

/** Refusals of answers whose gradient is not complete. */
const notWhole: Readonly<Record<Exclude<Arrived, 'whole'>, Refused>> = {
  elsewhere: { isFailure: false, why: undefined },
  missing: { isFailure: true, why: 'parts of its gradient are missing' },
  'no room': {
    isFailure: false,
    why: 'there was no memory for its gradient: several attempts at the same shards were in progress',
  },
};

/** @returns undefined if it counts. @param arrived called only if everything else is right */
export function refusedAnswer(
  plan: RunPlan,
  task: Pick<TaskData, 'kind' | 'step' | 'shard'>,
  result: TaskResult,
  arrived: () => Arrived,
): Refused | undefined {
  const { kind } = task;
  const expected = { ...task, epoch: plan.epochOf(task.step) };
  const fits = result.samples === plan.samplesOf(expected) && result.samplesDigest === plan.digest(expected);
  const impossible = fits
    ? plan.whyImpossible(kind, result)
    : 'it was computed from different samples than requested';
  if (impossible !== undefined) return { isFailure: true, why: impossible };
  const gradient = kind === 'train' ? arrived() : 'whole';
  return gradient === 'whole' ? undefined : notWhole[gradient];
}
