/** Whether what has ended has succeeded, for whoever waited for it. */
import { KasaneError } from '../errors.ts';
import { JobState } from '../gen/kasane/v1/common.ts';
import type { Job } from '../gen/kasane/v1/jobs.ts';
import { type Sweep, SweepState } from '../gen/kasane/v1/sweeps.ts';

/** @throws KasaneError JOB_FAILED or JOB_CANCELLED when a job that has ended did not succeed */
export function requireSuccess(job: Job): void {
  if (job.state === JobState.JOB_STATE_FAILED)
    throw new KasaneError('JOB_FAILED', `job ${job.id} failed: ${job.error}`);
  if (job.state === JobState.JOB_STATE_CANCELLED)
    throw new KasaneError('JOB_CANCELLED', `job ${job.id} was cancelled`);
}

/** @throws KasaneError JOB_FAILED or JOB_CANCELLED when a sweep that has ended did not succeed */
export function requireSweepSuccess({ id, state, error }: Sweep): void {
  if (state === SweepState.SWEEP_STATE_FAILED)
    throw new KasaneError('JOB_FAILED', `sweep ${id} failed: ${error}`);
  if (state === SweepState.SWEEP_STATE_CANCELLED)
    throw new KasaneError('JOB_CANCELLED', `sweep ${id} was cancelled`);
}
