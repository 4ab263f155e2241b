/**
 * The parameter server: collects the gradients of a step, adds them along the tree of shards, updates the parameters,
 * and has the next version ready to publish. Arrival order decides nothing: an attempt fills a buffer of its own, and only
 * complete ones are added, by shard.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KasaneError } from '@kasane/protocol/errors';
import type { LayerSnapshot } from '@kasane/protocol/gen/kasane/v1/jobs';
import {
  exchangedOf,
  roundingOf,
  type ServerUpdate,
  serverUpdateOf,
} from '@kasane/protocol/internal/job/job-exchange';
import type { GradientHeader } from '@kasane/protocol/internal/wire/frame';
import type { Job } from '@kasane/protocol/job';
import { ARRIVING_BYTES } from '@kasane/protocol/limits';
import { learningRate } from '@kasane/tensor/optim/schedules';
import { AVERAGE, noSquares, type Updater } from '@kasane/tensor/optim/updater';
import { openUpdater } from '../backend.ts';
import { type Arrived, type Attempt, Attempts, type GradientSource, SPARE_BUFFERS } from './attempts.ts';
import type { Weights } from './checkpoint.ts';
import { type LayerChange, layerChanges, layerSnapshots } from './layer-stats.ts';

/** Floats that are added, updated and published at a time. */
const PART = ARRIVING_BYTES / 4;

/** The sum of one part over all shards. */
interface PartSum {
  /** Of which attempts, by shard. */
  readonly of: readonly Attempt[];
  readonly finite: boolean;
}

/** A gradient with numbers that are not finite, and the layer of the first of them. */
export interface NotFinite {
  readonly shard: number;
  readonly layer: string;
}

/** What a server of parameters knows of the steps to come. */
export interface StepSizes {
  readonly total: number;
  /** Number of shards of a step. */
  shardsOf(step: number): number;
}

/** Milliseconds that the parts of an update took. */
export interface UpdateTimes {
  readonly reduceMs: number;
  readonly applyMs: number;
}

export interface Update extends UpdateTimes {
  /** By layer, if it was asked for. */
  readonly changes?: readonly LayerChange[] | undefined;
}

export class ParameterServer implements Weights {
  readonly #job: Job;
  readonly #update: ServerUpdate;
  readonly #updater: Updater;
  readonly #steps: StepSizes;
  readonly #attempts: Attempts;
  /** The complete gradient of each shard that has answered. */
  readonly #complete = new Map<number, Attempt>();
  /** Of each part, once all shards have sent it: added while the rest is still computed. */
  readonly #sums: (PartSum | undefined)[];
  /** Floats whose sums others have made, by where they begin; and whether all of those are finite. */
  readonly #taken = new Map<number, number>();
  #takenFloats = 0;
  #areTakenFinite = true;
  /** What the sum is to be multiplied with. */
  #factor = 1;
  /** It has been, and clipped. */
  #isClipped = false;
  #version = 0;
  /** Shards of the step under way. */
  #shards = 0;
  #reduceMs = 0;
  #hasChanges = false;

  static async open(job: Job, steps: StepSizes): Promise<ParameterServer> {
    const update = serverUpdateOf(job.spec);
    const updater = await openUpdater(exchangedOf(job), update.optimizer, {
      average: update.averageDecay,
      rounding: roundingOf(job.spec),
    });
    return new ParameterServer(job, steps, update, updater);
  }

  private constructor(job: Job, steps: StepSizes, update: ServerUpdate, updater: Updater) {
    this.#job = job;
    this.#update = update;
    this.#steps = steps;
    this.#updater = updater;
    this.begin(0);
    const floats = updater.parameters.length;
    this.#sums = new Array(Math.ceil(floats / PART)).fill(undefined);
    const buffers = job.spec.training.shards + SPARE_BUFFERS;
    this.#attempts = new Attempts({ floats, partFloats: PART, buffers });
  }

  /** What is exchanged: the model's parameters, and behind them the state of its replicas' optimizers, where that is kept. */
  get parameters(): Float32Array {
    return this.#updater.parameters;
  }

  get state(): ReadonlyMap<string, Float32Array> {
    return this.#updater.state;
  }

  /** Begins anew, from these parameters of the model. Part by part: filling memory for the first time takes the system longest. */
  async reset(parameters: Float32Array): Promise<void> {
    const fill = (values: Float32Array, at: number, end: number, from: Float32Array | undefined) => {
      values.fill(0, at, end);
      if (from) values.set(from.subarray(at, end), at);
    };
    for (let at = 0; at < this.parameters.length; at += PART) {
      const end = Math.min(at + PART, this.parameters.length);
      for (const [name, values] of this.state)
        fill(values, at, end, name === AVERAGE ? parameters : undefined);
      fill(this.parameters, at, end, parameters);
      await nextTurn();
    }
  }

