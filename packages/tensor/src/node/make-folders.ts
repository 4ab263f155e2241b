/** Folders below one another. Node's own recursive mkdir never returns where the system answers ENOENT for a parent that exists, as in /proc. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes what is missing of a path.
 * @param mode permissions of folders that are made, less the umask. Default 0o777.
 * @returns the first folder that was made, if any
 * @throws the system's error
 */
export function makeFolders(path: string, mode = 0o777): string | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const parent = dirname(path);
  const isThere = parent === path || statSync(parent, { throwIfNoEntry: false }) !== undefined;
  const first = isThere ? undefined : makeFolders(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Another process was faster.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
    return first;
  }
  return first ?? path;
}
