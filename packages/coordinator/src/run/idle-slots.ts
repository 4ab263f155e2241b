/** Detects cluster slots that stay idle because a run's steps have too few shards. Reads the clock, but nothing here affects weights. */

/** How long slots must stay idle before it is reported, in milliseconds. */
const JUDGED_MS = 20_000;

/** Slots of the cluster, and how many of them all jobs together leave idle. */
export interface Spare {
  readonly slots: number;
  readonly idle: number;
}

export class IdleSlots {
  #idleMs = 0;
  #least = Number.POSITIVE_INFINITY;
  #isTold = false;

  /** Call after each step. @param spare called only while it matters @returns slots that were idle all the time, to be reported once */
  step(stepMs: number, spare: () => Spare): Spare | undefined {
    if (this.#isTold) return undefined;
    const { slots, idle } = spare();
    if (idle <= 0) {
      this.#idleMs = 0;
      this.#least = Number.POSITIVE_INFINITY;
      return undefined;
    }
    this.#idleMs += stepMs;
    this.#least = Math.min(this.#least, idle);
    if (this.#idleMs < JUDGED_MS) return undefined;
    this.#isTold = true;
    return { slots, idle: this.#least };
  }
}
