/**
 * How much of a step is each worker's part: by its slots, and told when it changes. One that was waited for in vain is given a single
 * task, whose answer shows that it computes, and nothing is kept for it beyond that.
 */
import type { ConnectedWorker } from '../workers.ts';
import type { Refusals } from './refusals.ts';

export class Shares {
  readonly #job: string;
  readonly #shards: number;
  readonly #workers: Pick<Refusals, 'able'>;
  /** How many tasks of a step each worker was told to hold. */
  readonly #told = new WeakMap<ConnectedWorker, number>();
  /** Ids of workers that were waited for in vain, and have not answered since. */
  readonly #idle = new Set<string>();

  /** @param shards of a step */
  constructor(job: string, shards: number, workers: Pick<Refusals, 'able'>) {
    this.#job = job;
    this.#shards = shards;
    this.#workers = workers;
  }

  get idle(): ReadonlySet<string> {
    return this.#idle;
  }

  /** These were waited for in vain. */
  waitedFor(workers: readonly string[]): void {
    if (workers.length === 0) return;
    for (const worker of workers) this.#idle.add(worker);
    this.tell();
  }

  /** An answer of a worker counts. */
  answered(worker: string): void {
    if (this.#idle.size > 0 && this.#idle.delete(worker)) this.tell();
  }

  forget(worker: string): void {
    this.#idle.delete(worker);
  }

  /** Call when a worker has joined, left, or takes no more tasks: the others take its part. */
  tell(): void {
    const workers = this.#workers.able().filter(({ draining }) => !draining);
    const isBusy = ({ id }: ConnectedWorker) => !this.#idle.has(id);
    // Where all are idle, whoever wakes first is to find its whole part.
    const counting = workers.some(isBusy) ? isBusy : () => true;
    const slots = workers.filter(counting).reduce((total, worker) => total + worker.slots, 0);
    for (const worker of workers) {
      const tasks = counting(worker) ? Math.ceil((this.#shards * worker.slots) / slots) : 1;
      // Each that joins or leaves may change all parts; of hundreds, few do.
      if (this.#told.get(worker) === tasks) continue;
      this.#told.set(worker, tasks);
      worker.send({ $case: 'share', value: { job: this.#job, tasks } });
    }
  }
}
