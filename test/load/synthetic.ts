/**
 * Slots that answer at once without computing: everything of a worker is real but its arithmetic. What they answer is decided by
 * the samples of a task alone, as in a computation, so that a job has the same digest whoever answers which of its tasks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { exchangedParameters, floatsOf } from '@kasane/protocol/internal/job/job-exchange';
import type { MathMode } from '@kasane/tensor/backends/backend';
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import { sizeOf } from '@kasane/tensor/shape';
import type { ProgramRequest } from '@kasane/tensor/training';
import type {
  ComputeSession,
  ComputeSlot,
  ComputeSlots,
  SessionOptions,
} from '@kasane/worker/internal/slots/compute-slots';
import type { ShardSum } from '@kasane/worker/internal/slots/gradient-sums';
import {
  Abandoned,
  type Arrival,
  type Piece,
  type PieceOutcome,
  type RunOptions,
  type RunOutcome,
  type SlotInputs,
} from '@kasane/worker/internal/slots/slot';

/** Floats of a model above which all slots of a process share one gradient, which is then the same for every task. */
const SHARED_FLOATS = 4 << 20;
/** Part of a computation that is its forward pass, and stages in which the gradients of the other part become final. */
const FORWARD = 1 / 3;
const STAGES = 8;
/** Loss of each sample. */
const LOSS = 0.5;

interface SyntheticSession extends ComputeSession {
  /** What a task's gradient is a multiple of. */
  readonly pattern: Float32Array;
  readonly gradients: Float32Array;
  /** Sums of earlier shards of a task. */
  readonly kept: Float32Array[];
  /** Scores of a sample. */
  readonly outputs: number;
  /** Floats of what is exchanged after a round. */
  readonly exchanged: number;
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
  readonly #isGradual: boolean;
  /** What has come of the version that it computes with, and who waits for the rest. */
  #arrival: Arrival | undefined;
  #onArrival: () => void = () => {};

  constructor(pauseMs: number, isGradual: boolean) {
    this.#pauseMs = pauseMs;
    this.#isGradual = isGradual;
  }

  async open(
    description: ModelDescription,
    _requests: readonly ProgramRequest[],
    _math: MathMode,
    { local }: SessionOptions = {},
  ): Promise<SyntheticSession> {
    const model = buildModel(description);
    const { parameterCount: floats, parameters } = model;
    const base = once(patterns, floats, () => pattern(floats));
    return {
      holds: undefined,
      pattern: base,
      gradients: floats > SHARED_FLOATS ? base : new Float32Array(floats),
      kept: [],
      outputs: sizeOf(model.outputShape),
      exchanged: local
        ? floatsOf(exchangedParameters(model, local.keepsState ? local.optimizer : undefined))
        : 0,
      everything: parameters.map((_, index) => index),
    };
  }

  close(): void {}

  async run(
    session: SyntheticSession,
    pieces: readonly Piece[],
    inputs: SlotInputs,
    onReady: (ready: readonly number[]) => void,
    { arrival }: RunOptions = {},
  ): Promise<RunOutcome> {
    const outcomes: PieceOutcome[] = [];
    for (const [index, piece] of pieces.entries()) {
      const ready = index === pieces.length - 1 ? onReady : () => {};
      outcomes.push(await this.#piece(session, piece, inputs, ready, arrival));
    }
    const { mode, samples } = pieces.at(-1)!.request;
    return {
      pieces: outcomes,
      computeMs: this.#pauseMs * pieces.length,
      ...(mode === 'evaluate' && { scores: new Float32Array(samples * session.outputs) }),
    };
  }

  async #piece(
    { pattern, gradients, kept, everything }: SyntheticSession,
    { request: { mode, samples }, start, shard }: Piece,
    { ids, key, target }: SlotInputs,
    onReady: (ready: readonly number[]) => void,
    arrival: Arrival | undefined,
  ): Promise<PieceOutcome> {
    const isGradual = this.#isGradual && mode === 'train';
    if (isGradual) await this.#forward(pattern.length, arrival);
    else if (this.#pauseMs > 0) await sleep(this.#pauseMs);
    if (mode === 'train') {
      if (gradients !== pattern) {
        // Knuth's multiplicative hash of the first sample and the epoch.
        const scale = ((Math.imul(ids[start]! + 1, 2_654_435_761) ^ key[2]!) >>> 0) / 2 ** 32 - 0.5;
        for (let i = 0; i < gradients.length; i++) gradients[i] = scale * pattern[i]!;
        if (shard) addShard(kept, gradients, shard);
      }
      if (isGradual) await this.#backward(everything, onReady);
      else onReady(everything);
    }
    return {
      lossSum: LOSS * samples,
      // Its scores are all 0: it takes everything for the first class.
      metricSum: mode === 'evaluate' ? target.filter((label) => label === 0).length : 0,
      counted: samples,
      weight: samples,
    };
  }

  /** A third of the time, and until all parameters are there. */
  async #forward(floats: number, arrival: Arrival | undefined): Promise<void> {
    this.#arrival = arrival;
    await sleep(this.#pauseMs * FORWARD);
    while (this.#arrival && this.#arrival.floats < floats) {
      await new Promise<void>((resolve) => {
        this.#onArrival = resolve;
      });
      if (this.#arrival.version !== arrival!.version) throw new Abandoned();
    }
  }

  /** The rest of it: gradients become final from the last parameter to the first. */
  async #backward(everything: readonly number[], onReady: (ready: readonly number[]) => void): Promise<void> {
    const count = Math.ceil(everything.length / STAGES);
    for (let end = everything.length; end > 0; end -= count) {
      const ready = everything.slice(Math.max(0, end - count), end);
      await sleep((this.#pauseMs * (1 - FORWARD) * ready.length) / everything.length);
      onReady(ready);
    }
  }

  /** What a round begins with stands for what it has changed. */
  async update(): Promise<void> {}

  exchanged({ exchanged }: SyntheticSession): Float32Array {
    return once(nowhere, exchanged, () => new Float32Array(exchanged));
  }

  arrived(_session: ComputeSession, arrival: Arrival): void {
    if (!this.#arrival) return;
    this.#arrival = arrival;
    this.#onArrival();
  }

  abandon(): void {}

  parameters({ pattern }: SyntheticSession): Float32Array {
    return once(nowhere, pattern.length, () => new Float32Array(pattern.length));
  }

  gradients({ gradients }: SyntheticSession): Float32Array {
    return gradients;
  }
}

/** As a slot adds the shards of a task. */
function addShard(sums: Float32Array[], gradients: Float32Array, { kept, added, isKept }: ShardSum): void {
  for (let index = kept - 1; index >= kept - added; index--)
    for (let i = 0; i < gradients.length; i++) gradients[i] = sums[index]![i]! + gradients[i]!;
  if (isKept) sums[kept - added] = gradients.slice();
}

/** One such slot. */
export class SyntheticSlots implements ComputeSlots {
  readonly size = 1;
  readonly all: readonly SyntheticSlot[];
  readonly #waiting: ((slot: ComputeSlot) => void)[] = [];
  #busy = false;

  /**
   * @param pauseMs that it waits before each answer, as one that computes would
   * @param isGradual it waits for the parameters, too, and gradients become final layer after layer
   */
  constructor(pauseMs = 0, isGradual = false) {
    this.all = [new SyntheticSlot(pauseMs, isGradual)];
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
