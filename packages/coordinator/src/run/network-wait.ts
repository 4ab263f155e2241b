/** Detects runs that spend more time waiting for the network than computing. Reads the clock, but nothing here affects weights. */
import type { Answer } from './answers.ts';

/** Judged over at least this many milliseconds, and this many steps. */
const JUDGED_MS = 20_000;
const JUDGED_STEPS = 5;
/** Time per step that is not computation before the network is blamed, in milliseconds: less is the overhead of coordination. */
const LEAST_MS = 20;

/** Times of a step, in milliseconds. */
interface StepTimes {
  /** From publishing its version to publishing the next. */
  readonly stepMs: number;
  readonly answers: readonly Pick<Answer, 'worker' | 'computeMs' | 'samplesMs'>[];
}

export class NetworkWait {
  #steps = 0;
  #stepMs = 0;
  #waitMs = 0;
  #isTold = false;

  /** Call after each step whose gradients crossed a network. @returns the fraction of time spent waiting, to be reported once */
  step({ stepMs, answers }: StepTimes): number | undefined {
    if (this.#isTold) return undefined;
    const computed = new Map<string, number>();
    for (const { worker, computeMs } of answers)
      computed.set(worker, (computed.get(worker) ?? 0) + computeMs);
    const samplesMs = Math.max(...answers.map((answer) => answer.samplesMs));
    const waitMs = stepMs - Math.max(...computed.values()) - samplesMs;
    this.#steps++;
    this.#stepMs += stepMs;
    if (waitMs >= LEAST_MS) this.#waitMs += waitMs;
    if (this.#stepMs < JUDGED_MS || this.#steps < JUDGED_STEPS) return undefined;
    const part = this.#waitMs / this.#stepMs;
    [this.#steps, this.#stepMs, this.#waitMs] = [0, 0, 0];
    if (part <= 0.5) return undefined;
    this.#isTold = true;
    return part;
  }
}
