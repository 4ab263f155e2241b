/**
 * Whether a job that could continue has stalled: a pure function of (state, options) that returns what to do, and why. A job that waits
 * for its turn, workers, Redis or a disk has not stalled; one whose workers do not answer has.
 */
import type { Reason } from '@kasane/protocol/reasons';

export interface WatchState {
  /** Time without answers from workers that could answer, in this run of the job. */
  readonly stillMs: number;
  /** The same, including earlier runs that got no further. */
  readonly allMs: number;
  /** Connected workers that can compute the job. */
  readonly workers: number;
}

export interface WatchOptions {
  /** Time after which it yields its turn to other jobs. */
  readonly yieldMs: number;
  /** Time after which it fails. */
  readonly failMs: number;
}

export type Watched =
  | { readonly action: 'go on' }
  /** Others compute as if it did not exist. */
  | { readonly action: 'yield'; readonly why: Reason }
  | { readonly action: 'fail'; readonly why: Reason };

export function watch(state: WatchState, { yieldMs, failMs }: WatchOptions): Watched {
  const { stillMs, allMs, workers } = state;
  if (stillMs < yieldMs && allMs < failMs) return { action: 'go on' };
  const why: Reason = { code: 'standstill', args: { seconds: Math.round(allMs / 1000), workers } };
  return { action: allMs < failMs ? 'yield' : 'fail', why };
}
