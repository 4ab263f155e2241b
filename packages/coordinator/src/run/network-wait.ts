/** Whether a run waits more for its network than it computes. Reads the clock; nothing here reaches weights. */
import type { Answer } from './answers.ts';

/** It is judged over so many milliseconds of steps, and so many steps, at least. */
const JUDGED_MS = 20_000;
const JUDGED_STEPS = 5;
/** What is not computation is the network's where a step has so much of it, in milliseconds: less is the work of coordinating. */
const LEAST_MS = 20;

/** Times of a step, in milliseconds. */
interface StepTimes {
  /** From the publishing of its version to that of the next. */
  readonly stepMs: number;
  readonly answers: readonly Pick<Answer, 'worker' | 'computeMs' | 'samplesMs'>[];
}

export class NetworkWait {
  #steps = 0;
  #stepMs = 0;
  #waitMs = 0;
  #isTold = false;

  /** A step is done whose gradients crossed a network. @returns the part of the time that was waited, to be told once */
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
