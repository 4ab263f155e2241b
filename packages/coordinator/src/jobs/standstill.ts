/** Watches the progress of one run. What is to be done is said by `steps/watch.ts`. */
import { type Watched, type WatchOptions, watch } from '../steps/watch.ts';

/** After so long without an answer a job's turn goes to others, in milliseconds. */
const YIELD_MS = 30_000;

export interface Seen {
  /** When the last answer came that counted, or the parameters went out. */
  readonly answeredAt: number;
  /** Whether its workers could answer now: it has its turn, and neither Redis nor a disk is waited for. */
  readonly able: boolean;
  readonly workers: number;
  readonly waitingFor: string;
}

export class Standstill {
  readonly #options: WatchOptions;
  #since: number;
  #still = false;

  /** @param failSeconds after which the job fails */
  constructor(now: number, failSeconds: number) {
    this.#options = { yieldMs: YIELD_MS, failMs: 1000 * failSeconds };
    this.#since = now;
  }

  /** Judges what is seen now; `changed` tells whether it has begun or ceased to stand still. */
  look(now: number, { answeredAt, able, workers, waitingFor }: Seen): { watched: Watched; changed: boolean } {
    if (!able || workers === 0) this.#since = now;
    this.#since = Math.max(this.#since, answeredAt);
    const watched = watch(now, { since: this.#since, workers, waitingFor }, this.#options);
    const still = watched.action !== 'go on';
    const changed = still !== this.#still;
    this.#still = still;
    return { watched, changed };
  }
}
