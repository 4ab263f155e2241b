/**
 * Watches the progress of one job across its runs: a run that is displaced by other jobs resumes where it was, and so does this.
 * `steps/watch.ts` decides what to do.
 */
import { type Watched, type WatchOptions, watch } from '../steps/watch.ts';

/** Time without an answer after which a job yields its turn, in milliseconds. */
const YIELD_MS = 30_000;
/** Most time that counts between two checks: if they are further apart, this process itself was blocked. */
const LOOK_MS = 1000;

export interface Seen {
  /** The current step, and the number of its answers that counted. */
  readonly reached: Reached;
  /** Whether its workers could answer now: it has its turn, and waits neither for Redis nor for a disk. */
  readonly able: boolean;
  readonly workers: number;
}

export interface Reached {
  readonly step: number;
  readonly answers: number;
}

const NOTHING: Reached = { step: -1, answers: 0 };
const isBeyond = (a: Reached, b: Reached): boolean =>
  a.step > b.step || (a.step === b.step && a.answers > b.answers);

export class Standstill {
  readonly #options: WatchOptions;
  /** Time of the last check at which its workers could answer. */
  #ableAt: number | undefined;
  /** Time since the last answer during which its workers could have answered. */
  #stillMs = 0;
  /** The same for earlier runs that got no further. */
  #earlierMs = 0;
  #last = NOTHING;
  /** Over all runs. */
  #furthest = NOTHING;
  #still = false;

  /** @param failSeconds after which the job fails */
  constructor(failSeconds: number) {
    this.#options = { yieldMs: YIELD_MS, failMs: 1000 * failSeconds };
  }

  /** A run of the job begins. Steps that earlier runs computed do not count as progress, and the time continues. */
  begin(): void {
    this.#earlierMs += this.#stillMs;
    this.#stillMs = 0;
    this.#ableAt = undefined;
    this.#last = NOTHING;
    this.#still = false;
  }

  /** Checks progress; `changed` tells whether it has just stalled or resumed. */
  look(now: number, { reached, able, workers }: Seen): { watched: Watched; changed: boolean } {
    const couldAnswer = able && workers > 0;
    if (couldAnswer && this.#ableAt !== undefined) this.#stillMs += Math.min(now - this.#ableAt, LOOK_MS);
    this.#ableAt = couldAnswer ? now : undefined;
    if (isBeyond(reached, this.#last)) {
      this.#last = reached;
      // The beginning of a step is no answer.
      if (reached.answers > 0) this.#stillMs = 0;
    }
    if (reached.answers > 0 && isBeyond(reached, this.#furthest)) {
      this.#furthest = reached;
      this.#earlierMs = 0;
    }
    const [stillMs, allMs] = [this.#stillMs, this.#earlierMs + this.#stillMs];
    const watched: Watched = couldAnswer
      ? watch({ stillMs, allMs, workers }, this.#options)
      : { action: 'go on' };
    const still = watched.action !== 'go on';
    const changed = still !== this.#still;
    this.#still = still;
    return { watched, changed };
  }
}
