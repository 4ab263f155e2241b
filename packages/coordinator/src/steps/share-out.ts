/**
 * Which job's step is computed next when several share the workers: a pure function of (jobs, slots) that returns who may continue, and
 * why each of the others waits. Times affect only turns, never weights.
 */
import type { Reason } from '@kasane/protocol/reasons';

/** An open job. */
export interface Sharer {
  readonly id: string;
  readonly priority: number;
  /** Slots that one of its steps keeps busy, at most: its shards. */
  readonly shards: number;
  /** Slot milliseconds that its steps have used, on top of the level at which it joined. */
  readonly usedMs: number;
  /**
   * `computing`: a step is under way. `still`: the same, but it has stalled. `waiting`: the last step is done, and it wants the next.
   * `away`: none of these.
   */
  readonly state: 'computing' | 'still' | 'waiting' | 'away';
}

export interface Shares {
  /** Jobs that may begin a step now, in this order. */
  readonly granted: readonly string[];
  /** Why the other waiting jobs wait. */
  readonly why: ReadonlyMap<string, Reason>;
}

/**
 * Highest priority first, then lowest usage, then first come; as long as slots are left over, the next one too.
 * @param sharers in order of arrival
 * @param slots of all workers; 0 counts as 1, so that some job finds out that there are no workers
 */
export function shareOut(sharers: readonly Sharer[], slots: number): Shares {
  const computing = sharers.filter(({ state }) => state === 'computing');
  let free = Math.max(1, slots) - computing.reduce((sum, { shards }) => sum + shards, 0);
  const granted: Sharer[] = [];
  const why = new Map<string, Reason>();
  const waiting = sharers
    .filter(({ state }) => state === 'waiting')
    .sort((a, b) => b.priority - a.priority || a.usedMs - b.usedMs);
  for (const sharer of waiting) {
    if (free > 0) {
      granted.push(sharer);
      free -= sharer.shards;
    } else why.set(sharer.id, whyBehind(sharer, [...computing, ...granted]));
  }
  return { granted: granted.map(({ id }) => id), why };
}

function whyBehind(sharer: Sharer, busy: readonly Sharer[]): Reason {
  const first = busy.reduce((highest, other) => (other.priority > highest.priority ? other : highest));
  if (first.priority > sharer.priority)
    return { code: 'higher-priority', args: { job: first.id, priority: first.priority } };
  return { code: 'turns', args: { jobs: busy.map(({ id }) => id) } };
}
