/**
 * When failures at a shard end a job: a pure function. While there is another worker to ask, one worker's failures are not enough,
 * however many: its memory may be bad, it may be malicious, and it may have connected under many names. If workers' answers have counted
 * in this run, only those workers decide.
 */
import type { Said } from '@kasane/protocol/reasons';

/**
 * Why an attempt failed. `threw`: its computation did. `not finite`: its loss or gradient was. `damaged`: its batch was, which is the
 * fault of Redis or of somebody who writes there, never of the worker.
 */
export interface Failure {
  readonly worker: string;
  readonly attempt: number;
  readonly kind: 'threw' | 'not finite' | 'damaged';
  readonly why: string;
}

/** Whose failures are taken as proof. */
export interface Judges {
  /** Connected workers that take tasks and can compute the job, as far as is known. */
  readonly able: readonly string[];
  /** Workers whose answers have counted in this run. */
  readonly proven: Pick<ReadonlySet<string>, 'has'>;
  /** Workers that failed to respond and have not answered since. */
  readonly idle: Pick<ReadonlySet<string>, 'has'>;
}

export interface FailureOptions {
  /** Number of workers on which a computation must throw before the job fails, */
  readonly failedWorkers: number;
  /** or number of times that it must throw anywhere. */
  readonly failedAttempts: number;
  /** Number of times that a loss or gradient must not be finite before the job fails or skips the step. */
  readonly notFiniteAttempts: number;
  /** All workers that can be asked must have failed. If many are proven, this many are enough if the computation throws, */
  readonly askedWorkers: number;
  /** and this many if numbers are not finite. */
  readonly askedNotFinite: number;
}

/**
 * Whether a shard has failed so often that no further worker is tried.
 * @param holding workers that compute it now
 * @returns the workers' messages, and whether numbers are to blame; undefined: try others
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
  /** Whether all workers that can be asked have failed in these ways, at least this often each; if many are proven, `most` are enough. */
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
  // A batch that is damaged repeatedly, though it is staged again each time, counts like a computation that throws.
  if (failures.length >= options.failedAttempts && agree(failures, 2))
    return { notFinite: false, said, workers };
  return undefined;
}

/** The reasons that workers gave, each once, with the workers that gave it. @param all pairs of worker and reason */
export function saidBy(all: Iterable<readonly [worker: string, why: string]>): Said {
  const workers = new Map<string, string[]>();
  for (const [worker, why] of all) {
    const same = workers.get(why);
    if (same) same.push(worker);
    else workers.set(why, [worker]);
  }
  return [...workers].map(([why, by]) => ({ why, workers: by }));
}
