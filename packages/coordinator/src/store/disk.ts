/**
 * A disk that is full, fails or is away for a while is waited for, and so is a database that another program holds locked: what a training
 * has reached is not given up over it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@kasane/protocol/errors';
import { meaningOf, type SystemCode, systemCodeOf } from '@kasane/tensor/node/system-errors';
import type { Logger } from 'pino';
import { SQLITE, sqliteCode, systemCodeOfSqlite } from './state-errors.ts';
import { StateAway } from './state-place.ts';

/** Milliseconds between two tries. */
const RETRY_MS = 1_000;

/** What the system says of a disk that may come back, and what an operator can do about it there. */
const todos: Partial<Record<SystemCode, string>> = {
  ENOSPC: "free up space on the coordinator's disk",
  EDQUOT: "free up space on the coordinator's disk",
  EIO: "check the coordinator's disk",
  EROFS: "remount the coordinator's disk as writable",
  ESTALE: "remount the coordinator's disk",
  ENODEV: "remount the coordinator's disk",
  ENXIO: "remount the coordinator's disk",
  ETIMEDOUT: "check the coordinator's disk",
  EBUSY: "check the coordinator's disk",
  ENOENT: 'restore what was removed from the state directory',
  ENOTDIR: 'restore what was removed from the state directory',
  EACCES: 'give the user that runs the coordinator write permission',
  EPERM: 'give the user that runs the coordinator write permission',
  EMFILE: 'raise the limit (ulimit -n)',
  ENFILE: 'close some programs',
};
const lockedCodes = new Set<number>([SQLITE.BUSY, SQLITE.LOCKED]);

/** Whether an error is the disk's: it may go away by itself, or with an operator's help. */
export function isDiskError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof StateAway || isLock(error)) return true;
  const code = codeOf(error);
  return code !== undefined && todos[code] !== undefined;
}

/** SQLite's errors are the system's, in its own words. */
function codeOf(error: Error): SystemCode | undefined {
  const sqlite = sqliteCode(error);
  return sqlite === undefined ? systemCodeOf(error) : systemCodeOfSqlite(sqlite);
}

/** Whether it is another program that has the database locked. */
export const isLock = (error: unknown): boolean => lockedCodes.has(sqliteCode(error) ?? -1);

/** 12:03:05, by this machine's clock. */
export const clockTime = (at = new Date()): string =>
  [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');

/** Why something could not be written, and what helps. @param since when it was tried first */
export function whyNotWritten(what: string, error: unknown, since: string): string {
  const not = `${what} could not be written`;
  if (isLock(error))
    return `${not}: another program has kept the database locked since ${since}; stop it, or wait until it is done`;
  const code = error instanceof Error ? codeOf(error) : undefined;
  const todo = code && todos[code];
  return `${not}: ${todo ? `${meaningOf(code).words}; ${todo}` : messageOf(error)}`;
}

/** What is written by one who may be told to stop. */
export class PatientDisk {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #onChange: () => void;
  #stopped: Error | undefined;
  #why = '';

  /** @param onChange called when `why` has changed */
  constructor(log: Pick<Logger, 'warn'>, onChange: () => void = () => {}) {
    this.#log = log;
    this.#onChange = onChange;
  }

  /** What is waited for, as a sentence; empty when nothing is. */
  get why(): string {
    return this.#why;
  }

  /** Nothing is waited for any longer: `written` rejects with this once the disk refuses. */
  stop(reason: Error): void {
    this.#stopped = reason;
  }

  /** Writes, again and again while the disk refuses. Rejects with whatever else `write` does. */
  async written<T>(what: string, write: () => T | Promise<T>): Promise<T> {
    let since = '';
    for (;;) {
      try {
        const written = await write();
        this.#wait('');
        return written;
      } catch (error) {
        if (!isDiskError(error)) throw error;
        since ||= clockTime();
        this.#wait(whyNotWritten(what, error, since));
      }
      if (!this.#stopped) await sleep(RETRY_MS);
      if (this.#stopped) throw this.#stopped;
    }
  }

  #wait(why: string): void {
    if (why === this.#why) return;
    if (why) this.#log.warn(`${why}; retrying until it succeeds`);
    this.#why = why;
    this.#onChange();
  }
}
