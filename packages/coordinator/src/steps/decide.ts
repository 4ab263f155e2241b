/**
 * What to do about the current step: a pure function of (now, state, options) that returns an action and its reason, which logs and
 * dashboard show. Independent of Redis and gRPC.
 */
import type { Reason } from '@kasane/protocol/reasons';
import { type Failure, type FailureOptions, failureOf, type Judges, saidBy } from './failures.ts';

/** One attempt at a task that a connected worker holds. Times are milliseconds of a monotonic clock. */
export interface Holder {
  readonly worker: string;
  readonly attempt: number;
  readonly claimedAt: number;
  /** For a round of local steps: the number of steps reported, and when the last report came. */
  readonly localSteps?: number;
  readonly progressAt?: number;
}

export interface ShardState {
  readonly shard: number;
  readonly done: boolean;
  /** Attempts handed out so far, and when the last one was. */
  readonly attempts: number;
  readonly issuedAt: number;
  readonly holders: readonly Holder[];
  /** An attempt was claimed and lost (its worker left or handed it back). */
  readonly lost: boolean;
  readonly failures: readonly Failure[];
  /** When part of its gradient last arrived; -Infinity: never. */
  readonly receivedAt: number;
}

export interface StepState extends Judges {
  /** When the parameters of this step were published. */
  readonly startedAt: number;
  /** When a task of the job was last claimed, or a result last arrived. */
  readonly progressAt: number;
  /** When a worker last left; -Infinity: never. */
  readonly leftAt: number;
  readonly shards: readonly ShardState[];
  /** Connected workers, and when each was last heard from. */
  readonly heardAt: Pick<ReadonlyMap<string, number>, 'get' | 'size'>;
  /** Of those, workers that cannot compute this job at all, and why. */
  readonly refusals: readonly { readonly worker: string; readonly why: string }[];
  /** Whether workers have computed steps of the job, so some can. */
  readonly wasComputed: boolean;
  /** Workers that recently slowed down steps; their tasks are reissued sooner. */
  readonly suspects: Pick<ReadonlySet<string>, 'has'>;
  /** Whether one of those is on trial: it may have fetched a task, and be slow to claim it. */
  readonly isTrying: boolean;
  /** Median milliseconds from when a shard can be computed to its answer; 0 while unknown. */
  readonly typicalMs: number;
  /** The part of it that is not computation. */
  readonly transferMs: number;
}

export interface DecideOptions extends FailureOptions {
  /** A task that nobody fetches for this long is enqueued again: Redis may have lost it. */
  readonly unclaimedMs: number;
  /** The same for a task that was queued when a worker left: that worker may have fetched it without claiming it yet. */
  readonly leftMs: number;
  /** A task without news from its holder for this long, and for `lateFactor` times the median, is reissued. */
  readonly lateMs: number;
  readonly lateFactor: number;
  /** The same for a holder that recently slowed down steps. */
  readonly suspectMs: number;
  readonly suspectFactor: number;
  /** The same if every other worker holds it already: that helps only if the task was lost on the way. */
  readonly aloneMs: number;
  /**
   * Tasks of a worker that was not heard from for this long are reissued, however long they take; and after `silentFactor` times the
   * transfer time, since heartbeats share the network with transfers.
   */
  readonly silentMs: number;
  readonly silentFactor: number;
}

export const defaultDecideOptions: DecideOptions = {
  unclaimedMs: 2_000,
  leftMs: 150,
  lateMs: 1_000,
  lateFactor: 5,
  suspectMs: 100,
  suspectFactor: 3,
  aloneMs: 30_000,
  silentMs: 3_000,
  silentFactor: 2,
  failedWorkers: 3,
  failedAttempts: 6,
  notFiniteAttempts: 2,
  askedWorkers: 8,
  askedNotFinite: 3,
};

export type Decision =
  /** Every shard has an answer: reduce, update, publish. */
  | { readonly action: 'commit'; readonly why: Reason }
  /** Reissue these shards; `unclaimed` means that the queue itself may have lost them. */
  | {
      readonly action: 'reissue';
      readonly shards: readonly number[];
      readonly unclaimed: boolean;
      /** Workers that failed to respond: they hold these shards without answering, or fetch nothing. */
      readonly idle: readonly string[];
      readonly why: Reason;
    }
  /** Nothing to do before `until` unless something happens. */
  | { readonly action: 'wait'; readonly until: number; readonly why: Reason }
  /** The numbers are to blame, not the workers. */
  | { readonly action: 'fail'; readonly notFinite: true; readonly shard: number; readonly why: Reason }
  | { readonly action: 'fail'; readonly notFinite: false; readonly why: Reason };

/** Each further attempt waits twice as long, up to 32 times, to avoid flooding a slow cluster with copies. */
const patience = (ms: number, attempts: number) => ms * 2 ** Math.min(Math.max(attempts - 1, 0), 5);

