/**
 * Watches the progress of one job, over all its runs: one that is pushed out of its place by others goes on where it was, and so does
 * this. What is to be done is said by `steps/watch.ts`.
 */
import { type Watched, type WatchOptions, watch } from '../steps/watch.ts';

/** After so long without an answer a job's turn goes to others, in milliseconds. */
const YIELD_MS = 30_000;
/** Between two looks no more is counted: when they are further apart, this process itself stood still. */
const LOOK_MS = 1000;

export interface Seen {
  /** The step under way, and the answers to it that counted. */
  readonly reached: Reached;
  /** Whether its workers could answer now: it has its turn, and neither Redis nor a disk is waited for. */
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
  /** When it was looked at last, if its workers could answer then. */
  #ableAt: number | undefined;
  /** Since the last answer, as far as its workers could have answered. */
  #stillMs = 0;
  /** The same, of earlier runs that came no further. */
  #earlierMs = 0;
  #last = NOTHING;
  /** Of all runs. */
  #furthest = NOTHING;
  #still = false;

  /** @param failSeconds after which the job fails */
  constructor(failSeconds: number) {
    this.#options = { yieldMs: YIELD_MS, failMs: 1000 * failSeconds };
  }

  /** A run of the job begins. What others have computed before does not count again, nor does the time start anew. */
  begin(): void {
    this.#earlierMs += this.#stillMs;
    this.#stillMs = 0;
    this.#ableAt = undefined;
    this.#last = NOTHING;
    this.#still = false;
  }

  /** Judges what is seen now; `changed` tells whether it has begun or ceased to stand still. */
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
