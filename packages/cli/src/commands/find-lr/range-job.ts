/** The job of a learning-rate range test: the given one, with a learning rate that rises from step to step. Loads nothing heavy. */
import { KasaneError } from '@kasane/protocol/errors';
import { checkJob, type Job } from '@kasane/protocol/job';
import { type GivenOptions, jobOf } from '../../files/read-job.ts';

export interface Range {
  /** Learning rates of the first step and of the last. */
  readonly from: number;
  readonly to: number;
  readonly steps: number;
}

/**
 * What is about the end of a training, or about the way of gradients, is left out: it has no part in the first steps.
 * @throws KasaneError USAGE, NO_INPUT, JOB_INVALID
 */
export async function rangeJob(jobOrPreset: string, options: Range & GivenOptions): Promise<Job> {
  const { from, to, steps, data, batch } = options;
  if (from >= to) throw new KasaneError('USAGE', `--from ${from}: expected less than --to, which is ${to}`);
  const { spec } = await jobOf(jobOrPreset, {
    ...(data !== undefined && { data }),
    ...(batch !== undefined && { batch }),
  });
  const { exchange: _, checkpoint: __, ...job } = spec;
  const { stopEarly: ___, ema: ____, ...training } = spec.training;
  const schedule = { type: 'exponential', every: steps - 1, factor: to / from };
  return checkJob({ ...job, training: { ...training, learningRate: from, schedule } });
}

/** The same for so many steps. */
export function lasting({ spec }: Job, steps: number, stepsPerEpoch: number): string {
  const epochs = Math.ceil(steps / stepsPerEpoch);
  return JSON.stringify({ ...spec, training: { ...spec.training, epochs } });
}
