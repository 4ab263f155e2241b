/** The mutable record of a window of steps for `decide`: who was handed what, who holds it, what was answered. */
import type { Holder, ShardState } from './decide.ts';
import type { Failure } from './failures.ts';

interface MutableShard extends ShardState {
  done: boolean;
  attempts: number;
  issuedAt: number;
  holders: Holder[];
  lost: boolean;
  failures: Failure[];
  /** Amount of its gradient that has arrived, in gradients: more than 1 if several attempts send theirs. */
  received: number;
  receivedAt: number;
}

/** Arrival of a gradient is reported in this many steps. */
const PIECES = 64;

export class Tracker {
  readonly #steps = new Map<number, MutableShard[]>();

  /** Begins to track a step, or its shards from `first` on, whose first attempts have just been handed out. */
  open(step: number, shards: number, now: number, first = 0): void {
    const fresh = (_: unknown, index: number): MutableShard => ({
      shard: first + index,
      done: false,
      attempts: 1,
      issuedAt: now,
      holders: [],
      lost: false,
      failures: [],
      received: 0,
      receivedAt: Number.NEGATIVE_INFINITY,
    });
    this.#steps.set(step, Array.from({ length: shards }, fresh));
  }

  /** The span of an attempt, as the parent of the worker's spans. This class makes none. */
  traceparent(_step: number, _shard: number, _attempt: number): string | undefined {
    return undefined;
  }

  /** Forgets a step; later messages about it are ignored. */
  close(step: number): void {
    this.#steps.delete(step);
  }

  clear(): void {
    this.#steps.clear();
  }

  has(step: number): boolean {
    return this.#steps.has(step);
  }

  shards(step: number): readonly ShardState[] {
    return this.#steps.get(step) ?? [];
  }

  holders(step: number, shard: number): readonly Holder[] {
    return this.#shard(step, shard)?.holders ?? [];
  }

