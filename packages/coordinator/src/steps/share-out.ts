/**
 * Whose next step is computed when several jobs share the workers: a pure function of (jobs, slots) that returns who may go on
 * and, for each of the others, the reason why it waits. Times in it decide about turns only; no weight depends on them.
 */
import type { Reason } from '@kasane/protocol/reasons';

/** A job that is open. */
export interface Sharer {
  readonly id: string;
  readonly priority: number;
  /** Slots that one of its steps keeps busy, at most: its shards. */
  readonly shards: number;
  /** Milliseconds of a slot that its steps have taken, from the level at which it came in. */
  readonly usedMs: number;
  /**
   * `computing`: a step of it is out. `still`: the same, but nothing has come of it for long. `waiting`: its last one is done, and it wants
   * the next. `away`: none of these.
   */
  readonly state: 'computing' | 'still' | 'waiting' | 'away';
}

export interface Shares {
  /** Jobs that may begin a step now, in this order. */
  readonly granted: readonly string[];
  /** Why the others that wait do. */
  readonly why: ReadonlyMap<string, Reason>;
}

/**
 * The highest priority first, then who has used least, then who came first; and as long as slots are left over, the next one too.
 * @param sharers in the order in which they came
 * @param slots of all workers together; none at all counts as one, so that somebody finds out that there is none
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
