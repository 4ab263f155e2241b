/** The job that `kasane train` was asked for. Loads nothing heavy: workers are forked only for a job that is one. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { JobSpec } from '@kasane/protocol/job';
import { requireWritable } from '../../files/output-file.ts';
import { type GivenOptions, jobOf } from '../../files/read-job.ts';
import { versionOf } from '../../files/write-file.ts';

export interface JobToTrain {
  readonly spec: JobSpec;
  /** Where its weights go. */
  readonly out: string;
  /** What was there before the training. */
  readonly version: string;
  /** Whether those of an earlier training are there, in a place that nobody has named. */
  readonly replaces: boolean;
}

/**
 * A job file or preset with the options of the command line in the place of its own, and a file for its weights that can be written.
 * @throws KasaneError NO_INPUT, JOB_INVALID, USAGE
 */
export async function jobToTrain(
  jobOrPreset: string,
  options: GivenOptions & { readonly out?: string },
): Promise<JobToTrain> {
  const { spec } = await jobOf(jobOrPreset, options);
  const out = resolve(options.out ?? join('.kasane', `${spec.name}.safetensors`));
  requireWritable(out);
  return { spec, out, version: versionOf(out), replaces: options.out === undefined && existsSync(out) };
}
