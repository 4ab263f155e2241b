/** Files in the state directory: complete or absent, and verified by digest. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeWholeFile } from '@kasane/data/internal/files/whole-file';
import { sha256InTurns } from '@kasane/data/internal/packed/digest';
import { messageOf } from '@kasane/protocol/errors';
import { systemWords } from '@kasane/tensor/internal/node/system-errors';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Writes `bytes` to `path`, readable by the owner only. Returns their SHA-256 (lower-case hex). */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<string> {
  await writeWholeFile(path, bytes, 0o600);
  return sha256InTurns(bytes);
}

/** Reads a file and verifies its digest; returns the reason if it is missing or damaged. */
export async function readWhole(
  path: string,
  digest: string,
): Promise<{ bytes: Buffer } | { bytes?: undefined; why: string }> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return { why: `${path} cannot be read: ${systemWords(error) ?? messageOf(error)}` };
  }
  const found = await sha256InTurns(bytes);
  return found === digest
    ? { bytes }
    : { why: `${path} is damaged: its SHA-256 is ${found}; expected ${digest}` };
}
