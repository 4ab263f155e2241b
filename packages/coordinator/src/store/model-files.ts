/**
 * The files of registered models. The database decides which there are: a mark is made before a file comes or goes, so that whatever a
 * coordinator was doing when it ended is put right by the next one. Files that nobody has marked are never touched.
 */
import { link, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder } from '@kasane/data/internal/files/whole-file';
import { writeWhole } from '../params/files.ts';
import { fileOfModel, MODELS } from './model-store.ts';
import type { StatePlace } from './state-place.ts';

const MARK = '.changing';
const markOf = (directory: string, digest: string) => join(directory, MODELS, digest + MARK);

/** Digests of files that are marked. @param names of what is there */
export const markedModels = (names: readonly string[]): string[] =>
  names.filter((name) => name.endsWith(MARK)).map((name) => name.slice(0, -MARK.length));

/** Marks that a file comes or goes. */
export async function markModel(place: Pick<StatePlace, 'folder'>, directory: string, digest: string) {
  await place.folder(join(directory, MODELS));
  await writeWhole(markOf(directory, digest), new Uint8Array());
}

/** Puts a file into the state that the database has. @param isKept whether a version has these weights */
export async function settleModel(directory: string, digest: string, isKept: boolean): Promise<void> {
  if (!isKept) await rm(join(directory, fileOfModel(digest)), { force: true });
  await rm(markOf(directory, digest), { force: true });
}

/**
 * Finishes what an earlier coordinator has left.
 * @param isKept whether a version has these weights
 * @returns digests of files that it has removed
 */
export async function settleModels(
  directory: string,
  isKept: (digest: string) => boolean,
): Promise<readonly string[]> {
  const names = await readdir(join(directory, MODELS)).catch((): string[] => []); // nothing was ever registered
  const marked = markedModels(names);
  for (const digest of marked) await settleModel(directory, digest, isKept(digest));
  return marked.filter((digest) => !isKept(digest));
}

/** Gives weights their name: the job's file gets a second one where the file system has links; otherwise they are written once more. */
export async function keepModel(directory: string, digest: string, from: string, bytes: Uint8Array) {
  const path = join(directory, fileOfModel(digest));
  // The job's path may lead to other weights later, but the file itself is never written to.
  await rm(path, { force: true });
  try {
    await link(from, path);
  } catch {
    await writeWhole(path, bytes);
    return;
  }
  await syncFolder(dirname(path));
}
