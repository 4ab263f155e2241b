/**
 * A disk that is full, fails or is away for a while is waited for, and so is a database that another program holds locked: what a training
 * has reached is not given up over it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type About,
  at,
  type DiskCause,
  diskCauses,
  isSameReason,
  type Reason,
  sentenceOf,
  type Written,
} from '@kasane/protocol/reasons';
import { type SystemCode, systemCodeOf } from '@kasane/tensor/internal/node/system-errors';
import type { Logger } from 'pino';
import { SQLITE, sqliteCode, systemCodeOfSqlite } from './state-errors.ts';
import { type AwayReason, StateAway } from './state-place.ts';

/** Milliseconds between two tries. */
const RETRY_MS = 1_000;
/** A write that takes longer, in milliseconds, is told of: a disk may hang without refusing anything. */
const SILENT_MS = 10_000;

const lockedCodes = new Set<number>([SQLITE.BUSY, SQLITE.LOCKED]);

/** Why a disk refuses, where it may take it back by itself, or with an operator's help. */
export type DiskReason = Reason<'disk' | 'database-locked'> | AwayReason;

/** Why the disk refused; undefined for an error that is not the disk's. @param since when it was tried first */
export function diskReason(error: unknown, since: string): DiskReason | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof StateAway) return error.reason;
  if (isLock(error)) return { code: 'database-locked', args: { since } };
  const cause = codeOf(error);
  return cause !== undefined && isDiskCause(cause) ? { code: 'disk', args: { cause } } : undefined;
}

/** Whether an error is the disk's. */
export const isDiskError = (error: unknown): boolean => diskReason(error, '') !== undefined;

const isDiskCause = (code: SystemCode): code is DiskCause =>
  (diskCauses as ReadonlySet<SystemCode>).has(code);

/** SQLite's errors are the system's, in its own words. A file of ours that is too large will not become smaller: nothing waits for that. */
function codeOf(error: Error): SystemCode | undefined {
  const sqlite = sqliteCode(error);
  if (sqlite !== undefined) return systemCodeOfSqlite(sqlite);
  const code = systemCodeOf(error);
  return code === 'EFBIG' ? undefined : code;
}

/** Whether it is another program that has the database locked. */
export const isLock = (error: unknown): boolean => lockedCodes.has(sqliteCode(error) ?? -1);

/** 12:03:05, by this machine's clock. */
export const clockTime = (at = new Date()): string =>
  [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');

/** What is written by one who may be told to stop. */
export class RetryingDisk {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #onChange: () => void;
  #stopped: Error | undefined;
  #why: Reason | undefined;

  /** @param onChange called when `why` has changed */
  constructor(log: Pick<Logger, 'warn'>, onChange: () => void = () => {}) {
    this.#log = log;
    this.#onChange = onChange;
  }

  /** What is waited for; undefined when nothing is. */
  get why(): Reason | undefined {
    return this.#why;
  }

  /** Nothing is waited for any longer: `write` rejects with this once the disk refuses. */
  stop(reason: Error): void {
    this.#stopped = reason;
  }

  /** Writes, again and again while the disk refuses. Rejects with whatever else `write` does. */
  async write<T>(what: Written, write: () => T | Promise<T>): Promise<T> {
    let since = '';
    for (;;) {
      try {
        const written = await this.hear((async () => write())(), 'of' in what ? { of: what.of } : {});
        this.#wait(undefined);
        return written;
      } catch (error) {
        since ||= clockTime();
        const why = diskReason(error, since);
        if (!why) throw error;
        this.#wait(at(why, what));
      }
      if (!this.#stopped) await sleep(RETRY_MS);
      if (this.#stopped) throw this.#stopped;
    }
  }

  /** Resolves or rejects as what is written does, and says so where that takes long. @param since when it began */
  async hear<T>(written: Promise<T>, about: About = {}, since = new Date()): Promise<T> {
    const late = setTimeout(() => {
      this.#wait(at({ code: 'disk-silent', args: { since: clockTime(since) } }, about));
    }, SILENT_MS);
    try {
      return await written;
    } finally {
      clearTimeout(late);
      if (this.#why?.code === 'disk-silent') this.#wait(undefined);
    }
  }

  #wait(why: Reason | undefined): void {
    if (isSameReason(why, this.#why)) return;
    const retries = why?.code === 'disk-silent' ? '' : '; retrying until it succeeds';
    if (why) this.#log.warn(why, `${sentenceOf(why)}${retries}`);
    this.#why = why;
    this.#onChange();
  }
}
