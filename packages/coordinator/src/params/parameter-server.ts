/**
 * The parameter server: collects the gradients of a step, adds them in shard order, updates the parameters, and has
 * the next version ready to publish. Arrival order decides nothing: an attempt fills a buffer of its own, and only
 * complete ones are added, by shard.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KasaneError } from '@kasane/protocol/errors';
import { bytesOf, type GradientHeader } from '@kasane/protocol/frame';
import type { LayerSnapshot } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Job } from '@kasane/protocol/job';
import { ARRIVING_BYTES } from '@kasane/protocol/limits';
import type { GradientPlace } from '@kasane/protocol/shared-memory';
import { noSquares, type Squares } from '@kasane/tensor/backends/wasm/squares';
import { AVERAGE, openUpdater, type Updater } from '@kasane/tensor/backends/wasm/updater';
import { learningRate } from '@kasane/tensor/optim/schedules';
import type { Weights } from './checkpoint.ts';
import { histogramOf } from './histograms.ts';

/** Buffers beyond one a shard, for attempts that run a second time while the first has not been given up. */
export const SPARE_BUFFERS = 2;
/** How often an attempt may send its whole gradient. */
const MOST_SENT = 2;
/** Floats that are added, updated and published at a time. */
const PART = ARRIVING_BYTES / 4;

/** Where part of a gradient is: in the bytes that came, or in a place that is read when it is added. */
export type GradientSource = Uint8Array | Pick<GradientPlace, 'read'>;

/** What one attempt at a shard has sent. */
interface Assembly {
  readonly worker: string;
  readonly attempt: number;
  /** A buffer of ours, or the place where the worker has put it. */
  gradient: Float32Array | Pick<GradientPlace, 'read'>;
  /** Floats received, those that came twice included. */
  floats: number;
  /** Ranges of floats received, as [offset, end). */
  readonly ranges: [number, number][];
  /** How many of them lie in each part. */
  readonly received: Int32Array;
}

/** The sum of one part over all shards. */
interface PartSum {
  /** Of which attempts, by shard. */
  readonly of: readonly Assembly[];
  readonly finite: boolean;
}

/** What an update did to one layer. */
export interface LayerChange {
  readonly layer: string;
  /** L2 norms: of its gradient, of its parameters afterwards, and of the change relative to them. */
  readonly gradientNorm: number;
  readonly weightNorm: number;
  readonly updateRatio: number;
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
  readonly #updater: Updater;
  readonly #steps: StepSizes;
  /** Made when first needed: a shard that is computed once takes one. */
  readonly #free: Float32Array[] = [];
  #buffers = 0;
  /** Attempts under way, by shard. */
  readonly #assemblies = new Map<number, Assembly[]>();
  /** The complete gradient of each shard that has answered. */
  readonly #complete = new Map<number, Assembly>();
  /** Of each part, once all shards have sent it: added while the rest is still computed. */
  readonly #sums: (PartSum | undefined)[];
  /** What the sum is to be multiplied with. */
  #factor = 1;
  #version = 0;
  /** Shards of the step under way. */
  #shards = 0;
  #reduceMs = 0;

  static async open(job: Job, steps: StepSizes): Promise<ParameterServer> {
    const { optimizer, ema } = job.spec.training;
    const updater = await openUpdater(job.model.parameters, optimizer, { average: ema?.decay });
    return new ParameterServer(job, steps, updater);
  }

  private constructor(job: Job, steps: StepSizes, updater: Updater) {
    this.#job = job;
    this.#steps = steps;
    this.#updater = updater;
    this.begin(0);
    this.#sums = new Array(Math.ceil(updater.parameters.length / PART)).fill(undefined);
  }

  get parameters(): Float32Array {
    return this.#updater.parameters;
  }

  get state(): ReadonlyMap<string, Float32Array> {
    return this.#updater.state;
  }

  /** Begins anew, from these parameters. Part by part: filling memory for the first time takes the system longest. */
  async reset(parameters: Float32Array): Promise<void> {
    for (let at = 0; at < parameters.length; at += PART) {
      const part = parameters.subarray(at, at + PART);
      for (const [name, values] of this.state) {
        if (name === AVERAGE) values.set(part, at);
        else values.fill(0, at, at + part.length);
      }
      this.parameters.set(part, at);
      await nextTurn();
    }
  }

  /** Number of updates in the parameters. */
  get version(): number {
    return this.#version;
  }

