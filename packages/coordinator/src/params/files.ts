/** A file is whole or absent: written under a temporary name, synced, renamed, the folder synced. */
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Writes `bytes` to `path` and returns their SHA-256 (lower-case hex). */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<string> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  let file: FileHandle | undefined;
  try {
    file = await open(temporary, 'wx', 0o600);
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    file = undefined;
    await rename(temporary, path);
  } catch (error) {
    await file?.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return sha256(bytes);
}

/** Reads a file whose digest is known; undefined with a reason when it is missing or damaged. */
export async function readWhole(
  path: string,
  digest: string,
): Promise<{ bytes: Buffer } | { bytes?: undefined; why: string }> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return { why: `${path} cannot be read: ${(error as Error).message}` };
  }
  const found = sha256(bytes);
  return found === digest
    ? { bytes }
    : { why: `${path} is damaged: its SHA-256 is ${found}, it was written as ${digest}` };
}
