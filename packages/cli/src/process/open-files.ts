/**
 * The limit on open files, before it is reached: what fails then is a library in the middle of something else, which says so in its own
 * words or not at all.
 */
import { readFileSync } from 'node:fs';
import { KasaneError } from '@kasane/protocol/errors';
import { count } from '../render/count.ts';

/** What a coordinator and its Redis open, with room for what is open for a moment only; */
const OWN = 54;
/** and for each worker: a process here, with its pipes and connections. */
const PER_WORKER = 5;

/** How many files this process may open; undefined where the system does not say so in a file. */
function openFilesLimit(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** @param workers that this process starts. @throws KasaneError OPEN_FILES */
export function requireOpenFiles(workers: number, limit = openFilesLimit()): void {
  const least = OWN + PER_WORKER * workers;
  if (limit === undefined || limit >= least) return;
  const what = workers === 0 ? 'a coordinator' : `a cluster with ${count(workers, 'worker')}`;
  throw new KasaneError(
    'OPEN_FILES',
    `the limit of ${limit} open files is too low: ${what} needs ${least}; raise it (ulimit -n 1024)`,
  );
}
