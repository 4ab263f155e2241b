/** Which workers read a job's data themselves: while all do, no samples are sent. */
import { type Reason, sentenceOf } from '@kasane/protocol/reasons';
import type { Logger } from 'pino';
import type { WorkerRegistry } from '../workers.ts';
import type { WorkerLines } from './worker-lines.ts';

export type Route = 'auto' | 'direct' | 'staged';

export class DataRoutes {
  readonly #route: Route;
  readonly #workers: Pick<WorkerRegistry, 'all'>;
  readonly #log: Pick<Logger, 'info'>;
  readonly #lines: WorkerLines;
  readonly #able = new Set<string>();
  #last = false;

  constructor(
    route: Route,
    workers: Pick<WorkerRegistry, 'all'>,
    log: Pick<Logger, 'info'>,
    lines: WorkerLines,
  ) {
    this.#route = route;
    this.#workers = workers;
    this.#log = log;
    this.#lines = lines;
  }

  /** Whether every connected worker has reported that it reads the data. */
  get direct(): boolean {
    if (this.#route === 'staged') return false;
    const workers = this.#workers.all();
    const direct = workers.length > 0 && workers.every(({ id }) => this.#able.has(id));
    if (direct !== this.#last) {
      const now: Reason = { code: direct ? 'data-direct' : 'data-staged', args: {} };
      this.#log.info(now, sentenceOf(now));
      this.#last = direct;
    }
    return direct;
  }

  /** A worker has tried to open the data, or cannot read it any more. */
  reported(worker: string, able: boolean, why: string): void {
    if (able) {
      this.#able.add(worker);
      return;
    }
    this.#able.delete(worker);
    const level = this.#route === 'direct' ? 'warn' : 'info';
    const reason: Reason = { code: 'data-unreachable', args: { worker, why } };
    this.#lines.write(level, { worker, ...reason }, sentenceOf(reason));
  }

  left(worker: string): void {
    this.#able.delete(worker);
  }
}
