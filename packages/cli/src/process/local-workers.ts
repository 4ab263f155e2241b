/** What computes on this machine, where the options leave it open. */
import { availableParallelism } from 'node:os';

/** The cores of this machine, divided by what computes at once. @param slots of all workers on this machine */
export const threadsEach = (slots: number): number => Math.max(1, Math.floor(availableParallelism() / slots));

/** Slots of one local worker by default. A job's batch has two shards at least, unless its job file says otherwise. */
const SLOTS = 2;

interface GivenWorkers {
  readonly workers: number;
  readonly slots?: number | undefined;
  readonly threads?: number | undefined;
}

export interface LocalWorkers {
  readonly workers: number;
  readonly slots: number;
  readonly threads: number;
}

/**
 * The workers of a local cluster. Slots of one worker share its connections and its copy of each version, so one worker with two slots
 * takes less time than two with one.
 */
export function localWorkers({ workers, slots, threads }: GivenWorkers): LocalWorkers {
  const each = slots ?? (workers === 1 ? Math.min(SLOTS, availableParallelism()) : 1);
  return { workers, slots: each, threads: threads ?? threadsEach(workers * each) };
}
