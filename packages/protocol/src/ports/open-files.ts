/** How many files and connections this process may have open. */
import { readFileSync } from 'node:fs';

/** What a coordinator and its Redis open, with room for what is open for a moment only. */
export const OWN_FILES = 54;
/** Connections that there is always room for. */
const LEAST = 8;

/** How many files this process may open; undefined where the system does not say so in a file. */
export function openFilesLimit(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/**
 * Connections that leave a process the files it needs: the system closes what comes beyond its limit without a word to anybody, and files
 * cannot be opened then, either.
 */
export const connectionsWithin = (openFiles: number): number =>
  Math.max(LEAST, Math.floor(0.75 * openFiles) - OWN_FILES);
