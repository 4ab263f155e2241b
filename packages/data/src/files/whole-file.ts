/** Files that are whole or absent: written under a temporary name, synced, renamed, the folder synced. */
import { randomBytes } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const temporaryOf = (path: string) => `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
const TEMPORARY = /\.\d+-[\da-f]{8}\.tmp$/;
/** Whether a file of this name was being written when its writer was killed, or is being written. */
export const isTemporaryFile = (name: string): boolean => TEMPORARY.test(name);

/**
 * Writes `bytes` to `path`, whose folder is there; a file of that name stays as it was until all is written.
 * @param mode permissions of the file, less the umask. Default 0o666.
 */
export async function writeWholeFile(path: string, bytes: Uint8Array, mode = 0o666): Promise<void> {
  const temporary = temporaryOf(path);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    // Whoever reads it knows the file by this name only.
    if (error instanceof Error)
      Object.assign(error, { message: error.message.replaceAll(temporary, path), path });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes the names in a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Removes what killed processes left of files that they were writing, in a folder and those in it. Call it only where nobody writes.
 * @returns how many there were
 */
export async function sweepTemporaryFiles(folder: string): Promise<number> {
  const left = (await readdir(folder, { recursive: true })).filter(isTemporaryFile);
  for (const name of left) await rm(join(folder, name), { force: true });
  return left.length;
}