  /** Where the job rounds: what the present version adds to the one before; undefined: that is not known. */
  get changes(): Float32Array | undefined {
    return this.#hasChanges ? this.#updater.changes : undefined;
  }

  /** Number of updates in the parameters. */
  get version(): number {
    return this.#version;
  }

  /** Call after `parameters` and `state` have been filled: makes `version` the present one. */
  begin(version: number): void {
    this.#hasChanges = false;
    this.#version = version;
    this.#shards = this.#steps.shardsOf(version);
  }

  /**
   * Takes `floats` floats of a shard's gradient from one attempt. A place is read until the step ends.
   * @throws KasaneError PROTOCOL when the part does not fit the parameters, or what the attempt sent before
   */
  receive(
    worker: string,
    header: Omit<GradientHeader, 'kind'>,
    floats: number,
    source: GradientSource,
  ): void {
    if (header.step !== this.#version || this.#complete.has(header.shard)) return;
    this.check(header, floats);
    const end = header.offset + floats;
    const attempt = this.#attempts.take(worker, header, end, source);
    if (!attempt) return;
    for (let part = Math.floor(header.offset / PART); part * PART < end; part++) {
      // It was sent twice.
      if (this.#sums[part]?.of[header.shard] === attempt) this.#sums[part] = undefined;
      this.#sumEarly(part);
    }
  }

  /** @throws KasaneError PROTOCOL when part of a gradient, of so many floats, does not fit the parameters */
  check(header: Pick<GradientHeader, 'shard' | 'offset'>, floats: number): void {
    const end = header.offset + floats;
    if (
      !Number.isInteger(floats) ||
      floats < 1 ||
      end > this.parameters.length ||
      header.shard >= this.#job.spec.training.shards
    ) {
      throw new KasaneError(
        'PROTOCOL',
        `gradient of shard ${header.shard}, floats ${header.offset} to ${end}: the model has ${this.parameters.length} floats and ${this.#job.spec.training.shards} shards`,
      );
    }
  }

  /** The attempt says that its gradient is complete. When it is not, the attempt came to nothing. */
  complete(worker: string, shard: number, attempt: number): Arrived {
    if (this.#complete.has(shard)) return 'missing';
    const ended = this.#attempts.end(worker, shard, attempt);
    if (typeof ended === 'string') return ended;
    this.#complete.set(shard, ended);
    return 'whole';
  }

  /** Where gradients of this step lie that are still to be added. */
  get sources(): ReadonlySet<Attempt['gradient']> {
    return new Set([...this.#complete.values(), ...this.#attempts.all].map(({ gradient }) => gradient));
  }

  /** A worker is gone: gives back the buffers of its unfinished attempts. */
  drop(worker: string): void {
    this.#attempts.drop(worker);
  }

  /**
   * Adds the shards' gradients along their tree, what has not been added as it came; `commit` divides by the batch's samples. Every
   * shard from 0 to `shards` - 1 must be complete.
   * Returns what is no finite number, by shard; a sum that overflows although its parts do not is laid to the last shard.
   * Nothing: `commit` may follow.
   */
  reduce(shards: number, samples: number): NotFinite[] {
    const started = performance.now();
    const order = Array.from({ length: shards }, (_, shard) => {
      const attempt = this.#complete.get(shard);
      if (!attempt) throw new Error(`step ${this.#version}: shard ${shard} is not complete`);
      return attempt;
    });
    for (const [part, known] of this.#sums.entries()) {
      const isOfThese = known?.of.length === shards && order.every((one, shard) => one === known.of[shard]);
      if (!isOfThese) this.#sum(part, order);
    }
    this.#factor = Math.fround(1 / samples);
    this.#reduceMs = performance.now() - started;
    if (this.#sums.every((sum) => sum!.finite)) return [];
    const found = order.flatMap((attempt, shard) => {
      const layer = this.#layerNotFinite(this.#gradientOf(attempt));
      return layer === undefined ? [] : [{ shard, layer }];
    });
    const layer = this.#layerNotFinite(this.#updater.gradient) ?? '';
    return found.length > 0 ? found : [{ shard: shards - 1, layer }];
  }

  /** Takes the sum of the floats from `start` on over all shards of the step, which somebody else has made: once. */
  takeSum(start: number, sum: Float32Array): void {
    if (this.#taken.has(start)) return;
    this.#taken.set(start, start + sum.length);
    this.#takenFloats += sum.length;
    const began = performance.now();
    if (!this.#updater.sum([sum], start)) this.#areTakenFinite = false;
    this.#reduceMs += performance.now() - began;
  }

  hasSum(start: number): boolean {
    return this.#taken.has(start);
  }

  /** Whether others have made the sums of all parameters. */
  get isSummed(): boolean {
    return this.#takenFloats === this.parameters.length;
  }

  /** Has `commit` go by the sums that others have made. @returns whether they are finite: otherwise it must not follow */
  useSums(factor: number): boolean {
    this.#factor = factor;
    return this.#areTakenFinite;
  }

  /**
   * Divides the gradient by the batch's samples and clips it, which `commit` does otherwise.
   * @returns what it was multiplied by to clip it; undefined: the job does not clip
   */
  clip(): number | undefined {
    const { clipNorm } = this.#update;
    if (clipNorm === undefined) return undefined;
    this.#isClipped = true;
    this.#updater.scale(this.#factor);
    return this.#updater.clip(clipNorm);
  }

  /** Forgets what has come of the step: it is computed again. */
  forget(): void {
    this.#isClipped = false;
    this.#attempts.clear();
    for (const attempt of this.#complete.values()) this.#attempts.give(attempt);
    this.#complete.clear();
    this.#sums.fill(undefined);
    this.#taken.clear();
    this.#takenFloats = 0;
    this.#areTakenFinite = true;
    this.#reduceMs = 0;
  }

  /** Forgets the complete gradient of a shard: another attempt is to be made. */
  withdraw(shard: number): void {
    const attempt = this.#complete.get(shard);
    if (!attempt) return;
    this.#complete.delete(shard);
    this.#attempts.give(attempt);
  }

  /**
   * Divides, clips and updates by what `reduce` made, part after part.
   * @param onPart hears of each part of the new version, floats [start, end), once it is there
   * @param observed look what happens to each layer; costs nearly as much again as the update
   */
  commit(onPart: (start: number, end: number) => void = () => {}, observed = false): Update {
    const floats = this.parameters.length;
    let applyMs = -performance.now();
    if (!this.#isClipped) this.clip();
    const rate = this.learningRate;
    const factor = this.#isClipped ? 1 : this.#factor;
    const squares = observed ? noSquares(exchangedOf(this.#job).length) : undefined;
    for (let start = 0; start < floats; start += PART) {
      const end = Math.min(start + PART, floats);
      this.#updater.apply(this.#version, rate, { start, end, factor, squares });
      applyMs += performance.now();
      onPart(start, end);
      applyMs -= performance.now();
    }
    const { reduceMs } = this.skip();
    this.#hasChanges = true;
    const changes = squares && layerChanges(this.#job.model.parameters, squares);
    return { reduceMs, applyMs: applyMs + performance.now(), changes };
  }

  /** Goes on to the next version without an update. */
  skip(): Update {
    this.begin(this.#version + 1);
    const reduceMs = this.#reduceMs;
    this.forget();
    return { reduceMs, applyMs: 0 };
  }

  /** Adds a part as soon as all shards of the step have sent it, if they have. */
  #sumEarly(part: number): void {
    if (this.#sums[part]) return;
    const size = Math.min(PART, this.parameters.length - part * PART);
    const order: Attempt[] = [];
    for (let shard = 0; shard < this.#shards; shard++) {
      const attempt = this.#complete.get(shard) ?? this.#attempts.withPart(shard, part, size);
      if (!attempt) return;
      order.push(attempt);
    }
    this.#sum(part, order);
  }

  #sum(part: number, of: readonly Attempt[]): void {
    const start = part * PART;
    const length = Math.min(PART, this.parameters.length - start);
    const parts = of.map(({ gradient }) =>
      gradient instanceof Float32Array
        ? gradient.subarray(start, start + length)
        : { length, read: (at: number, into: Float32Array) => gradient.read(start + at, into) },
    );
    this.#sums[part] = { of, finite: this.#updater.sum(parts, start, { step: this.#version }) };
  }

  /** All of a gradient that is complete. */
  #gradientOf({ gradient }: Attempt): Float32Array {
    if (gradient instanceof Float32Array) return gradient;
    const floats = new Float32Array(this.parameters.length);
    gradient.read(0, floats);
    return floats;
  }

  /** The layer of the first number that is not finite; undefined when all are. */
  #layerNotFinite(gradient: Float32Array): string | undefined {
    return this.#job.model.parameters.find(({ offset, size }) =>
      gradient.subarray(offset, offset + size).some((value) => !Number.isFinite(value)),
    )?.layer;
  }

  /** That of the present version. */
  get learningRate(): number {
    return learningRate(this.#update.schedule, this.#version, this.#steps.total);
  }

  /** How the last gradient and the parameters are distributed in each layer. */
  distributions(): LayerSnapshot[] {
    return layerSnapshots(this.#job.model.parameters, this.#updater.gradient, this.parameters);
  }
}
