/** Workers that cannot compute a job, and why: the others do, and where there is no other, the job fails with their words. */
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

  /** It has left, or comes anew: it may be another one by now. */
  forget(worker: string): void {
    this.#why.delete(worker);
  }

  has(worker: string): boolean {
    return this.#why.has(worker);
  }

  /** Those that are connected and can compute the job, as far as is known. */
  able(): ConnectedWorker[] {
    return this.#workers.all().filter(({ id }) => !this.#why.has(id));
  }

  /** What those have said that are connected. */
  list(): Refusal[] {
    if (this.#why.size === 0) return [];
    return this.#workers.all().flatMap(({ id }) => {
      const why = this.#why.get(id);
      return why === undefined ? [] : [{ worker: id, why }];
    });
  }
}
