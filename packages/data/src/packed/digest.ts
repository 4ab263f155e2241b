/** SHA-256 of what may be large, on a thread that others wait for. */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Bytes that are hashed in one turn of the event loop: some milliseconds. */
const PIECE_BYTES = 4 << 20;

/** SHA-256 in lower-case hex, piece by piece. @param bytes nobody may change them meanwhile */
export async function sha256InTurns(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) await nextTurn();
    hash.update(bytes.subarray(at, at + PIECE_BYTES));
  }
  return hash.digest('hex');
}
