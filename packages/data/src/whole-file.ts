/** Files that are whole or absent: written under a temporary name, synced, renamed, the folder synced. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes `bytes` to `path`, whose folder is there; a file of that name stays as it was until all is written.
 * @param mode permissions of the file, less the umask. Default 0o666.
 */
export async function writeWholeFile(path: string, bytes: Uint8Array, mode = 0o666): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
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
    if (error instanceof Error) error.message = error.message.replaceAll(temporary, path);
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
