/** Finds workers that fail where others do not: a shard that one worker could not compute, and another could. */
import type { Reason } from '@kasane/protocol/reasons';
import type { ShardState } from './decide.ts';
import type { Failure } from './failures.ts';

/** A worker is excluded from a job when it has this many more disproved failures than counted answers. */
const MOST = 3;

export interface Unfit {
  readonly worker: string;
  readonly why: Reason;
}

export class Disproofs {
  /** By worker: its disproved failures, minus its answers that counted. */
  readonly #against = new Map<string, number>();

  /**
   * A step has been committed.
   * @param by whose answer to each shard counted; undefined: nobody's
   * @returns the workers to exclude, and why
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

  /** It has left: the next worker of that name may be a different one. */
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

/** The last failure of each worker except the one that answered. Damaged batches are held against nobody. */
function disproved(failures: readonly Failure[], by: string): Failure[] {
  const own = failures.filter(({ kind }) => kind !== 'damaged');
  const last = new Map(own.map((failure) => [failure.worker, failure]));
  last.delete(by);
  return [...last.values()];
}
