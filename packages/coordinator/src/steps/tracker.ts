/** The mutable record of a window of steps that `decide` judges: who was handed what, who holds it, what has answered. */
import type { Holder, ShardState } from './decide.ts';
import type { Failure } from './failures.ts';

interface MutableShard extends ShardState {
  done: boolean;
  attempts: number;
  issuedAt: number;
  holders: Holder[];
  lost: boolean;
  failures: Failure[];
  /** Of its gradient, in gradients: more than one where several attempts send theirs. */
  received: number;
  receivedAt: number;
}

/** So many pieces of a gradient show that it is on its way; each tells, and no more do. */
const PIECES = 64;

export class Tracker {
  readonly #steps = new Map<number, MutableShard[]>();

  /** Begins to track a step, or a part of it from shard `first` on, whose first attempts have just been handed out. */
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

  /** The span of an attempt, which the worker's are parts of; here nobody makes any. */
  traceparent(_step: number, _shard: number, _attempt: number): string | undefined {
    return undefined;
  }

  /** Forgets a step; what is said of it from now on is late and ignored. */
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

  /** Steps tracked now, ascending. */
  steps(): number[] {
    return [...this.#steps.keys()].sort((a, b) => a - b);
  }

  /** Who should not be given a shard again while others can take it: who holds it, or failed at it. */
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

  /** @returns whether that is news: an attempt that was handed out, and that this worker has not claimed before */
  claim(step: number, shard: number, holder: Holder): boolean {
    const state = this.#shard(step, shard);
    // Nobody holds what was never handed out.
    if (!state || state.done || holder.attempt < 1 || holder.attempt > state.attempts) return false;
    // A claim that is repeated does not begin anew: it would never be late. What failed is not tried by the same worker again.
    const isOld = (one: { worker: string; attempt: number }) =>
      one.worker === holder.worker && one.attempt >= holder.attempt;
    if (state.holders.some(isOld) || state.failures.some(isOld)) return false;
    state.holders = [...state.holders.filter((h) => h.worker !== holder.worker), holder];
    return true;
  }

  /** The worker says how far it is in a round. @returns whether that is further than it was */
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

  /** Part of a shard's gradient has come. @param part of all of it @returns whether that is another 64th */
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
   * Whether this worker holds an attempt at the shard: only then it is listened to.
   * @param attempt which it speaks of: one that was never handed out is nobody's
   */
  holds(step: number, shard: number, worker: string, attempt: number): boolean {
    const state = this.#shard(step, shard);
    if (!state || attempt < 1 || attempt > state.attempts) return false;
    return state.holders.some((holder) => holder.worker === worker);
  }

  /** The first answer wins. Returns whether this one did. @param _attempt whose answer it is, if it is one */
  finish(step: number, shard: number, _attempt?: number): boolean {
    const state = this.#shard(step, shard);
    if (!state || state.done) return false;
    state.done = true;
    state.holders = [];
    return true;
  }

  /** The answer that was first is no good after all: others are asked. */
  refuse(step: number, shard: number, failure: Failure): void {
    const state = this.#shard(step, shard);
    if (!state) return;
    state.done = false;
    state.lost = true;
    state.failures.push(failure);
  }

  /** Nothing that has come of a step counts, and what is held of it is for nobody. */
  redo(step: number): void {
    for (const shard of this.#steps.get(step) ?? []) {
      const wasHandedOut = shard.done || shard.holders.length > 0;
      shard.done = false;
      shard.holders = [];
      if (wasHandedOut) shard.lost = true;
    }
  }

  /** An attempt came to nothing; `failure` says why, where it was not given back. */
  release(step: number, shard: number, worker: string, failure?: Pick<Failure, 'kind' | 'why'>): void {
    const state = this.#shard(step, shard);
    if (!state || state.done) return;
    const attempt = state.holders.find((holder) => holder.worker === worker)?.attempt ?? state.attempts;
    state.holders = state.holders.filter((holder) => holder.worker !== worker);
    state.lost = true;
    if (failure) state.failures.push({ worker, attempt, ...failure });
  }

  /** An attempt that nobody claimed is not in the queue any more, as far as is known. */
  lose(step: number, shard: number): void {
    const state = this.#shard(step, shard);
    if (state && !state.done) state.lost = true;
  }

  /** Whoever has just claimed this attempt does not compute it: if nobody else does, it is to be handed out again. */
  disclaim(step: number, shard: number, attempt: number): void {
    const state = this.#shard(step, shard);
    if (state && state.attempts === attempt && state.holders.length === 0) this.lose(step, shard);
  }

  /** A worker is gone: nothing that it held will be answered. */
  releaseAll(worker: string): void {
    for (const [step, shards] of this.#steps) {
      for (const shard of shards) {
        if (shard.holders.some((holder) => holder.worker === worker)) this.release(step, shard.shard, worker);
      }
    }
  }

  /** Adds the attempts that each worker holds. */
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
