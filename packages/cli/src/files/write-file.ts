/** Writes files for users whole or not at all. Loads nothing. */
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

/** Tells a file from what another process writes in its place. Empty: there is none. */
export function versionOf(path: string): string {
  const there = statSync(path, { bigint: true, throwIfNoEntry: false });
  return there ? `${there.ino} ${there.mtimeNs} ${there.size}` : '';
}

/**
 * Writes a file whole or not at all.
 * @param write makes it under another name
 * @param version of the file that may be replaced. Default: any
 * @returns false when there is another one by now, which stays
 * @throws the system's error
 */
export function putInPlace(out: string, write: (partial: string) => void, version?: string): boolean {
  const target = targetOf(out);
  const partial = `${target}.${process.pid}.part`;
  try {
    write(partial);
    // Weights may be readable by their owner only; the copy is the user's, synced before it takes the name.
    const file = openSync(partial, 'r+');
    fsyncSync(file);
    closeSync(file);
    const there = versionOf(target);
    const isTaken = version !== undefined && !['', version].includes(there);
    const taking = version !== undefined && there === '' ? takeName(partial, target) : undefined;
    if (isTaken || taking) removeQuietly(partial);
    else renameSync(partial, target);
    return !isTaken && taking !== 'lost';
  } catch (error) {
    removeQuietly(partial);
    throw namingFile(error, partial, out);
  }
}

/** The error with the file that the user knows; Node names none where a write fails. */
function namingFile(error: unknown, partial: string, out: string): unknown {
  const { syscall, path = partial } = error as NodeJS.ErrnoException;
  return syscall !== undefined && path === partial ? Object.assign(error as Error, { path: out }) : error;
}

/** Takes a name that nobody has, which only one process can. Undefined: it cannot be taken so, on a file system without links. */
function takeName(partial: string, target: string): 'taken' | 'lost' | undefined {
  try {
    linkSync(partial, target);
    return 'taken';
  } catch (error) {
    // A symbolic link that leads nowhere is replaced.
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST' && versionOf(target) !== '';
    return isThere ? 'lost' : undefined;
  }
}

/** Writes a file whole or not at all: a full disk leaves nothing, or what was there. @throws the system's error */
export const writeFile = (content: Uint8Array | string, out: string, mode = 0o666): void =>
  void putInPlace(out, (partial) => writeFileSync(partial, content, { flag: 'wx', mode }));

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
