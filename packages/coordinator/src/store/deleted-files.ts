/**
 * The files of jobs that are deleted. The database decides: a mark is made before the rows go, and the files go after them. A coordinator
 * that ended in between is followed by one that finds the mark: where the rows are still there the job stays, with all of its files.
 */
import { readdirSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../params/files.ts';
import type { StatePlace } from './state-place.ts';

/** Where files of jobs are, in a state directory. */
export const JOBS = 'jobs';
/** Where marks are: empty files with the names of jobs. */
const DELETED = 'deleted';

/** Marks that a job is being deleted. */
export async function markDeleted(place: Pick<StatePlace, 'folder'>, directory: string, job: string) {
  await place.folder(join(directory, DELETED));
  await writeWhole(join(directory, DELETED, job), new Uint8Array());
}

/** The job stays. */
export const unmarkDeleted = (directory: string, job: string): Promise<void> =>
  rm(join(directory, DELETED, job), { force: true });

/** Removes the files of a job whose rows have gone, and its mark. Returns their bytes. */
export async function removeFiles(directory: string, job: string): Promise<number> {
  const folder = join(directory, JOBS, job);
  const names = await readdir(folder).catch(() => []); // it never had any
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  await rm(folder, { recursive: true, force: true });
  await unmarkDeleted(directory, job);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Jobs that are marked. */
export function markedDeleted(directory: string): string[] {
  try {
    return readdirSync(join(directory, DELETED));
  } catch {
    return [];
  }
}

/** Does what an earlier coordinator has left of its deletions. @param exists whether there are rows of a job @returns jobs whose files it has removed */
export async function finishDeletions(
  directory: string,
  exists: (job: string) => boolean,
): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const job of markedDeleted(directory)) {
    if (exists(job)) {
      await unmarkDeleted(directory, job);
      continue;
    }
    await removeFiles(directory, job);
    removed.push(job);
  }
  return removed;
}
