/**
 * The log of refused calls: each once, with caller and reason. Repetitions are counted instead of logged, so that nobody can fill the
 * disk from outside.
 */
import type { Logger } from 'pino';
import { keepNewest } from '../newest.ts';

/** The same refusal is logged again after this long, with the number of repetitions; and the number of refusals told apart. */
const QUIET_MS = 60_000;
const KINDS = 1000;
/** Total number of lines in that time: there are many addresses. */
const LINES = 300;

export class RefusalLog {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #seen = new Map<string, { at: number; more: number }>();
  #since = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #unwritten = 0;

  constructor(log: Pick<Logger, 'warn'>) {
    this.#log = log;
  }

  /** @param peer the caller's address without its port @param what was called, such as the path of a method */
  refused(peer: string, what: string, why: string, now = performance.now()): void {
    const kind = `${peer}\n${what}\n${why}`;
    const seen = this.#seen.get(kind);
    if (seen && now - seen.at < QUIET_MS) {
      seen.more++;
      return;
    }
    if (now - this.#since >= QUIET_MS) {
      if (this.#unwritten > 0) this.#log.warn(`${this.#unwritten} other refusals were not logged`);
      this.#since = now;
      this.#lines = 0;
      this.#unwritten = 0;
    }
    if (++this.#lines > LINES) {
      if (this.#lines === LINES + 1)
        this.#log.warn(`more than ${LINES} refusals per minute: further ones are only counted`);
      this.#unwritten++;
      return;
    }
    keepNewest(this.#seen, kind, { at: now, more: 0 }, KINDS);
    const again = seen && seen.more > 0 ? ` (and ${seen.more} times before this)` : '';
    this.#log.warn({ peer }, `refused ${what}: ${why}${again}`);
  }
}
