/**
 * The limit on the size of files, before it is reached: the database tells it as an error of the disk, and waiting for the disk would not
 * help.
 */
import { KasaneError } from '@kasane/protocol/errors';
import { fileSizeLimit } from '@kasane/tensor/internal/node/file-size-limit';

/** What the database of a cluster takes, its log included. */
const LEAST_MIB = 16;

/** @throws KasaneError CANNOT_WRITE */
export function requireFileSize(limit = fileSizeLimit()): void {
  if (limit === undefined || limit >= LEAST_MIB << 20) return;
  throw new KasaneError(
    'CANNOT_WRITE',
    `the limit of ${Math.floor(limit / 1024)} KiB on the size of a file is too low: the database of a cluster needs ${LEAST_MIB} MiB; raise it (ulimit -f unlimited)`,
  );
}
