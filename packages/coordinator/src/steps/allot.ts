/** How many shards of a step each worker should get: a pure function of what they have delivered. */

export interface Pace {
  readonly slots: number;
  /** Milliseconds from when a shard can be computed to its answer, with one shard per slot. */
  readonly ms: number;
}

/** When a worker with this many shards has answered them all, in milliseconds. */
const endOf = ({ slots, ms }: Pace, shards: number) => Math.ceil(shards / slots) * ms;

/** Assigns shards greedily: each goes to the worker that would finish it first, with ties to the first worker. */
export function allot(workers: readonly Pace[], shards: number): number[] {
  const counts = workers.map(() => 0);
  for (let shard = 0; shard < shards; shard++) {
    let best = 0;
    let soonest = Number.POSITIVE_INFINITY;
    for (const [index, worker] of workers.entries()) {
      const end = endOf(worker, counts[index]! + 1);
      if (end < soonest) [best, soonest] = [index, end];
    }
    counts[best]!++;
  }
  return counts;
}

/** A step may take this many times as long with fewer, larger tasks: each saves a gradient on the wire. */
const WORTH = 1.02;

/**
 * The level of the tree of shards (tensor/ops/shard-tree.ts) whose nodes are handed out as tasks, 2 ** level shards each: the highest at
 * which a step takes no longer than with single shards.
 * @param workers with milliseconds per single shard
 * @param highest level that is allowed
 */
export function levelOfTasks(workers: readonly Pace[], shards: number, highest: number): number {
  if (workers.length === 0 || highest === 0) return 0;
  const most = WORTH * stepMs(workers, shards);
  for (let level = highest; level > 0; level--) {
    const each = 2 ** level;
    if (each >= 2 * shards) continue;
    if (Math.min(each, shards) * stepMs(workers, Math.ceil(shards / each)) <= most) return level;
  }
  return 0;
}

/** Duration of a step with this allocation, in milliseconds. */
export function stepMs(workers: readonly Pace[], shards: number): number {
  const counts = allot(workers, shards);
  return Math.max(...workers.map((worker, index) => endOf(worker, counts[index]!)));
}

/** A step that takes this many times as long, and this many milliseconds more, is longer by more than chance. */
const TOLERANCE = 1.1;
const TOLERANCE_MS = 2;

/**
 * Whether giving one shard to this worker makes a step longer than giving all of them to the others.
 * @param quickMs lower quartile of its times: on a busy network, times vary, and occasional delays are no burden
 */
export function isTooSlow(quickMs: number, others: readonly Pace[], shards: number): boolean {
  return others.length > 0 && quickMs > TOLERANCE * stepMs(others, shards) + TOLERANCE_MS;
}
