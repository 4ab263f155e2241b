/**
 * Who writes to the state database. A disk may take seconds to sync, and other programs may hold the database locked: a coordinator has a
 * thread that waits for them, so that its event loop never does.
 */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { writeAll } from './state-database.ts';
import { type AwayReason, StateAway, type StatePlace } from './state-place.ts';

export interface Statement {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

/** Writes statements all or nothing. Rejects with SQLite's error where it refuses. */
export interface StateWriter {
  write(statements: readonly Statement[]): Promise<void>;
  /** Resolves when what was asked for before is written, or refused. */
  close(): Promise<void>;
}

export interface WriteRequest {
  readonly id: number;
  readonly statements: readonly Statement[];
}
/** Without an error it is written. */
export interface WriteResponse {
  readonly id: number;
  readonly error?: {
    readonly message: string;
    readonly errcode: number | undefined;
    readonly away: AwayReason | undefined;
  };
}

/** Writes before it returns. */
export const writesAtOnce = (database: DatabaseSync): StateWriter => ({
  write: async (statements) => writeAll(database, statements),
  close: async () => {},
});

/** Writes in a thread, one request after the other, and only while the database is where it was. */
export class ThreadWriter implements StateWriter {
  readonly #thread: Worker;
  readonly #ended: Promise<void>;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  #last = 0;
  #failure: Error | undefined;

  constructor({ opened }: StatePlace) {
    const file = import.meta.url.endsWith('.ts') ? './state-writer-thread.ts' : './state-writer-thread.js';
    this.#thread = new Worker(new URL(file, import.meta.url), {
      workerData: opened,
    });
    this.#thread.on('message', ({ id, error }: WriteResponse) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error?.away) waiting?.reject(new StateAway(error.away));
      else if (error) waiting?.reject(Object.assign(new Error(error.message), { errcode: error.errcode }));
      else waiting?.resolve();
    });
    this.#thread.on('error', (error) => this.#fail(error as Error));
    this.#ended = new Promise((resolve) => {
      this.#thread.once('exit', () => {
        this.#fail(new Error('the thread that writes the database has exited'));
        resolve();
      });
    });
  }

  write(statements: readonly Statement[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const id = ++this.#last;
      this.#waiting.set(id, { resolve, reject });
      this.#thread.postMessage({ id, statements } satisfies WriteRequest);
    });
  }

  close(): Promise<void> {
    if (!this.#failure) this.#thread.postMessage(undefined);
    return this.#ended;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
