/**
 * What to do about the current step: a pure function of (now, state, options) that returns an action and a sentence
 * why. It knows nothing of Redis or gRPC; the sentence is what logs and the dashboard show.
 */
import { counted } from '@kasane/tensor/counted';
import { type Failure, type FailureOptions, failureOf, type Judges, saidBy } from './failures.ts';

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
  readonly failures: readonly Failure[];
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
  /** Milliseconds from when a shard can be computed to its answer, the median of late; 0 while unknown. */
  readonly typicalMs: number;
}

export interface DecideOptions extends FailureOptions {
  /** A task that nobody fetches for this long is put into the queue again: Redis may have lost it. */
  readonly unclaimedMs: number;
  /** The same for a task that was there when a worker left: it may have been fetched by that one, which had not said so yet. */
  readonly leftMs: number;
  /** A task whose holder is silent about it for this long, and for `lateFactor` times the median, is handed out again. */
  readonly lateMs: number;
  readonly lateFactor: number;
  /** The same where every other worker holds it already: it can help only if the task was lost on the way. */
  readonly aloneMs: number;
  /** What is held by a worker that was not heard from for this long is handed out again, however long it takes. */
  readonly silentMs: number;
}

export const defaultDecideOptions: DecideOptions = {
  unclaimedMs: 2_000,
  leftMs: 150,
  lateMs: 1_000,
  lateFactor: 5,
  aloneMs: 30_000,
  silentMs: 3_000,
  failedWorkers: 3,
  failedAttempts: 6,
  notFiniteAttempts: 2,
  askedWorkers: 8,
  askedNotFinite: 3,
};

export type Decision =
  /** Every shard has an answer: reduce, update, publish. */
  | { readonly action: 'commit'; readonly why: string }
  /** Hand these shards out again; `unclaimed` says that the queue itself may have lost them. */
  | {
      readonly action: 'reissue';
      readonly shards: readonly number[];
      readonly unclaimed: boolean;
      /** Workers that were waited for in vain: they hold these shards and do not answer, or fetch nothing. */
      readonly idle: readonly string[];
      readonly why: string;
    }
  /** Nothing to do before `until` unless something happens. */
  | { readonly action: 'wait'; readonly until: number; readonly why: string }
  /** Numbers are to blame, not workers. */
  | { readonly action: 'fail'; readonly notFinite: true; readonly shard: number; readonly why: string }
  | { readonly action: 'fail'; readonly notFinite: false; readonly why: string };

/** Each further attempt waits twice as long, at most 32 times: a slow cluster is not flooded with copies. */
const patience = (ms: number, attempts: number) => ms * 2 ** Math.min(Math.max(attempts - 1, 0), 5);

export function decide(now: number, state: StepState, options: DecideOptions): Decision {
  const open = state.shards.filter((shard) => !shard.done);
  if (open.length === 0) return { action: 'commit', why: `all ${state.shards.length} shards have answered` };

  for (const shard of open) {
    const holding = new Set(shard.holders.map(({ worker }) => worker));
    const failed = failureOf(shard.failures, holding, state, options);
    if (failed?.notFinite) return { action: 'fail', notFinite: true, shard: shard.shard, why: failed.why };
    if (failed) {
      const times = `${counted(shard.failures.length, 'time')}, on ${counted(failed.workers, 'worker')}`;
      const why = `shard ${shard.shard} failed ${times}: ${failed.why}`;
      return { action: 'fail', notFinite: false, why };
    }
  }

  const able = state.able.length;
  if (able === 0 && state.refusals.length > 0) {
    const reasons = saidBy(state.refusals.map(({ worker, why }) => [worker, why] as const));
    if (!state.wasComputed)
      return { action: 'fail', notFinite: false, why: `no worker can compute the job: ${reasons}` };
    const why = `no worker is connected that can compute the job: ${reasons}`;
    return { action: 'wait', until: Number.POSITIVE_INFINITY, why };
  }

  // The first few times at once; what comes back again and again is handed out ever more slowly.
  const lost = open.filter(
    (shard) =>
      shard.holders.length === 0 &&
      shard.lost &&
      (shard.attempts <= 3 || now >= shard.issuedAt + patience(100, shard.attempts - 3)),
  );
  if (lost.length > 0) {
    const why = `${name(lost)} returned without a result`;
    return { action: 'reissue', shards: lost.map((shard) => shard.shard), unclaimed: false, idle: [], why };
  }

  if (state.heardAt.size === 0)
    return { action: 'wait', until: Number.POSITIVE_INFINITY, why: 'no worker is connected' };

  const deadlineOf = (shard: ShardState): number => {
    if (shard.holders.length === 0) {
      const wait =
        shard.issuedAt <= state.leftAt
          ? Math.max(options.leftMs, state.typicalMs)
          : Math.max(options.unclaimedMs, 3 * state.typicalMs);
      const since = Math.max(shard.issuedAt, state.startedAt, state.progressAt, state.leftAt);
      return since + patience(wait, shard.attempts);
    }
    const claimed = Math.max(...shard.holders.map((holder) => holder.claimedAt));
    const from = Math.max(claimed, state.startedAt, shard.issuedAt);
    // The first computation compiles: before anything is known, it gets more time.
    const late =
      state.typicalMs === 0
        ? options.lateFactor * options.lateMs
        : Math.max(options.lateMs, options.lateFactor * state.typicalMs);
    const isAlone = able <= new Set(shard.holders.map(({ worker }) => worker)).size;
    if (isAlone) return from + patience(Math.max(options.aloneMs, late), shard.attempts);
    const heard = shard.holders.map(({ worker }) => state.heardAt.get(worker) ?? state.startedAt);
    // An attempt that was handed out after the silence began is somebody else's chance: it gets its time.
    const silence = Math.max(...heard, state.startedAt, shard.issuedAt) + options.silentMs;
    return Math.min(from + patience(late, shard.attempts), Math.max(silence, from));
  };
  const due = open.filter((shard) => deadlineOf(shard) <= now);
  const unclaimed = due.filter((shard) => shard.holders.length === 0);
  if (unclaimed.length > 0) {
    const why = `no worker fetched ${name(unclaimed)}: possibly lost by the queue`;
    const busy = new Set(open.flatMap((shard) => shard.holders.map(({ worker }) => worker)));
    const idle = state.able.filter((worker) => !busy.has(worker));
    return { action: 'reissue', shards: unclaimed.map((shard) => shard.shard), unclaimed: true, idle, why };
  }
  if (due.length > 0) {
    const why = `${name(due)} ${due.length === 1 ? 'is' : 'are'} overdue on ${due.map((shard) => shard.holders.map((h) => h.worker).join(' and ')).join(', ')}`;
    const idle = [...new Set(due.flatMap((shard) => shard.holders.map(({ worker }) => worker)))];
    return { action: 'reissue', shards: due.map((shard) => shard.shard), unclaimed: false, idle, why };
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
