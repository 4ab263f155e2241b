/**
 * When failures at a shard end a job: a pure function. A worker's word is not enough, however often it says so, while there is another to
 * ask: its memory may be bad, or its intentions, and it may have come under many names. Where some workers' answers have counted in this
 * run, theirs is the word that counts.
 */
import type { Said } from '@kasane/protocol/reasons';

/**
 * Why an attempt came to nothing. `threw`: its computation did. `not finite`: its loss or gradient was no finite number. `damaged`: its
 * batch was, which is Redis's fault, or of somebody who writes there, and never the worker's.
 */
export interface Failure {
  readonly worker: string;
  readonly attempt: number;
  readonly kind: 'threw' | 'not finite' | 'damaged';
  readonly why: string;
}

/** Whose word there is. */
export interface Judges {
  /** Workers that are connected, can compute the job as far as is known, and take tasks. */
  readonly able: readonly string[];
  /** Workers of whom answers have counted in this run. */
  readonly proven: Pick<ReadonlySet<string>, 'has'>;
  /** Workers that were waited for in vain, and have not answered since. */
  readonly idle: Pick<ReadonlySet<string>, 'has'>;
}

export interface FailureOptions {
  /** Workers on which a computation must throw before the job fails, */
  readonly failedWorkers: number;
  /** or times that it must throw anywhere. */
  readonly failedAttempts: number;
  /** Times that a loss or gradient must not be finite before the job fails, or the step is left out. */
  readonly notFiniteAttempts: number;
  /** All who can be asked must have failed; of many whose answers have counted, so many are enough where it throws, */
  readonly askedWorkers: number;
  /** and so many where numbers are not finite. */
  readonly askedNotFinite: number;
}

/**
 * Whether a shard has failed so often that no further worker is tried.
 * @param holding who computes it now
 * @returns what its workers say, and whether numbers are to blame; undefined: others are asked
 */
export function failureOf(
  failures: readonly Failure[],
  holding: ReadonlySet<string>,
  { able, proven, idle }: Judges,
  options: FailureOptions,
): { readonly notFinite: boolean; readonly said: Said; readonly workers: number } | undefined {
  if (failures.length === 0) return undefined;
  const tried = able.filter((worker) => proven.has(worker));
  const judges = tried.length > 0 ? tried : able;
  const isAsked = (worker: string) => holding.has(worker) || !idle.has(worker);
  /** Whether all who can be asked have failed in such ways, so often each; of many who are proven, `most` are enough. */
  const agree = (of: readonly Failure[], times = 1, most = Number.POSITIVE_INFINITY) => {
    const fails = (worker: string) => of.filter((failure) => failure.worker === worker).length >= times;
    const agreeing = judges.filter(fails).length;
    if (agreeing === 0) return false;
    return (
      (tried.length > 0 && agreeing >= most) || judges.every((worker) => fails(worker) || !isAsked(worker))
    );
  };

  const whys = new Map(failures.map(({ worker, why }) => [worker, why]));
  const said = saidBy(whys);
  const workers = whys.size;
  const notFinite = failures.filter(({ kind }) => kind === 'not finite');
  if (notFinite.length >= options.notFiniteAttempts && agree(notFinite, 1, options.askedNotFinite))
    return { notFinite: true, said, workers };
  const computed = failures.filter(({ kind }) => kind !== 'damaged');
  const computedOn = new Set(computed.map(({ worker }) => worker)).size;
  const isOften = computedOn >= options.failedWorkers || computed.length >= options.failedAttempts;
  if (isOften && agree(computed, 1, options.askedWorkers)) return { notFinite: false, said, workers };
  // A batch that is damaged again and again, though it is staged anew each time, is as good as a computation that throws.
  if (failures.length >= options.failedAttempts && agree(failures, 2))
    return { notFinite: false, said, workers };
  return undefined;
}

/** Reasons that workers gave, each once, with who said so. @param all worker, and what it says */
export function saidBy(all: Iterable<readonly [worker: string, why: string]>): Said {
  const workers = new Map<string, string[]>();
  for (const [worker, why] of all) {
    const same = workers.get(why);
    if (same) same.push(worker);
    else workers.set(why, [worker]);
  }
  return [...workers].map(([why, by]) => ({ why, workers: by }));
}
