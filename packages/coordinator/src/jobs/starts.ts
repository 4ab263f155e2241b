/** Jobs and sweeps that have not ended and start from given weights (`init`), which must not be deleted meanwhile. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import type { JobSpec } from '@kasane/protocol/job';
import type { JobStore } from '../store/store.ts';

export interface Start {
  /** `job ID` or `sweep ID`, for messages. */
  readonly user: string;
  /** A file, or the name of a registered model. */
  readonly init: string;
}

/** Weights that jobs and sweeps start from while these are being checked and are not stored yet. */
export class Submissions {
  readonly #starts = new Set<Start>();

  get starts(): readonly Start[] {
    return [...this.#starts];
  }

  /** Protects the weights that a job or sweep starts from until it is stored or refused. */
  async during<T>(user: string, inits: readonly unknown[], submit: () => Promise<T>): Promise<T> {
    const starts = inits.flatMap((init) => (typeof init === 'string' ? [{ user, init }] : []));
    for (const start of starts) this.#starts.add(start);
    try {
      return await submit();
    } finally {
      for (const start of starts) this.#starts.delete(start);
    }
  }
}

/** Every `init` of jobs that have not ended, then of sweeps' trials, then of what is being submitted. */
export function startsOf(
  store: Pick<JobStore, 'open' | 'sweeps'>,
  submissions: Pick<Submissions, 'starts'>,
): Start[] {
  const { JOB_STATE_QUEUED, JOB_STATE_RUNNING, JOB_STATE_PAUSED } = JobState;
  const jobs = store
    .open([JOB_STATE_QUEUED, JOB_STATE_RUNNING, JOB_STATE_PAUSED])
    .map(({ id, spec }) => ({ user: `job ${id}`, inits: [(JSON.parse(spec) as JobSpec).init] }));
  const sweeps = store.sweeps
    .inState(SweepState.SWEEP_STATE_RUNNING)
    .map(({ id, spec }) => ({ user: `sweep ${id}`, inits: initsOf(JSON.parse(spec) as Sweep) }));
  const recorded = [...jobs, ...sweeps].flatMap(({ user, inits }) =>
    inits.flatMap((init) => (typeof init === 'string' ? [{ user, init }] : [])),
  );
  return [...recorded, ...submissions.starts];
}

/** Every `init` that trials of a sweep may have. */
export function initsOf({ base, search }: Sweep): readonly unknown[] {
  const { init } = base as { readonly init?: unknown };
  const chosen = search.parameters.init as { readonly choices?: readonly unknown[] } | undefined;
  return [init, ...(chosen?.choices ?? [])];
}
