/** Writes files for users whole or not at all. Loads nothing. */
import { closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Writes a file whole or not at all. @param write makes it under another name. @throws the system's error */
export function putInPlace(out: string, write: (partial: string) => void): void {
  const target = targetOf(out);
  const partial = `${target}.${process.pid}.part`;
  try {
    write(partial);
    // Weights may be readable by their owner only; the copy is the user's, synced before it takes the name.
    const file = openSync(partial, 'r+');
    fsyncSync(file);
    closeSync(file);
    renameSync(partial, target);
  } catch (error) {
    removeQuietly(partial);
    throw error;
  }
}

/** Writes a file whole or not at all: a full disk leaves nothing, or what was there. @throws the system's error */
export const writeFile = (content: Uint8Array | string, out: string, mode = 0o666): void =>
  putInPlace(out, (partial) => writeFileSync(partial, content, { flag: 'wx', mode }));

/** A link stays one: what it leads to is replaced. */
function targetOf(out: string): string {
  try {
    return realpathSync(out);
  } catch {
    return out;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Its folder is gone, or its disk is read-only now.
  }
}
