/** Sweeps and their trials as users see them: what was decided, and the states of the jobs. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import {
  type Sweep as SweepMessage,
  type Trial as TrialMessage,
  TrialState,
} from '@kasane/protocol/gen/kasane/v1/sweeps';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { objectivesOf } from '@kasane/protocol/internal/job/search-schema';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import { messageOfReason, type Reason } from '@kasane/protocol/reasons';
import { bestOf, frontNumbers } from '../search/ranking.ts';
import type { Decision, SweepRecord, TrialJob } from '../store/sweep-store.ts';

/**
 * Trials by their number. What they are follows from the decisions wherever it can: a job goes on for a moment beyond the epoch that it was
 * told to reach, and a short one to its end.
 * @param wholeEpochs of a whole training
 * @param hasEnded whether the sweep has
 */
export function viewTrials(
  decisions: readonly Decision[],
  jobs: readonly TrialJob[],
  wholeEpochs: number,
  hasEnded: boolean,
): TrialMessage[] {
  const jobOf = new Map(jobs.map((job) => [job.number, job]));
  const trials: TrialMessage[] = [];
  for (const { trial, assignment, parent, epochs, outcome, further = [], error } of decisions) {
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
      ...{ further: [], front: false, parent: parent === undefined ? 0 : parent + 1 },
    };
    const view = trials[trial];
    if (outcome === 'failed') Object.assign(view, { error: brief(error ?? '', ERROR_TEXT) });
    else if (outcome !== undefined) Object.assign(view, { value: outcome, epochs, further });
    view.state =
      outcome === undefined
        ? underWay(job?.state, hasEnded)
        : evaluated(outcome, epochs < wholeEpochs, hasEnded);
  }
  return trials;
}

/** Says of trials which are on the Pareto front: those that the search compares by several metrics. */
export function markFront(
  trials: readonly TrialMessage[],
  search: Sweep['search'],
  decisions: readonly Decision[],
): void {
  for (const number of frontNumbers(search, decisions)) trials[number]!.front = true;
}

function evaluated(outcome: number | 'failed', isEarly: boolean, hasEnded: boolean): TrialState {
  if (outcome === 'failed') return TrialState.TRIAL_STATE_FAILED;
  if (!isEarly) return TrialState.TRIAL_STATE_SUCCEEDED;
  return hasEnded ? TrialState.TRIAL_STATE_STOPPED : TrialState.TRIAL_STATE_PAUSED;
}

/** Of a trial whose outcome is not known. */
function underWay(job: JobState | undefined, hasEnded: boolean): TrialState {
  if (hasEnded) return TrialState.TRIAL_STATE_STOPPED;
  return job === JobState.JOB_STATE_PAUSED ? TrialState.TRIAL_STATE_PAUSED : TrialState.TRIAL_STATE_RUNNING;
}

/** @param why it does not go on, if it does not */
export function viewSweep(
  record: SweepRecord,
  { search, epochs }: Sweep,
  decisions: readonly Decision[],
  trials: readonly TrialMessage[],
  why: Reason | undefined,
): SweepMessage {
  const best = bestOf(search, decisions);
  const objectives = objectivesOf(search);
  const count = (state: TrialState) => trials.filter((trial) => trial.state === state).length;
  return {
    id: record.id,
    name: record.name,
    state: record.state,
    error: brief(record.error, ERROR_TEXT),
    waitingFor: why && messageOfReason(why),
    submittedAt: record.submittedAt,
    endedAt: record.endedAt,
    ...objectives[0]!,
    objectives: [...objectives],
    front: trials.filter(({ front }) => front).length,
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
