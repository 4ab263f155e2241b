/** Folders below one another. Node's own recursive mkdir never returns where the system answers ENOENT for a parent that exists, as in /proc. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes what is missing of a path.
 * @param mode permissions of folders that are made, less the umask. Default 0o777.
 * @returns the first folder that was made, if any
 * @throws the system's error; ENOTDIR of the part of the path that is there and no folder
 */
export function makeFolders(path: string, mode = 0o777): string | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const parent = dirname(path);
  const isThere = parent === path || statSync(parent, { throwIfNoEntry: false }) !== undefined;
  const first = isThere ? undefined : makeFolders(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const there = statSync(path, { throwIfNoEntry: false });
    // Another process was faster.
    if (there?.isDirectory()) return first;
    // "It already exists" would be said of what is to be written in it.
    throw there ? noFolder(path) : error;
  }
  return first ?? path;
}

const noFolder = (path: string): Error =>
  Object.assign(new Error(`ENOTDIR: not a directory, mkdir '${path}'`), {
    ...{ code: 'ENOTDIR', syscall: 'mkdir', path },
  });
