/** Follows a job from outside, also while its coordinator is away: when which step was reached, and how it ended. */
import { CoordinatorClient } from '@kasane/protocol/client';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Stage } from './stage.ts';

const RETRY_MS = 100;

export interface Seen {
  /** Milliseconds of this process's monotonic clock. */
  readonly at: number;
  readonly step: number;
}

export class Follower {
  readonly seen: Seen[] = [];
  readonly ended: Promise<Job>;
  #job: Job | undefined;
  #over = false;
  #waiting: { readonly step: number; readonly resolve: () => void }[] = [];

  constructor(place: Stage['place'], id: string) {
    this.ended = this.#follow(place, id);
    this.ended.catch(() => {});
  }

  get step(): number {
    return this.seen.at(-1)?.step ?? 0;
  }

  get job(): Job | undefined {
    return this.#job;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Resolves when the job has reached `step`, or ended. */
  async reached(step: number): Promise<void> {
    if (this.#over || this.step >= step) return;
    await new Promise<void>((resolve) => this.#waiting.push({ step, resolve }));
  }

  async #follow(place: Stage['place'], id: string): Promise<Job> {
    for (;;) {
      const client = new CoordinatorClient(place);
      try {
        for await (const job of client.watch(id)) {
          this.#take(job);
          if (job.state > JobState.JOB_STATE_RUNNING) {
            this.#over = true;
            this.#wake();
            return await client.get(id);
          }
        }
      } catch {
        // It is away, and comes back.
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      } finally {
        client.close();
      }
    }
  }

  #take(job: Job): void {
    this.#job = job;
    if (job.step !== this.seen.at(-1)?.step) this.seen.push({ at: performance.now(), step: job.step });
    this.#wake();
  }

  #wake(): void {
    const due = this.#waiting.filter(({ step }) => this.#over || this.step >= step);
    this.#waiting = this.#waiting.filter((waiter) => !due.includes(waiter));
    for (const { resolve } of due) resolve();
  }
}
