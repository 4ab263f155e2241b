/**
 * What to do about the current step: a pure function of (now, state, options) that returns an action and the reason why. It knows
 * nothing of Redis or gRPC; the reason is what logs and the dashboard show.
 */
import type { Reason } from '@kasane/protocol/reasons';
import { type Failure, type FailureOptions, failureOf, type Judges, saidBy } from './failures.ts';

/** One attempt at a task that a connected worker holds. Times are milliseconds of a monotonic clock. */
export interface Holder {
  readonly worker: string;
  readonly attempt: number;
  readonly claimedAt: number;
  /** Of a round of local steps: how many it has said are done, and when it last said more. */
  readonly localSteps?: number;
  readonly progressAt?: number;
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
  readonly failures: readonly Failure[];
  /** When more of its gradient last came; -Infinity: nothing has. */
  readonly receivedAt: number;
}

export interface StepState extends Judges {
  /** When the parameters of this step were published. */
  readonly startedAt: number;
  /** When a task of the job was last claimed, or a result last arrived. */
  readonly progressAt: number;
  /** When a worker last left; -Infinity: none has. */
  readonly leftAt: number;
  readonly shards: readonly ShardState[];
  /** Workers that are connected, and when each was last heard from. */
  readonly heardAt: Pick<ReadonlyMap<string, number>, 'get' | 'size'>;
  /** Of those, who cannot compute this job at all, and why. */
  readonly refusals: readonly { readonly worker: string; readonly why: string }[];
  /** Workers have computed steps of the job: some can. */
  readonly wasComputed: boolean;
  /** Workers that have made steps longer of late: nobody waits long for them. */
  readonly suspects: Pick<ReadonlySet<string>, 'has'>;
  /** One of those is being tried: it may have fetched a task, and be slow to say so. */
  readonly isTrying: boolean;
  /** Milliseconds from when a shard can be computed to its answer, the median of late; 0 while unknown. */
  readonly typicalMs: number;
  /** What of that is not computation. */
  readonly transferMs: number;
}

export interface DecideOptions extends FailureOptions {
  /** A task that nobody fetches for this long is put into the queue again: Redis may have lost it. */
  readonly unclaimedMs: number;
  /** The same for a task that was there when a worker left: it may have been fetched by that one, which had not said so yet. */
  readonly leftMs: number;
  /** A task whose holder is silent about it for this long, and for `lateFactor` times the median, is handed out again. */
  readonly lateMs: number;
  readonly lateFactor: number;
  /** The same for a holder that has made steps longer of late. */
  readonly suspectMs: number;
  readonly suspectFactor: number;
  /** The same where every other worker holds it already: it can help only if the task was lost on the way. */
  readonly aloneMs: number;
  /**
   * What is held by a worker that was not heard from for this long is handed out again, however long it takes: and for so many times what
   * transfers take, since heartbeats share the network with them.
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
  /** Hand these shards out again; `unclaimed` says that the queue itself may have lost them. */
  | {
      readonly action: 'reissue';
      readonly shards: readonly number[];
      readonly unclaimed: boolean;
      /** Workers that were waited for in vain: they hold these shards and do not answer, or fetch nothing. */
      readonly idle: readonly string[];
      readonly why: Reason;
    }
  /** Nothing to do before `until` unless something happens. */
  | { readonly action: 'wait'; readonly until: number; readonly why: Reason }
  /** Numbers are to blame, not workers. */
  | { readonly action: 'fail'; readonly notFinite: true; readonly shard: number; readonly why: Reason }
  | { readonly action: 'fail'; readonly notFinite: false; readonly why: Reason };

/** Each further attempt waits twice as long, at most 32 times: a slow cluster is not flooded with copies. */
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

  // The first few times at once; what comes back again and again is handed out ever more slowly.
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
    // While nobody knows how long a shard takes, or where nobody else could compute it, one of which more is done all the time is not late.
    const isPatient = state.typicalMs === 0 || isAlone;
    const claimed = Math.max(
      ...shard.holders.map(({ claimedAt, progressAt }) =>
        isPatient ? (progressAt ?? claimedAt) : claimedAt,
      ),
    );
    const received = isPatient ? shard.receivedAt : Number.NEGATIVE_INFINITY;
    const from = Math.max(claimed, state.startedAt, shard.issuedAt, received);
    // The first computation compiles: before anything is known, it gets more time.
    const isSuspect = shard.holders.every(({ worker }) => state.suspects.has(worker));
    const [least, factor] = isSuspect
      ? [options.suspectMs, options.suspectFactor]
      : [options.lateMs, options.lateFactor];
    const late =
      state.typicalMs === 0 ? options.lateFactor * options.lateMs : Math.max(least, factor * state.typicalMs);
    if (isAlone) return from + patience(Math.max(options.aloneMs, late), shard.attempts);
    const heard = shard.holders.map(({ worker }) => state.heardAt.get(worker) ?? state.startedAt);
    // An attempt that was handed out after the silence began is somebody else's chance: it gets its time.
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
