/**
 * Whether a job that could go on stands still: a pure function of (state, options) that returns what to do, and why. A job that waits
 * for its turn, for workers, for Redis or for a disk does not stand still; one whose workers answer nothing does.
 */

export interface WatchState {
  /** For how long workers that could answer have not, in this run of the job. */
  readonly stillMs: number;
  /** The same, with earlier runs that came no further. */
  readonly allMs: number;
  /** What is waited for, as `decide` says. */
  readonly waitingFor: string;
  /** Workers that are connected and can compute the job. */
  readonly workers: number;
}

export interface WatchOptions {
  /** After so long its turn goes to other jobs. */
  readonly yieldMs: number;
  /** After so long it fails. */
  readonly failMs: number;
}

export type Watched =
  | { readonly action: 'go on' }
  /** Others compute as if it did not. */
  | { readonly action: 'yield'; readonly why: string }
  | { readonly action: 'fail'; readonly why: string };

export function watch({ stillMs, allMs, ...state }: WatchState, { yieldMs, failMs }: WatchOptions): Watched {
  if (stillMs < yieldMs && allMs < failMs) return { action: 'go on' };
  const workers = state.workers === 1 ? '1 worker is' : `${state.workers} workers are`;
  const waiting = state.waitingFor || 'the reason is unknown';
  const why = `no answer for ${(allMs / 1000).toFixed(0)} s although ${workers} connected that can compute it: ${waiting}`;
  return { action: allMs < failMs ? 'yield' : 'fail', why };
}
