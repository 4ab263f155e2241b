/** What is shown of a trial does not depend on how far its job went before the sweep's pause reached it. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { TrialState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { expect, it } from 'vitest';
import { viewTrials } from '../src/sweeps/views.ts';

const { TRIAL_STATE_RUNNING, TRIAL_STATE_PAUSED, TRIAL_STATE_STOPPED } = TrialState;
const { TRIAL_STATE_SUCCEEDED, TRIAL_STATE_FAILED } = TrialState;

const stateOf = (
  outcome: number | 'failed' | undefined,
  epochs: number,
  job: JobState,
  hasEnded: boolean,
) => {
  const base = { kind: 'start', trial: 0, assignment: {}, epochs } as const;
  const decision = outcome === undefined ? base : { ...base, outcome };
  return viewTrials([decision], [{ job: 'a-1', number: 1, state: job }], 4, hasEnded)[0]!.state;
};

it.each([
  JobState.JOB_STATE_PAUSED,
  JobState.JOB_STATE_RUNNING,
  JobState.JOB_STATE_SUCCEEDED,
  JobState.JOB_STATE_FAILED,
  JobState.JOB_STATE_CANCELLED,
])('a trial that was evaluated before its last epoch, with a job in state %i', (job) => {
  expect(stateOf(0.5, 1, job, false)).toBe(TRIAL_STATE_PAUSED);
  expect(stateOf(0.5, 1, job, true)).toBe(TRIAL_STATE_STOPPED);
  expect(stateOf('failed', 1, job, true)).toBe(TRIAL_STATE_FAILED);
  expect(stateOf(0.5, 4, job, true)).toBe(TRIAL_STATE_SUCCEEDED);
});

it('a trial that is on its way', () => {
  expect(stateOf(undefined, 1, JobState.JOB_STATE_QUEUED, false)).toBe(TRIAL_STATE_RUNNING);
  expect(stateOf(undefined, 1, JobState.JOB_STATE_PAUSED, false)).toBe(TRIAL_STATE_PAUSED);
  expect(stateOf(undefined, 1, JobState.JOB_STATE_CANCELLED, true)).toBe(TRIAL_STATE_STOPPED);
});
