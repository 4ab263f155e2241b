/** Whether slots of the cluster stay idle because a run's steps have few shards. Reads the clock; nothing here reaches weights. */

/** They are idle for so many milliseconds of steps before that is told. */
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

  /** A step is done that took so long. @param spare asked only while it matters @returns what was idle all the time, to be told once */
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
