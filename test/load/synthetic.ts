/**
 * Slots that answer at once without computing: everything of a worker is real but its arithmetic. What they answer is decided by
 * the samples of a task alone, as in a computation, so that a job has the same digest whoever answers which of its tasks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import type { ComputeSession, ComputeSlot, ComputeSlots } from '@kasane/worker/internal/compute-slots';
import type { RunOutcome, SlotInputs } from '@kasane/worker/internal/slot';

/** Floats of a model above which all slots of a process share one gradient, which is then the same for every task. */
const SHARED_FLOATS = 4 << 20;
/** Loss of each sample. */
const LOSS = 0.5;

interface SyntheticSession extends ComputeSession {
  /** What a task's gradient is a multiple of. */
  readonly pattern: Float32Array;
  readonly gradients: Float32Array;
  /** Indices of all parameters. */
  readonly everything: readonly number[];
}

/** By length: what is written and never read, and what gradients are made from. */
const nowhere = new Map<number, Float32Array>();
const patterns = new Map<number, Float32Array>();

const once = (made: Map<number, Float32Array>, floats: number, make: () => Float32Array) => {
  const known = made.get(floats) ?? make();
  made.set(floats, known);
  return known;
};

/** Small numbers of either sign, none of them a sum of powers of two: the order in which they are added shows. */
const pattern = (floats: number) =>
  new Float32Array(floats).map((_, index) => (((index * 40_503) % 1_009) / 1_009 - 0.5) * 1e-3);

class SyntheticSlot implements ComputeSlot {
  readonly ready = Promise.resolve();
  readonly kernel = 'synthetic';
  readonly #pauseMs: number;

  constructor(pauseMs: number) {
    this.#pauseMs = pauseMs;
  }

  async open(description: ModelDescription): Promise<SyntheticSession> {
    const { parameterCount: floats, parameters } = buildModel(description);
    const base = once(patterns, floats, () => pattern(floats));
    return {
      holds: undefined,
      pattern: base,
      gradients: floats > SHARED_FLOATS ? base : new Float32Array(floats),
      everything: parameters.map((_, index) => index),
    };
  }

  close(): void {}

  async run(
    { pattern, gradients, everything }: SyntheticSession,
    { mode, samples }: ProgramRequest,
    { ids, key }: SlotInputs,
    onReady: (ready: readonly number[]) => void,
  ): Promise<RunOutcome> {
    if (this.#pauseMs > 0) await sleep(this.#pauseMs);
    if (mode === 'train') {
      if (gradients !== pattern) {
        // Knuth's multiplicative hash of the first sample and the epoch.
        const scale = ((Math.imul(ids[0]! + 1, 2_654_435_761) ^ key[2]!) >>> 0) / 2 ** 32 - 0.5;
        for (let i = 0; i < gradients.length; i++) gradients[i] = scale * pattern[i]!;
      }
      onReady(everything);
    }
    return {
      lossSum: LOSS * samples,
      metricSum: 0,
      counted: samples,
      weight: samples,
      computeMs: this.#pauseMs,
    };
  }

  arrived(): void {}

  abandon(): void {}

  parameters({ pattern }: SyntheticSession): Float32Array {
    return once(nowhere, pattern.length, () => new Float32Array(pattern.length));
  }

  gradients({ gradients }: SyntheticSession): Float32Array {
    return gradients;
  }
}

/** One such slot. */
export class SyntheticSlots implements ComputeSlots {
  readonly size = 1;
  readonly all: readonly SyntheticSlot[];
  readonly #waiting: ((slot: ComputeSlot) => void)[] = [];
  #busy = false;

  /** @param pauseMs that it waits before each answer, as one that computes would */
  constructor(pauseMs = 0) {
    this.all = [new SyntheticSlot(pauseMs)];
  }

  get busy(): number {
    return this.#busy ? 1 : 0;
  }

  async acquire(): Promise<ComputeSlot> {
    if (this.#busy) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#busy = true;
    return this.all[0]!;
  }

  release(slot: ComputeSlot): void {
    const next = this.#waiting.shift();
    if (next) next(slot);
    else this.#busy = false;
  }

  async close(): Promise<void> {}
}
