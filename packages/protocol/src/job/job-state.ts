/** What the states of a job mean to those who wait for one. */
import { JobState } from '../gen/kasane/v1/common.ts';

/** States as users read and write them. */
export const stateNames = {
  [JobState.JOB_STATE_UNSPECIFIED]: 'unknown',
  [JobState.JOB_STATE_QUEUED]: 'queued',
  [JobState.JOB_STATE_RUNNING]: 'running',
  [JobState.JOB_STATE_SUCCEEDED]: 'succeeded',
  [JobState.JOB_STATE_FAILED]: 'failed',
  [JobState.JOB_STATE_CANCELLED]: 'cancelled',
  [JobState.JOB_STATE_PAUSED]: 'paused',
  [JobState.UNRECOGNIZED]: 'unknown',
} as const satisfies Readonly<Record<JobState, string>>;

export type StateName = (typeof stateNames)[JobState];

const ended: ReadonlySet<JobState> = new Set([
  JobState.JOB_STATE_SUCCEEDED,
  JobState.JOB_STATE_FAILED,
  JobState.JOB_STATE_CANCELLED,
]);

/** Nothing more will happen to it by itself, and nobody can pause it. */
export const hasEnded = (state: JobState): boolean => ended.has(state);
