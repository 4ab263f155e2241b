/** How many threads a slot has where nobody says it. */
import { availableParallelism } from 'node:os';

/** The cores of this machine, divided by what computes at once. @param slots of all workers on this machine */
export const threadsEach = (slots: number): number => Math.max(1, Math.floor(availableParallelism() / slots));