export function decide(now: number, state: StepState, options: DecideOptions): Decision {
  const open = state.shards.filter((shard) => !shard.done);
  if (open.length === 0)
    return { action: 'commit', why: { code: 'all-answered', args: { shards: state.shards.length } } };

  for (const shard of open) {
    const holding = new Set(shard.holders.map(({ worker }) => worker));
    const failed = failureOf(shard.failures, holding, state, options);
    if (!failed) continue;
    const { said, workers } = failed;
    if (failed.notFinite)
      return {
        ...{ action: 'fail', notFinite: true, shard: shard.shard },
        why: { code: 'not-finite', args: { said } },
      };
    const args = { shard: shard.shard, times: shard.failures.length, workers, said };
    return { action: 'fail', notFinite: false, why: { code: 'shard-failed', args } };
  }

  const able = state.able.length;
  if (able === 0 && state.refusals.length > 0) {
    const args = { said: saidBy(state.refusals.map(({ worker, why }) => [worker, why] as const)) };
    if (!state.wasComputed) return { action: 'fail', notFinite: false, why: { code: 'no-worker-can', args } };
    return { action: 'wait', until: Number.POSITIVE_INFINITY, why: { code: 'no-able-worker', args } };
  }

  // Immediately at first; what keeps coming back is reissued ever more slowly.
  const lost = open.filter(
    (shard) =>
      shard.holders.length === 0 &&
      shard.lost &&
      (shard.attempts <= 3 || now >= shard.issuedAt + patience(100, shard.attempts - 3)),
  );
  if (lost.length > 0) {
    const why: Reason = { code: 'shards-returned', args: numbers(lost) };
    return { action: 'reissue', ...numbers(lost), unclaimed: false, idle: [], why };
  }

  if (state.heardAt.size === 0)
    return { action: 'wait', until: Number.POSITIVE_INFINITY, why: { code: 'no-worker', args: {} } };

  const deadlineOf = (shard: ShardState): number => {
    if (shard.holders.length === 0) {
      const wait =
        shard.issuedAt <= state.leftAt || state.isTrying
          ? Math.max(options.leftMs, state.typicalMs)
          : Math.max(options.unclaimedMs, 3 * state.typicalMs);
      const since = Math.max(shard.issuedAt, state.startedAt, state.progressAt, state.leftAt);
      return since + patience(wait, shard.attempts);
    }
    const isAlone = able <= new Set(shard.holders.map(({ worker }) => worker)).size;
    // If the usual time is unknown, or no other worker can compute it, a task that makes progress is not late.
    const isPatient = state.typicalMs === 0 || isAlone;
    const claimed = Math.max(
      ...shard.holders.map(({ claimedAt, progressAt }) =>
        isPatient ? (progressAt ?? claimedAt) : claimedAt,
      ),
    );
    const received = isPatient ? shard.receivedAt : Number.NEGATIVE_INFINITY;
    const from = Math.max(claimed, state.startedAt, shard.issuedAt, received);
    // The first computation compiles, so it gets more time while nothing is known.
    const isSuspect = shard.holders.every(({ worker }) => state.suspects.has(worker));
    const [least, factor] = isSuspect
      ? [options.suspectMs, options.suspectFactor]
      : [options.lateMs, options.lateFactor];
    const late =
      state.typicalMs === 0 ? options.lateFactor * options.lateMs : Math.max(least, factor * state.typicalMs);
    if (isAlone) return from + patience(Math.max(options.aloneMs, late), shard.attempts);
    const heard = shard.holders.map(({ worker }) => state.heardAt.get(worker) ?? state.startedAt);
    // An attempt handed out after the silence began is with another worker, which gets its full time.
    const silentMs = Math.max(options.silentMs, options.silentFactor * state.transferMs);
    const silence = Math.max(...heard, state.startedAt, shard.issuedAt) + silentMs;
    return Math.min(from + patience(late, shard.attempts), Math.max(silence, from));
  };
  const due = open.filter((shard) => deadlineOf(shard) <= now);
  const unclaimed = due.filter((shard) => shard.holders.length === 0);
  if (unclaimed.length > 0) {
    const why: Reason = { code: 'shards-unfetched', args: numbers(unclaimed) };
    const busy = new Set(open.flatMap((shard) => shard.holders.map(({ worker }) => worker)));
    const idle = state.able.filter((worker) => !busy.has(worker));
    return { action: 'reissue', ...numbers(unclaimed), unclaimed: true, idle, why };
  }
  if (due.length > 0) {
    const workers = due.map((shard) => shard.holders.map(({ worker }) => worker));
    const why: Reason = { code: 'shards-overdue', args: { ...numbers(due), workers } };
    return { action: 'reissue', ...numbers(due), unclaimed: false, idle: [...new Set(workers.flat())], why };
  }

  const unheld = open.filter((shard) => shard.holders.length === 0);
  const why: Reason =
    unheld.length === 0
      ? { code: 'shards-computing', args: numbers(open) }
      : { code: 'shards-waiting', args: numbers(unheld) };
  return { action: 'wait', until: Math.min(...open.map(deadlineOf)), why };
}

const numbers = (shards: readonly ShardState[]) => ({ shards: shards.map(({ shard }) => shard) });
