/** Deletes ended jobs with everything stored about them: rows, files and leftovers in Redis. */
import { realpath } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { jobOfInit } from '@kasane/protocol/internal/job/model-name';
import { hasEnded, stateNames } from '@kasane/protocol/job-state';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { removeRuns } from '../queue/task-queue.ts';
import { JOBS, markDeleted, removeFiles, unmarkDeleted } from '../store/deleted-files.ts';
import type { EventRecord } from '../store/event-record.ts';
import type { JobRecord } from '../store/job-record.ts';
import type { JobStore } from '../store/store.ts';
import { written } from './patience.ts';
import type { Runs } from './runs.ts';
import { type Start, type Submissions, startsOf } from './starts.ts';

export interface DeletionOptions {
  readonly store: JobStore;
  readonly events: EventRecord;
  readonly redis: Redis;
  readonly submissions: Pick<Submissions, 'starts'>;
  readonly stateDirectory: string;
  readonly log: Logger;
}

/**
 * Deletes an ended job. Returns the size of its files in bytes.
 * @throws KasaneError JOB_STATE if it has not ended or other jobs start from its weights, STATE_UNUSABLE, STATE_IN_USE
 */
export async function deleteJob(
  record: JobRecord,
  runs: Pick<Runs, 'settled'>,
  { store, events, redis, submissions, stateDirectory, log }: DeletionOptions,
): Promise<number> {
  const { id } = record;
  requireEnded(record);
  const check = () => requireUnused(id, startsOf(store, submissions), stateDirectory);
  await check();
  // Its run may still be closing its queues.
  await runs.settled(id);
  try {
    await written({ writing: 'deletion' }, async () => {
      await markDeleted(store.place, stateDirectory, id);
      // A job that starts from it may have been submitted meanwhile.
      await check();
      events.forget(id);
      await store.delete(id);
    });
  } catch (error) {
    await unmarkDeleted(stateDirectory, id).catch(() => {}); // the next coordinator removes the mark, and the job stays
    throw error;
  }
  const left = store.get(id);
  if (left) {
    // The job was resumed meanwhile.
    await unmarkDeleted(stateDirectory, id);
    requireEnded(left);
  }
  events.deleted(id);
  log.info({ job: id }, `job ${id} deleted`);
  await removeRuns(redis, id);
  return removeFiles(stateDirectory, id).catch((error: unknown) => {
    log.warn({ job: id }, `files of ${id} are left until the next start: ${messageOf(error)}`);
    return 0;
  });
}

function requireEnded({ id, state }: JobRecord): void {
  if (hasEnded(state)) return;
  const right = `wait for it to end, or cancel it first with \`kasane cancel ${id}\``;
  throw new KasaneError(
    'JOB_STATE',
    `job ${id} is ${stateNames[state]}; only jobs that have ended can be deleted: ${right}`,
  );
}

/** Jobs that have yet to read its weights would fail. @throws KasaneError JOB_STATE */
async function requireUnused(id: string, starts: readonly Start[], stateDirectory: string): Promise<void> {
  const folder = (await placeOf(join(stateDirectory, JOBS, id))) + sep;
  for (const { user, init } of starts) {
    if (jobOfInit(init) !== id && !(await placeOf(init)).startsWith(folder)) continue;
    const right = 'delete it once that has ended';
    throw new KasaneError('JOB_STATE', `${user} starts from the weights of job ${id} (\`init\`); ${right}`);
  }
}

/** Resolves links: the same file may be known by another path. */
const placeOf = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));
