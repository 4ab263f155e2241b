/**
 * Whether a job that could go on stands still: a pure function of (state, options) that returns what to do, and why. A job that waits
 * for its turn, for workers, for Redis or for a disk does not stand still; one whose workers answer nothing does.
 */
import type { Reason } from '@kasane/protocol/reasons';

export interface WatchState {
  /** For how long workers that could answer have not, in this run of the job. */
  readonly stillMs: number;
  /** The same, with earlier runs that came no further. */
  readonly allMs: number;
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
  | { readonly action: 'yield'; readonly why: Reason }
  | { readonly action: 'fail'; readonly why: Reason };

export function watch(state: WatchState, { yieldMs, failMs }: WatchOptions): Watched {
  const { stillMs, allMs, workers } = state;
  if (stillMs < yieldMs && allMs < failMs) return { action: 'go on' };
  const why: Reason = { code: 'standstill', args: { seconds: Math.round(allMs / 1000), workers } };
  return { action: allMs < failMs ? 'yield' : 'fail', why };
}