  /** Call after `parameters` and `state` have been filled: makes `version` the present one. */
  begin(version: number): void {
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
    const { shard, attempt, offset } = header;
    const assembly = this.#assembly(worker, shard, attempt, source);
    if (!assembly || !this.#take(assembly, offset, end, source)) return;
    assembly.floats += floats;
    if (assembly.floats > MOST_SENT * this.parameters.length)
      throw new KasaneError(
        'PROTOCOL',
        `gradient of shard ${shard}: attempt ${attempt} sends its parts again and again`,
      );
    assembly.ranges.push([offset, end]);
    for (let part = Math.floor(offset / PART); part * PART < end; part++) {
      assembly.received[part]! += Math.min(end, (part + 1) * PART) - Math.max(offset, part * PART);
      // It was sent twice.
      if (this.#sums[part]?.of[shard] === assembly) this.#sums[part] = undefined;
      this.#sumEarly(part);
    }
  }

  /** The attempt says that its gradient is complete. False when parts of it are missing: the attempt came to nothing. */
  complete(worker: string, shard: number, attempt: number): boolean {
    const assembly = this.#find(worker, shard, attempt);
    if (!assembly || this.#complete.has(shard)) return false;
    let reached = 0;
    for (const [start, end] of assembly.ranges.sort((a, b) => a[0] - b[0])) {
      if (start !== reached) break;
      reached = end;
    }
    if (reached !== this.parameters.length) {
      this.#release(shard, [assembly]);
      return false;
    }
    this.#complete.set(shard, assembly);
    this.#release(
      shard,
      this.#assemblies.get(shard)!.filter((other) => other !== assembly),
    );
    this.#assemblies.delete(shard);
    return true;
  }

  /** A worker is gone: gives back the buffers of its unfinished attempts. */
  drop(worker: string): void {
    for (const [shard, list] of [...this.#assemblies])
      this.#release(
        shard,
        list.filter((assembly) => assembly.worker === worker),
      );
  }

  /**
   * Adds the shards' gradients in shard order, what has not been added as it came; `commit` divides by the batch's samples. Every
   * shard from 0 to `shards` - 1 must be complete.
   * Returns what is no finite number, by shard; a sum that overflows although its parts do not is laid to the last shard.
   * Nothing: `commit` may follow.
   */
  reduce(shards: number, samples: number): NotFinite[] {
    const started = performance.now();
    const order = Array.from({ length: shards }, (_, shard) => {
      const assembly = this.#complete.get(shard);
      if (!assembly) throw new Error(`step ${this.#version}: shard ${shard} is not complete`);
      return assembly;
    });
    for (const [part, known] of this.#sums.entries()) {
      const isOfThese = known?.of.length === shards && order.every((one, shard) => one === known.of[shard]);
      if (!isOfThese) this.#sum(part, order);
    }
    this.#factor = Math.fround(1 / samples);
    this.#reduceMs = performance.now() - started;
    if (this.#sums.every((sum) => sum!.finite)) return [];
    const found = order.flatMap((assembly, shard) => {
      const layer = this.#layerNotFinite(this.#gradientOf(assembly));
      return layer === undefined ? [] : [{ shard, layer }];
    });
    const layer = this.#layerNotFinite(this.#updater.gradient) ?? '';
    return found.length > 0 ? found : [{ shard: shards - 1, layer }];
  }

  /** Forgets the complete gradient of a shard: another attempt is to be made. */
  withdraw(shard: number): void {
    const assembly = this.#complete.get(shard);
    if (!assembly) return;
    this.#complete.delete(shard);
    this.#give(assembly);
  }

  /**
   * Divides, clips and updates by what `reduce` made, part after part.
   * @param onPart hears of each part of the new version, floats [start, end), once it is there
   * @param observed look what happens to each layer; costs nearly as much again as the update
   */
  commit(onPart: (start: number, end: number) => void = () => {}, observed = false): Update {
    const { clipNorm } = this.#job.spec.training;
    const floats = this.parameters.length;
    let applyMs = -performance.now();
    if (clipNorm !== undefined) {
      this.#updater.scale(this.#factor);
      this.#updater.clip(clipNorm);
    }
    const rate = this.learningRate;
    const factor = clipNorm === undefined ? this.#factor : 1;
    const squares = observed ? noSquares(this.#job.model.parameters.length) : undefined;
    for (let start = 0; start < floats; start += PART) {
      const end = Math.min(start + PART, floats);
      this.#updater.apply(this.#version, rate, { start, end, factor, squares });
      applyMs += performance.now();
      onPart(start, end);
      applyMs -= performance.now();
    }
    this.skip();
    const changes = squares && this.#changes(squares);
    return { reduceMs: this.#reduceMs, applyMs: applyMs + performance.now(), changes };
  }

  /** Goes on to the next version without an update. */
  skip(): Update {
    this.begin(this.#version + 1);
    for (const [shard, list] of [...this.#assemblies]) this.#release(shard, list);
    for (const assembly of this.#complete.values()) this.#give(assembly);
    this.#complete.clear();
    this.#sums.fill(undefined);
    return { reduceMs: this.#reduceMs, applyMs: 0 };
  }

  /** Adds a part as soon as all shards of the step have sent it, if they have. */
  #sumEarly(part: number): void {
    if (this.#sums[part]) return;
    const size = Math.min(PART, this.parameters.length - part * PART);
    const order: Assembly[] = [];
    for (let shard = 0; shard < this.#shards; shard++) {
      const attempt =
        this.#complete.get(shard) ??
        this.#assemblies.get(shard)?.find(({ received }) => received[part] === size);
      if (!attempt) return;
      order.push(attempt);
    }
    this.#sum(part, order);
  }

  #sum(part: number, of: readonly Assembly[]): void {
    const start = part * PART;
    const length = Math.min(PART, this.parameters.length - start);
    const parts = of.map(({ gradient }) =>
      gradient instanceof Float32Array
        ? gradient.subarray(start, start + length)
        : { length, read: (at: number, into: Float32Array) => gradient.read(start + at, into) },
    );
    this.#sums[part] = { of, finite: this.#updater.sum(parts, start) };
  }

  /** All of a gradient that is complete. */
  #gradientOf({ gradient }: Assembly): Float32Array {
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

  /** The peak's part at the present version. */
  get learningRate(): number {
    const { learningRate: peak, schedule } = this.#job.spec.training;
    return learningRate({ ...schedule, learningRate: peak }, this.#version, this.#steps.total);
  }

  /** How the last gradient and the parameters are distributed in each layer; a layer's first parameter, its weights, stands for it. */
  distributions(): LayerSnapshot[] {
    const { gradient } = this.#updater;
    const seen = new Set<string>();
    const none = { activations: undefined, activationRms: 0, deadUnits: 0, units: 0 };
    return this.#job.model.parameters.flatMap(({ layer, offset, size, statistic }) => {
      if (statistic || seen.has(layer)) return [];
      seen.add(layer);
      const of = (values: Float32Array) => histogramOf(values, offset, offset + size);
      return [{ layer, gradient: of(gradient), weights: of(this.parameters), ...none }];
    });
  }

  #changes(squares: Squares): LayerChange[] {
    const sums = new Map<string, { gradient: number; weight: number; change: number }>();
    for (const [index, { layer, statistic }] of this.#job.model.parameters.entries()) {
      if (statistic) continue;
      const sum = sums.get(layer) ?? { gradient: 0, weight: 0, change: 0 };
      sums.set(layer, sum);
      sum.gradient += squares.gradient[index]!;
      sum.weight += squares.parameter[index]!;
      sum.change += squares.change[index]!;
    }
    return [...sums].map(([layer, { gradient, weight, change }]) => ({
      layer,
      gradientNorm: Math.sqrt(gradient),
      weightNorm: Math.sqrt(weight),
      updateRatio: weight > 0 ? Math.sqrt(change / weight) : 0,
    }));
  }

  #find(worker: string, shard: number, attempt: number): Assembly | undefined {
    return this.#assemblies
      .get(shard)
      ?.find((assembly) => assembly.worker === worker && assembly.attempt === attempt);
  }

  #assembly(worker: string, shard: number, attempt: number, source: GradientSource): Assembly | undefined {
    const known = this.#find(worker, shard, attempt);
    if (known) return known;
    const gradient = source instanceof Uint8Array ? this.#takeBuffer() : source;
    if (!gradient) return undefined;
    const received = new Int32Array(this.#sums.length);
    const assembly: Assembly = { worker, attempt, gradient, floats: 0, ranges: [], received };
    this.#assemblies.set(shard, [...(this.#assemblies.get(shard) ?? []), assembly]);
    return assembly;
  }

  /** Sees to it that floats [offset, end) are where the attempt's gradient is. False when there is no buffer for them. */
  #take(assembly: Assembly, offset: number, end: number, source: GradientSource): boolean {
    const { gradient } = assembly;
    if (gradient === source) return true;
    if (gradient instanceof Float32Array) {
      const into = gradient.subarray(offset, end);
      if (source instanceof Uint8Array) bytesOf(into).set(source);
      else source.read(offset, into);
      return true;
    }
    if (!(source instanceof Uint8Array))
      throw new KasaneError('PROTOCOL', `attempt ${assembly.attempt} has put its gradient in two places`);
    // The worker's memory is full: what it put there before comes to what it sends now.
    const buffer = this.#takeBuffer();
    if (!buffer) return false;
    for (const [start, stop] of assembly.ranges) gradient.read(start, buffer.subarray(start, stop));
    assembly.gradient = buffer;
    return this.#take(assembly, offset, end, source);
  }

  #takeBuffer(): Float32Array | undefined {
    const spare = this.#free.pop();
    if (spare || this.#buffers === this.#job.spec.training.shards + SPARE_BUFFERS) return spare;
    this.#buffers++;
    return new Float32Array(this.parameters.length);
  }

  #give({ gradient }: Assembly): void {
    if (gradient instanceof Float32Array) this.#free.push(gradient);
  }

  /** Gives up attempts at a shard. */
  #release(shard: number, attempts: readonly Assembly[]): void {
    const rest = this.#assemblies.get(shard)!.filter((assembly) => !attempts.includes(assembly));
    if (rest.length > 0) this.#assemblies.set(shard, rest);
    else this.#assemblies.delete(shard);
    for (const assembly of attempts) this.#give(assembly);
  }
}
