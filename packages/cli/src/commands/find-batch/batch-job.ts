/** The job whose batches are measured: the given one, without what is about its end. Loads nothing heavy. */
import { KasaneError } from '@kasane/protocol/errors';
import { checkJob, type Job } from '@kasane/protocol/job';
import { type GivenOptions, jobOf } from '../../files/read-job.ts';

export interface Sizes {
  readonly from?: number;
  readonly to?: number;
  /** Of measuring each. */
  readonly seconds: number;
}

/** So small that nothing diverges, whatever the batch. */
const NO_LEARNING = 1e-12;

/** Of job files. */
const LARGEST_BATCH = 1_000_000;

/** @throws KasaneError USAGE, NO_INPUT, JOB_INVALID */
export async function batchJob(
  jobOrPreset: string,
  options: Sizes & Pick<GivenOptions, 'data'>,
): Promise<Job> {
  const { from, to, data } = options;
  if (from !== undefined && to !== undefined && from > to)
    throw new KasaneError('USAGE', `--from ${from}: expected at most --to, which is ${to}`);
  if (from !== undefined && from > LARGEST_BATCH)
    throw new KasaneError('USAGE', `--from ${from}: expected at most ${LARGEST_BATCH}`);
  const { spec } = await jobOf(jobOrPreset, { ...(data !== undefined && { data }) });
  const { exchange: _, checkpoint: __, ...job } = spec;
  const { stopEarly: ___, schedule: ____, ...training } = spec.training;
  return checkJob({ ...job, training: { ...training, learningRate: NO_LEARNING } });
}

/** Fewest samples of a step: one for each part that is computed by itself. */
export const leastBatch = ({ spec: { training } }: Job): number => training.shards * training.accumulate;

/** The text of the same job with another batch, for so many epochs. */
export const withBatch = ({ spec }: Job, batch: number, epochs = 1): string =>
  JSON.stringify({ ...spec, training: { ...spec.training, batch, epochs } });
