/**
 * What to do about the current step: a pure function of (now, state, options) that returns an action and a sentence
 * why. It knows nothing of Redis or gRPC; the sentence is what logs and the dashboard show.
 */

/** One attempt at a task that a connected worker holds. Times are milliseconds of a monotonic clock. */
export interface Holder {
  readonly worker: string;
  readonly attempt: number;
  readonly claimedAt: number;
}

export interface ShardState {
  readonly shard: number;
  readonly done: boolean;
  /** Attempts handed out so far, and when the last of them was. */
  readonly attempts: number;
  readonly issuedAt: number;
  readonly holders: readonly Holder[];
  /** An attempt was claimed and came to nothing (its worker left, or handed it back). */
  readonly lost: boolean;
  /** Workers on which the computation itself threw, and what the last one said. */
  readonly failedOn: readonly string[];
  readonly failure: string;
}

export interface StepState {
  /** When the parameters of this step were published. */
  readonly startedAt: number;
  /** When a task of the job was last claimed, or a result last arrived. */
  readonly progressAt: number;
  readonly shards: readonly ShardState[];
  readonly workers: number;
  /** Typical milliseconds of one computation; 0 while unknown. */
  readonly typicalMs: number;
}

export interface DecideOptions {
  /** A task that nobody fetches for this long is put into the queue again: Redis may have lost it. */
  readonly unclaimedMs: number;
  /** A task whose holder is silent about it for this long, or for `lateFactor` typical computations, is handed out again. */
  readonly lateMs: number;
  readonly lateFactor: number;
  /** Workers on which a computation must throw before the job fails, */
  readonly failedWorkers: number;
  /** or times that it must throw anywhere. */
  readonly failedAttempts: number;
}

export const defaultDecideOptions: DecideOptions = {
  unclaimedMs: 2_000,
  lateMs: 5_000,
  lateFactor: 10,
  failedWorkers: 2,
  failedAttempts: 4,
};

export type Decision =
  /** Every shard has an answer: reduce, update, publish. */
  | { readonly action: 'commit'; readonly why: string }
  /** Hand these shards out again; `unclaimed` says that the queue itself may have lost them. */
  | {
      readonly action: 'reissue';
      readonly shards: readonly number[];
      readonly unclaimed: boolean;
      readonly why: string;
    }
  /** Nothing to do before `until` unless something happens. */
  | { readonly action: 'wait'; readonly until: number; readonly why: string }
  | { readonly action: 'fail'; readonly why: string };

/** Each further attempt waits twice as long, at most 32 times: a slow cluster is not flooded with copies. */
const patience = (ms: number, attempts: number) => ms * 2 ** Math.min(Math.max(attempts - 1, 0), 5);

export function decide(now: number, state: StepState, options: DecideOptions): Decision {
  const open = state.shards.filter((shard) => !shard.done);
  if (open.length === 0) return { action: 'commit', why: `all ${state.shards.length} shards have answered` };

  const broken = open.find(
    ({ failedOn }) =>
      new Set(failedOn).size >= options.failedWorkers || failedOn.length >= options.failedAttempts,
  );
  if (broken) {
    const why = `shard ${broken.shard} failed ${broken.failedOn.length} times, on ${new Set(broken.failedOn).size} workers: ${broken.failure}`;
    return { action: 'fail', why };
  }

  // The first few times at once; what comes back again and again is handed out ever more slowly.
  const lost = open.filter(
    (shard) =>
      shard.holders.length === 0 &&
      shard.lost &&
      (shard.attempts <= 3 || now >= shard.issuedAt + patience(100, shard.attempts - 3)),
  );
  if (lost.length > 0) {
    const why = `${name(lost)} came back without an answer`;
    return { action: 'reissue', shards: lost.map((shard) => shard.shard), unclaimed: false, why };
  }

  if (state.workers === 0)
    return { action: 'wait', until: Number.POSITIVE_INFINITY, why: 'no worker is connected' };

  const deadlineOf = (shard: ShardState): number => {
    if (shard.holders.length === 0) {
      const wait = Math.max(options.unclaimedMs, 3 * state.typicalMs);
      return Math.max(shard.issuedAt, state.startedAt, state.progressAt) + patience(wait, shard.attempts);
    }
    const claimed = Math.max(...shard.holders.map((holder) => holder.claimedAt));
    const wait = Math.max(options.lateMs, options.lateFactor * state.typicalMs);
    return Math.max(claimed, state.startedAt, shard.issuedAt) + patience(wait, shard.attempts);
  };
  const due = open.filter((shard) => deadlineOf(shard) <= now);
  const unclaimed = due.filter((shard) => shard.holders.length === 0);
  if (unclaimed.length > 0) {
    const why = `nobody fetched ${name(unclaimed)}: the queue may have lost it`;
    return { action: 'reissue', shards: unclaimed.map((shard) => shard.shard), unclaimed: true, why };
  }
  if (due.length > 0) {
    const why = `${name(due)} is late at ${due.map((shard) => shard.holders.map((h) => h.worker).join(' and ')).join(', ')}`;
    return { action: 'reissue', shards: due.map((shard) => shard.shard), unclaimed: false, why };
  }

  const unheld = open.filter((shard) => shard.holders.length === 0);
  const why =
    unheld.length === 0
      ? `${name(open)} ${open.length === 1 ? 'is' : 'are'} being computed`
      : `${name(unheld)} ${unheld.length === 1 ? 'waits' : 'wait'} for a worker`;
  return { action: 'wait', until: Math.min(...open.map(deadlineOf)), why };
}

const name = (shards: readonly ShardState[]) =>
  `${shards.length === 1 ? 'shard' : 'shards'} ${shards.map((shard) => shard.shard).join(', ')}`;
