/** Whether a worker's answer can count: what it says is checked against the plan, and its gradient must have arrived. */
import type { TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import type { Arrived } from '../params/attempts.ts';
import type { RunPlan } from './plan.ts';

/** Why an answer does not count: `why` says what the worker did wrong, and is undefined where it did nothing wrong. */
export interface Refused {
  /** It is the worker's failure, and others are asked before it. */
  readonly isFailure: boolean;
  readonly why: string | undefined;
}

/** Why an answer does not count whose gradient is not whole. */
const notWhole: Readonly<Record<Exclude<Arrived, 'whole'>, Refused>> = {
  elsewhere: { isFailure: false, why: undefined },
  missing: { isFailure: true, why: 'parts of its gradient are missing' },
  'no room': {
    isFailure: false,
    why: 'there was no memory for its gradient: several attempts at the same shards were in progress',
  },
};

/** @returns undefined: it counts. @param arrived asked only when everything else is right */
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
