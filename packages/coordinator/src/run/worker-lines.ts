/**
 * Log lines about workers' messages. A worker can cause thousands of refusals a second: beyond a number of lines per minute, of one
 * worker and of all, they are only counted, so that nobody can fill the disk from outside.
 */
import { REMEMBERED_WORKERS } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import { keepNewest } from '../newest.ts';

const MINUTE_MS = 60_000;
const LINES_OF_ONE = 30;
const LINES = 300;

/** The worker and task that a line is about. */
export interface About {
  readonly worker: string;
  readonly [more: string]: unknown;
}

export class WorkerLines {
  readonly #log: Pick<Logger, 'info' | 'warn'>;
  readonly #written = new Map<string, number>();
  #since = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #unwritten = 0;

  constructor(log: Pick<Logger, 'info' | 'warn'>) {
    this.#log = log;
  }

  write(level: 'info' | 'warn', about: About, line: string, now = performance.now()): void {
    if (now - this.#since >= MINUTE_MS) {
      if (this.#unwritten > 0) this.#log.warn(`${this.#unwritten} other lines about workers were not logged`);
      this.#since = now;
      this.#lines = 0;
      this.#unwritten = 0;
      this.#written.clear();
    }
    const { worker } = about;
    const own = this.#written.get(worker) ?? 0;
    if (own >= LINES_OF_ONE || this.#lines >= LINES) {
      this.#unwritten++;
      return;
    }
    this.#lines++;
    keepNewest(this.#written, worker, own + 1, REMEMBERED_WORKERS);
    this.#log[level](about, line);
    if (own + 1 === LINES_OF_ONE)
      this.#log.warn(
        { worker },
        `more than ${LINES_OF_ONE} lines per minute about worker ${worker}: further ones are only counted`,
      );
  }
}
