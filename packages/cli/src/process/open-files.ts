/**
 * The limit on open files, before it is reached: what fails then is a library in the middle of something else, which says so in its own
 * words or not at all.
 */
import { KasaneError } from '@kasane/protocol/errors';
import { OWN_FILES, openFilesLimit } from '@kasane/protocol/internal/ports/open-files';
import { count } from '../render/count.ts';

/** A worker is a process here, with its pipes and connections. */
const PER_WORKER = 5;

/** @param workers that this process starts. @throws KasaneError OPEN_FILES */
export function requireOpenFiles(workers: number, limit = openFilesLimit()): void {
  const least = OWN_FILES + PER_WORKER * workers;
  if (limit === undefined || limit >= least) return;
  const what = workers === 0 ? 'a coordinator' : `a cluster with ${count(workers, 'worker')}`;
  throw new KasaneError(
    'OPEN_FILES',
    `the limit of ${limit} open files is too low: ${what} needs ${least}; raise it (ulimit -n 1024)`,
  );
}