  /** Tracked steps, ascending. */
  steps(): number[] {
    return [...this.#steps.keys()].sort((a, b) => a - b);
  }

  /** Workers that hold a shard or failed at it, and should not get it again while others can take it. */
  avoid(step: number, shard: number): ReadonlySet<string> {
    const state = this.#shard(step, shard);
    const failed = state?.failures.filter(({ kind }) => kind !== 'damaged') ?? [];
    return new Set([...(state?.holders ?? []), ...failed].map(({ worker }) => worker));
  }

  isDone(step: number, shard: number): boolean {
    return this.#shard(step, shard)?.done ?? true;
  }

  /** Whether every shard of a step has an answer. */
  isWhole(step: number): boolean {
    return this.shards(step).every(({ done }) => done);
  }

  /** Counts one more attempt and returns its number. */
  issue(step: number, shard: number, now: number): number {
    const state = this.#shard(step, shard);
    if (!state) throw new Error(`step ${step} shard ${shard} is not tracked`);
    state.attempts++;
    state.issuedAt = now;
    state.lost = false;
    return state.attempts;
  }

  /** @returns whether that is news: the attempt was handed out, and this worker has not claimed it before */
  claim(step: number, shard: number, holder: Holder): boolean {
    const state = this.#shard(step, shard);
    // An attempt that was never handed out.
    if (!state || state.done || holder.attempt < 1 || holder.attempt > state.attempts) return false;
    // A repeated claim does not restart the clock, or the task would never be late. A worker does not retry what it failed at.
    const isOld = (one: { worker: string; attempt: number }) =>
      one.worker === holder.worker && one.attempt >= holder.attempt;
    if (state.holders.some(isOld) || state.failures.some(isOld)) return false;
    state.holders = [...state.holders.filter((h) => h.worker !== holder.worker), holder];
    return true;
  }

  /** A worker reports progress in a round. @returns whether it is further than before */
  progress(
    step: number,
    shard: number,
    { worker, attempt }: Pick<Holder, 'worker' | 'attempt'>,
    steps: number,
    now: number,
  ): boolean {
    const state = this.#shard(step, shard);
    const holder = state?.holders.find((one) => one.worker === worker && one.attempt === attempt);
    if (!state || !holder || steps <= (holder.localSteps ?? 0)) return false;
    const further = { ...holder, localSteps: steps, progressAt: now };
    state.holders = state.holders.map((one) => (one === holder ? further : one));
    return true;
  }

  /** Part of a shard's gradient has arrived. @param part as a fraction @returns whether another 64th is complete */
  received(step: number, shard: number, part: number, now: number): boolean {
    const state = this.#shard(step, shard);
    if (!state || state.done) return false;
    const before = Math.floor(PIECES * state.received);
    state.received += part;
    if (Math.floor(PIECES * state.received) === before) return false;
    state.receivedAt = now;
    return true;
  }

  /**
   * Whether this worker holds an attempt at the shard; its messages are ignored otherwise.
   * @param attempt the one it refers to, which must have been handed out
   */
  holds(step: number, shard: number, worker: string, attempt: number): boolean {
    const state = this.#shard(step, shard);
    if (!state || attempt < 1 || attempt > state.attempts) return false;
    return state.holders.some((holder) => holder.worker === worker);
  }

  /** The first answer wins. Returns whether this was it. @param _attempt the answered attempt, if any */
  finish(step: number, shard: number, _attempt?: number): boolean {
    const state = this.#shard(step, shard);
    if (!state || state.done) return false;
    state.done = true;
    state.holders = [];
    return true;
  }

  /** The first answer is invalid after all: others are asked. */
  refuse(step: number, shard: number, failure: Failure): void {
    const state = this.#shard(step, shard);
    if (!state) return;
    state.done = false;
    state.lost = true;
    state.failures.push(failure);
  }

  /** Discards all results of a step, and who holds its tasks. */
  redo(step: number): void {
    for (const shard of this.#steps.get(step) ?? []) {
      const wasHandedOut = shard.done || shard.holders.length > 0;
      shard.done = false;
      shard.holders = [];
      if (wasHandedOut) shard.lost = true;
    }
  }

  /** An attempt failed, for the reason in `failure`, or was handed back. */
  release(step: number, shard: number, worker: string, failure?: Pick<Failure, 'kind' | 'why'>): void {
    const state = this.#shard(step, shard);
    if (!state || state.done) return;
    const attempt = state.holders.find((holder) => holder.worker === worker)?.attempt ?? state.attempts;
    state.holders = state.holders.filter((holder) => holder.worker !== worker);
    state.lost = true;
    if (failure) state.failures.push({ worker, attempt, ...failure });
  }

  /** An unclaimed attempt seems to have vanished from the queue. */
  lose(step: number, shard: number): void {
    const state = this.#shard(step, shard);
    if (state && !state.done) state.lost = true;
  }

  /** The worker that has just claimed this attempt will not compute it: unless somebody else does, it is reissued. */
  disclaim(step: number, shard: number, attempt: number): void {
    const state = this.#shard(step, shard);
    if (state && state.attempts === attempt && state.holders.length === 0) this.lose(step, shard);
  }

  /** A worker has left: nothing that it held will be answered. */
  releaseAll(worker: string): void {
    for (const [step, shards] of this.#steps) {
      for (const shard of shards) {
        if (shard.holders.some((holder) => holder.worker === worker)) this.release(step, shard.shard, worker);
      }
    }
  }

  /** Adds the number of attempts that each worker holds. */
  countHeld(held: Map<string, number>): void {
    for (const shards of this.#steps.values())
      for (const { holders } of shards)
        for (const { worker } of holders) held.set(worker, (held.get(worker) ?? 0) + 1);
  }

  #shard(step: number, shard: number): MutableShard | undefined {
    const shards = this.#steps.get(step);
    return shards?.[shard - (shards[0]?.shard ?? 0)];
  }
}
