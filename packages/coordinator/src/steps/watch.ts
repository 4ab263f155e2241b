/**
 * Whether a job that could go on stands still: a pure function of (now, state, options) that returns what to do, and why. A job that waits
 * for its turn, for workers, for Redis or for a disk does not stand still; one whose workers answer nothing does.
 */

export interface WatchState {
  /** Since when workers that could answer have not. */
  readonly since: number;
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

export function watch(now: number, state: WatchState, { yieldMs, failMs }: WatchOptions): Watched {
  const stillMs = now - state.since;
  if (stillMs < Math.min(yieldMs, failMs)) return { action: 'go on' };
  const workers = state.workers === 1 ? '1 worker is' : `${state.workers} workers are`;
  const waiting = state.waitingFor || 'nothing is known of why';
  const why = `no answer for ${(stillMs / 1000).toFixed(0)} s, though ${workers} connected that can compute it: ${waiting}`;
  return { action: stillMs < failMs ? 'yield' : 'fail', why };
}
