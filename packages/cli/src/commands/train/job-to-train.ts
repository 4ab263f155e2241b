/** The job that `kasane train` was asked for. Loads nothing heavy: workers are forked only for a job that is one. */
import type { Job } from '@kasane/protocol/job';
import { type WeightsPlace, weightsPlace } from '../../files/output-file.ts';
import { type GivenOptions, jobOf } from '../../files/read-job.ts';

export interface JobToTrain extends WeightsPlace {
  readonly job: Job;
}

/**
 * A job file or preset with the options of the command line in the place of its own, and a file for its weights that can be written.
 * @throws KasaneError NO_INPUT, JOB_INVALID, USAGE
 */
export async function jobToTrain(
  jobOrPreset: string,
  options: GivenOptions & { readonly out?: string },
): Promise<JobToTrain> {
  const job = await jobOf(jobOrPreset, options);
  return { job, ...weightsPlace(job.spec.name, options.out) };
}
