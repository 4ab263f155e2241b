/** How much of a step is each worker's part: by its slots, and told when it changes. */
import type { ConnectedWorker } from '../workers.ts';
import type { Refusals } from './refusals.ts';

export class Shares {
  readonly #job: string;
  readonly #shards: number;
  readonly #workers: Pick<Refusals, 'able'>;
  /** How many tasks of a step each worker was told to hold. */
  readonly #told = new WeakMap<ConnectedWorker, number>();

  /** @param shards of a step */
  constructor(job: string, shards: number, workers: Pick<Refusals, 'able'>) {
    this.#job = job;
    this.#shards = shards;
    this.#workers = workers;
  }

  /** Call when a worker has joined, left, or takes no more tasks: the others take its part. */
  tell(): void {
    const workers = this.#workers.able().filter(({ draining }) => !draining);
    const slots = workers.reduce((total, worker) => total + worker.slots, 0);
    for (const worker of workers) {
      const tasks = Math.ceil((this.#shards * worker.slots) / slots);
      // Each that joins or leaves may change all parts; of hundreds, few do.
      if (this.#told.get(worker) === tasks) continue;
      this.#told.set(worker, tasks);
      worker.send({ $case: 'share', value: { job: this.#job, tasks } });
    }
  }
}
