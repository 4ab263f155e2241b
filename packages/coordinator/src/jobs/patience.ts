/** Bounds how long a caller waits while the disk refuses to write. */
import { setTimeout as sleep } from 'node:timers/promises';
import { KasaneError } from '@kasane/protocol/errors';
import { at, sentenceOf, type Written } from '@kasane/protocol/reasons';
import { clockTime, diskReason, isLock } from '../store/disk.ts';
import type { Runs } from './runs.ts';

/** After this long, in milliseconds, the caller gets the disk's error. */
const PATIENCE_MS = 4_000;
const RETRY_MS = 200;

/**
 * Writes for a caller who waits for the answer, and fails if the disk refuses for longer than callers wait. @throws KasaneError
 * STATE_IN_USE, STATE_UNUSABLE
 */
export async function written<T>(what: Written, write: () => Promise<T>): Promise<T> {
  const [since, began] = [clockTime(), performance.now()];
  for (;;) {
    try {
      return await write();
    } catch (error) {
      const why = diskReason(error, since);
      if (!why) throw error;
      if (performance.now() - began > PATIENCE_MS)
        throw new KasaneError(isLock(error) ? 'STATE_IN_USE' : 'STATE_UNUSABLE', sentenceOf(at(why, what)), {
          cause: error,
        });
    }
    await sleep(RETRY_MS);
  }
}

/** Stops a run for good; rejects with the disk's error if its end cannot be recorded in time. */
export async function stopped(runs: Runs, id: string): Promise<void> {
  const began = performance.now();
  const over = runs.stop(id, 'cancelled').then(() => true);
  while (!(await Promise.race([over, sleep(RETRY_MS, false)]))) {
    const why = runs.refused(id);
    if (!why || performance.now() - began <= PATIENCE_MS) continue;
    const text = `${sentenceOf(why)}. Job ${id} has stopped; it is cancelled once this is fixed`;
    throw new KasaneError(why.code === 'database-locked' ? 'STATE_IN_USE' : 'STATE_UNUSABLE', text);
  }
}
