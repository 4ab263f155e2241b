/** What SQLite and the file system say of a state directory, in sentences that tell what to do. */
import { accessSync, constants, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { fileSizeLimit } from '@kasane/tensor/internal/node/file-size-limit';
import { meaningOf, type SystemCode, systemWords } from '@kasane/tensor/internal/node/system-errors';
import type { StatePlace } from './state-place.ts';

/** Primary result codes (https://sqlite.org/rescode.html); extended codes have them in their low byte. */
export const SQLITE = {
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  NOTADB: 26,
} as const;

/** What SQLite gives its shared memory at once. */
const SHARED_BYTES = 32 << 10;

/** SQLite's primary result code; undefined for an error that is not its. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/** What to do about a damaged database. */
export const RESTORE =
  'restore the state directory from a backup (`kasane backup` makes them), or move it away to start fresh';

const systemCodes: Readonly<Record<number, SystemCode>> = {
  [SQLITE.PERM]: 'EACCES',
  [SQLITE.READONLY]: 'EROFS',
  [SQLITE.FULL]: 'ENOSPC',
  // A file that is there and cannot be opened; SQLite does not say why.
  [SQLITE.CANTOPEN]: 'EACCES',
};

/** SQLite does not say that a file became too large: where files may not be larger than this, that is what happened. */
const SMALL_LIMIT = 64 << 20;

const ofDisk = (limit = fileSizeLimit()): SystemCode =>
  limit !== undefined && limit < SMALL_LIMIT ? 'EFBIG' : 'EIO';

/** What the system would say, where SQLite's refusal is the disk's. @param code a primary result code */
export const systemCodeOfSqlite = (code: number): SystemCode | undefined =>
  code === SQLITE.IOERR ? ofDisk() : systemCodes[code];

/** Why the file system refused something, without its error number. */
export const whyOf = (error: unknown): string => systemWords(error) ?? messageOf(error);

/** For whoever has chosen the state directory in another way than with --state. */
export class StateUnusable extends KasaneError {
  /** The path that could not be used, and why. */
  readonly what: string;

  constructor(path: string, why: string) {
    const what = `${path}: ${why}`;
    super(
      'STATE_UNUSABLE',
      `the state directory cannot be used: ${what}; fix this, or choose another directory with --state`,
    );
    this.what = what;
  }
}

/** @param path that could not be used */
export const unusable = (path: string, why: string): KasaneError => new StateUnusable(path, why);

/** An error of opening `path` in a state directory, as users should read it. */
export function stateError(error: unknown, path: string): Error {
  if (error instanceof KasaneError) return error;
  switch (sqliteCode(error)) {
    case SQLITE.CORRUPT:
      return damaged(path, 'it is damaged');
    case SQLITE.NOTADB:
      return damaged(path, 'it is not an SQLite database');
    case SQLITE.READONLY:
    case SQLITE.PERM:
      return unusable(path, whyUnwritable(path));
    case SQLITE.CANTOPEN:
      return unusable(path, 'it cannot be opened');
    case SQLITE.FULL:
      return unusable(path, meaningOf('ENOSPC').words);
    case SQLITE.IOERR:
      return unusable(path, meaningOf(isFull(path) ? 'ENOSPC' : ofDisk()).words);
    case SQLITE.BUSY:
    case SQLITE.LOCKED:
      return new KasaneError(
        'STATE_IN_USE',
        `${path} is locked by another process; stop the program that has it open, and try again`,
        { cause: error },
      );
  }
  return (error as NodeJS.ErrnoException).code ? unusable(path, whyOf(error)) : (error as Error);
}

/** SQLite says that it may not write, and not why: the system does, of the file or of its folder, where SQLite keeps its log. */
function whyUnwritable(path: string): string {
  try {
    for (const each of [path, dirname(path)]) accessSync(each, constants.W_OK);
  } catch (error) {
    return whyOf(error);
  }
  return 'it cannot be written to';
}

/** SQLite reports memory that it shares by a file as an error of the disk where there is no room for that file. */
function isFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < SHARED_BYTES;
  } catch {
    return false;
  }
}

/** A file that cannot be read is not lost where the whole state directory is away. @throws KasaneError STATE_UNUSABLE */
export async function requireInPlace(place: Pick<StatePlace, 'require'>): Promise<void> {
  await place.require().catch((cause: unknown) => {
    throw new KasaneError('STATE_UNUSABLE', messageOf(cause), { cause });
  });
}

/** @param why a clause */
export function damaged(path: string, why: string): KasaneError {
  return new KasaneError('FILE_DAMAGED', `${path}: ${why}; ${RESTORE}`);
}
