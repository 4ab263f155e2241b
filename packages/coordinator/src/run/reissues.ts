/** Reports reissued tasks at most once a second, with their number and steps: a worker that comes and goes causes many per second. */
import type { JobEvent } from '@kasane/protocol/internal/events/events';
import type { Reason } from '@kasane/protocol/reasons';

const INTERVAL_MS = 1_000;

export class Reissues {
  readonly #record: (event: JobEvent) => void;
  #untold: { tasks: number; first: number; last: number; reason: Reason } | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(record: (event: JobEvent) => void) {
    this.#record = record;
  }

  /** @param step counted from 1 @param reason only the last of several is reported */
  add(step: number, tasks: number, reason: Reason, now: number): void {
    const { tasks: before = 0, first = step } = this.#untold ?? {};
    this.#untold = { tasks: before + tasks, first: Math.min(first, step), last: step, reason };
    this.tick(now);
  }

  /** Call periodically: reports what is due. */
  tick(now: number): void {
    if (now - this.#toldAt >= INTERVAL_MS) this.tell(now);
  }

  /** Reports everything that was not reported yet. */
  tell(now: number): void {
    if (!this.#untold) return;
    const { reason, ...args } = this.#untold;
    this.#untold = undefined;
    this.#toldAt = now;
    this.#record({ code: 'tasks-reissued', args, reason });
  }
}
