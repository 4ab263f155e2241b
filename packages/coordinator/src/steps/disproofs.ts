/** Who failed where others did not: a shard that one worker could not compute, and another could. */
import type { Reason } from '@kasane/protocol/reasons';
import type { ShardState } from './decide.ts';
import type { Failure } from './failures.ts';

/** So many more failures that were disproved than answers that counted, and a worker takes no further part in a job. */
const MOST = 3;

export interface Unfit {
  readonly worker: string;
  readonly why: Reason;
}

export class Disproofs {
  /** Of each worker: failures that others disproved, less answers of its own that counted. */
  readonly #against = new Map<string, number>();

  /**
   * A step has been counted.
   * @param by whose answer to each of the shards it was; undefined: nobody's
   * @returns the workers that are not asked any more, and why
   */
  counted(shards: readonly ShardState[], by: readonly (string | undefined)[]): Unfit[] {
    const unfit: Unfit[] = [];
    for (const [at, { failures }] of shards.entries()) {
      const who = by[at];
      if (who === undefined) continue;
      this.#makeUp(who);
      for (const failure of disproved(failures, who)) {
        const count = (this.#against.get(failure.worker) ?? 0) + 1;
        this.#against.set(failure.worker, count);
        if (count < MOST) continue;
        this.#against.delete(failure.worker);
        const why: Reason = { code: 'disproved', args: { count, last: failure.why } };
        unfit.push({ worker: failure.worker, why });
      }
    }
    return unfit;
  }

  /** It is gone: who comes by its name is another one. */
  forget(worker: string): void {
    this.#against.delete(worker);
  }

  #makeUp(worker: string): void {
    const count = this.#against.get(worker);
    if (count === undefined) return;
    if (count > 1) this.#against.set(worker, count - 1);
    else this.#against.delete(worker);
  }
}

/** The last failure of each worker but the one that answered. A batch that was damaged is held against nobody. */
function disproved(failures: readonly Failure[], by: string): Failure[] {
  const own = failures.filter(({ kind }) => kind !== 'damaged');
  const last = new Map(own.map((failure) => [failure.worker, failure]));
  last.delete(by);
  return [...last.values()];
}
