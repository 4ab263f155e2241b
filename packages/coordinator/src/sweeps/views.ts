/** Sweeps and their trials as users see them: what was decided, and the states of the jobs. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import {
  type Sweep as SweepMessage,
  type Trial as TrialMessage,
  TrialState,
} from '@kasane/protocol/gen/kasane/v1/sweeps';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { isMaximized } from '@kasane/protocol/internal/job/search-schema';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import { messageOfReason, type Reason } from '@kasane/protocol/reasons';
import { ranking } from '../search/ranking.ts';
import type { Decision, SweepRecord, TrialJob } from '../store/sweep-store.ts';

/** Trials by their number. */
export function viewTrials(decisions: readonly Decision[], jobs: readonly TrialJob[]): TrialMessage[] {
  const jobOf = new Map(jobs.map((job) => [job.number, job]));
  const trials: TrialMessage[] = [];
  for (const { trial, assignment, epochs, outcome, error } of decisions) {
    const number = trial + 1;
    const job = jobOf.get(number);
    trials[trial] ??= {
      number,
      job: job?.job ?? '',
      state: TrialState.TRIAL_STATE_RUNNING,
      assignment: JSON.stringify(assignment),
      epochs: 0,
      value: undefined,
      error: '',
    };
    const view = trials[trial];
    if (outcome === 'failed') Object.assign(view, { error: brief(error ?? '', ERROR_TEXT) });
    else if (outcome !== undefined) Object.assign(view, { value: outcome, epochs });
    view.state = stateOf(job?.state, outcome === 'failed');
  }
  return trials;
}

function stateOf(job: JobState | undefined, isFailed: boolean): TrialState {
  if (isFailed || job === undefined || job === JobState.JOB_STATE_FAILED)
    return TrialState.TRIAL_STATE_FAILED;
  if (job === JobState.JOB_STATE_PAUSED) return TrialState.TRIAL_STATE_PAUSED;
  if (job === JobState.JOB_STATE_SUCCEEDED) return TrialState.TRIAL_STATE_SUCCEEDED;
  return job === JobState.JOB_STATE_CANCELLED
    ? TrialState.TRIAL_STATE_STOPPED
    : TrialState.TRIAL_STATE_RUNNING;
}

/** @param why it does not go on, if it does not */
export function viewSweep(
  record: SweepRecord,
  { search, epochs }: Sweep,
  decisions: readonly Decision[],
  trials: readonly TrialMessage[],
  why: Reason | undefined,
): SweepMessage {
  const [best] = ranking(search, decisions);
  const count = (state: TrialState) => trials.filter((trial) => trial.state === state).length;
  return {
    id: record.id,
    name: record.name,
    state: record.state,
    error: brief(record.error, ERROR_TEXT),
    waitingFor: why && messageOfReason(why),
    submittedAt: record.submittedAt,
    endedAt: record.endedAt,
    metric: search.metric,
    minimize: !isMaximized(search),
    running: count(TrialState.TRIAL_STATE_RUNNING),
    paused: count(TrialState.TRIAL_STATE_PAUSED),
    succeeded: count(TrialState.TRIAL_STATE_SUCCEEDED),
    stopped: count(TrialState.TRIAL_STATE_STOPPED),
    failed: count(TrialState.TRIAL_STATE_FAILED),
    trials: trials.length,
    trialsLimit: search.trials,
    epochs,
    best: best?.value === undefined ? undefined : trials[best.trial],
    search: JSON.stringify(search),
  };
}
