/**
 * A disk that is full, or fails for a while, is waited for, and so is a database that another program holds locked: what a training has
 * reached is not given up over it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@kasane/protocol/errors';
import type { Logger } from 'pino';
import { SQLITE, sqliteCode } from './state-errors.ts';

/** Milliseconds between two tries. */
const RETRY_MS = 1_000;

const systemCodes = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENFILE']);
const { BUSY, LOCKED, IOERR, FULL, CANTOPEN, READONLY } = SQLITE;
const lockedCodes = new Set<number>([BUSY, LOCKED]);
const sqliteCodes = new Set<number>([...lockedCodes, IOERR, FULL, CANTOPEN, READONLY]);

/** Whether an error is the disk's: it may go away by itself, or with an operator's help. */
export function isDiskError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  const sqlite = sqliteCode(error);
  if (sqlite !== undefined) return sqliteCodes.has(sqlite);
  return typeof code === 'string' && systemCodes.has(code);
}

/** Whether it is another program that has the database locked. */
export const isLock = (error: unknown): boolean => lockedCodes.has(sqliteCode(error) ?? -1);

/** 12:03:05, by this machine's clock. */
export const clockTime = (at = new Date()): string =>
  [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');

/** Why something could not be written, and what helps. @param since when it was tried first */
export function whyNotWritten(what: string, error: unknown, since: string): string {
  const not = `${what} could not be written`;
  return isLock(error)
    ? `${not}: another program has had the database locked since ${since}; end it, or wait until it is done`
    : `${not}: ${messageOf(error)}; make room on the coordinator's disk`;
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
    if (why) this.#log.warn(`${why}; it is tried until it can be`);
    this.#why = why;
    this.#onChange();
  }
}
