/** Workers that cannot compute a job, and why: others compute it, and if there are none, the job fails with their messages. */
import type { ConnectedWorker, WorkerRegistry } from '../workers.ts';

export interface Refusal {
  readonly worker: string;
  readonly why: string;
}

export class Refusals {
  readonly #workers: Pick<WorkerRegistry, 'all'>;
  readonly #why = new Map<string, string>();

  constructor(workers: Pick<WorkerRegistry, 'all'>) {
    this.#workers = workers;
  }

  add(worker: string, why: string): void {
    this.#why.set(worker, why);
  }

  /** It has left or rejoined: it may be a different process. */
  forget(worker: string): void {
    this.#why.delete(worker);
  }

  has(worker: string): boolean {
    return this.#why.has(worker);
  }

  /** Connected workers that can compute the job, as far as is known. */
  able(): ConnectedWorker[] {
    return this.#workers.all().filter(({ id }) => !this.#why.has(id));
  }

  /** Refusals of connected workers. */
  list(): Refusal[] {
    if (this.#why.size === 0) return [];
    return this.#workers.all().flatMap(({ id }) => {
      const why = this.#why.get(id);
      return why === undefined ? [] : [{ worker: id, why }];
    });
  }
}
