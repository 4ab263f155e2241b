/** What SQLite and the file system say of a state directory, in sentences that tell what to do. */
import { KasaneError, messageOf } from '@kasane/protocol/errors';

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

/** SQLite's primary result code; undefined for an error that is not its. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/** What to do about a damaged database. */
export const RESTORE =
  'restore the state directory from a backup (`kasane backup` makes them), or move it away to start afresh';

const system: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of its path is a file',
  ENOENT: 'a part of its path does not exist',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ELOOP: 'its path is a loop of links',
  ENAMETOOLONG: 'its path is too long',
  EIO: 'the disk does not read or write',
};

/** Why the file system refused something, without its error number. */
export const whyOf = (error: unknown): string =>
  system[(error as NodeJS.ErrnoException).code ?? ''] ?? messageOf(error);

/** @param path that could not be used */
export function unusable(path: string, why: string): KasaneError {
  return new KasaneError(
    'STATE_UNUSABLE',
    `the state directory cannot be used: ${path}: ${why}; fix that, or name another directory with --state`,
  );
}

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
      return unusable(path, 'it cannot be written to');
    case SQLITE.CANTOPEN:
      return unusable(path, 'it cannot be opened');
    case SQLITE.FULL:
      return unusable(path, 'the disk is full');
    case SQLITE.IOERR:
      return unusable(path, 'the disk does not read or write');
    case SQLITE.BUSY:
    case SQLITE.LOCKED:
      return new KasaneError(
        'STATE_IN_USE',
        `${path} is locked by another process; end the program that has it open, and start again`,
        { cause: error },
      );
  }
  return (error as NodeJS.ErrnoException).code ? unusable(path, whyOf(error)) : (error as Error);
}

/** @param why a clause */
export function damaged(path: string, why: string): KasaneError {
  return new KasaneError('FILE_DAMAGED', `${path}: ${why}; ${RESTORE}`);
}
