/** A disk that is full, or fails for a while, is waited for: what a training has reached is not given up over it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@kasane/protocol/errors';
import type { Logger } from 'pino';

/** Milliseconds between two tries. */
const RETRY_MS = 1_000;

const systemCodes = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENFILE']);
/** SQLITE_IOERR, SQLITE_FULL and SQLITE_CANTOPEN (https://sqlite.org/rescode.html); extended codes have them in their low byte. */
const sqliteCodes = new Set([10, 13, 14]);

/** Whether an error is the disk's: it may go away by itself, or with an operator's help. */
export function isDiskError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (typeof errcode === 'number') return sqliteCodes.has(errcode & 0xff);
  return typeof code === 'string' && systemCodes.has(code);
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
    for (;;) {
      try {
        const written = await write();
        this.#wait('');
        return written;
      } catch (error) {
        if (!isDiskError(error)) throw error;
        this.#wait(`${what} could not be written: ${messageOf(error)}; make room on the coordinator's disk`);
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
