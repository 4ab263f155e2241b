/** Follows the newest network of a job: looks for another checkpoint now and then, and when the job's state changes. */
import { RUNNING } from './format.ts';
import { newestNetwork, type Opened, type Samples, samples } from './remote.ts';
import { attempt, type Page } from './view.ts';

/** How often a newer checkpoint is asked for. */
const NEWER_MS = 3000;

export interface NewestOptions {
  /** Test samples that are fetched with the first network; one where the server does not give so many. */
  readonly samples: number;
  /** There is another network, and there are samples. */
  readonly onNetwork: (samples: Samples) => void;
  /** There is no checkpoint yet. */
  readonly onNone: () => void;
}

export class Newest {
  readonly #page: Page;
  readonly #job: string;
  readonly #options: NewestOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #opened: Opened | undefined;
  #samples: Samples | undefined;
  #state = 0;
  #busy = false;
  #closed = false;

  constructor(page: Page, job: string, options: NewestOptions) {
    this.#page = page;
    this.#job = job;
    this.#options = options;
    this.#timer = setInterval(() => {
      if (this.#state === RUNNING || !this.#opened) this.#refresh();
    }, NEWER_MS);
    this.#refresh();
  }

  get opened(): Opened | undefined {
    return this.#opened;
  }

  get samples(): Samples | undefined {
    return this.#samples;
  }

  /** The state that the job has now. */
  job(state: number): void {
    if (state !== this.#state && this.#state !== 0) this.#refresh();
    this.#state = state;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #refresh(): void {
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    attempt(this.#page, async () => {
      try {
        const newest = await newestNetwork(this.#job, this.#opened);
        if (this.#closed || newest === this.#opened) {
          if (!newest) this.#options.onNone();
          return;
        }
        const count = this.#options.samples;
        this.#samples ??= await samples(this.#job, 0, count).catch(() => samples(this.#job, 0, 1));
        this.#opened = newest;
        this.#options.onNetwork(this.#samples);
      } finally {
        this.#busy = false;
      }
    });
  }
}
