/**
 * The parameter server: collects the gradients of a step, adds them in shard order, updates the parameters, and has
 * the next version ready to publish. Arrival order decides nothing: an attempt fills a buffer of its own, and only
 * complete ones are added, by shard.
 */
import { KasaneError } from '@kasane/protocol/errors';
import { bytesOf, type GradientHeader } from '@kasane/protocol/frame';
import type { LayerSnapshot } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Job } from '@kasane/protocol/job';
import { AVERAGE, openUpdater, type Updater } from '@kasane/tensor/backends/wasm/updater';
import { learningRate } from '@kasane/tensor/optim/schedules';
import type { Weights } from './checkpoint.ts';
import { histogramOf } from './histograms.ts';

/** Buffers beyond one a shard, for attempts that run a second time while the first has not been given up. */
const SPARE_BUFFERS = 2;

interface Assembly {
  readonly key: string;
  readonly shard: number;
  readonly buffer: number;
  /** Ranges of floats received, as [offset, end). */
  readonly ranges: [number, number][];
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

/** Milliseconds that the parts of an update took. */
export interface UpdateTimes {
  readonly reduceMs: number;
  readonly applyMs: number;
}

export class ParameterServer implements Weights {
  readonly #job: Job;
  readonly #updater: Updater;
  readonly #totalSteps: number;
  readonly #free: number[];
  readonly #assemblies = new Map<string, Assembly>();
  /** Buffer that holds the complete gradient of each shard that has answered. */
  readonly #complete = new Map<number, number>();
  #version: number;
  #reduceMs = 0;
  /** The parameters before an observed update. Kept: for a large model the pages of a new array cost more than the update. */
  #before: Float32Array | undefined;

  static async open(job: Job, totalSteps: number): Promise<ParameterServer> {
    const { shards, optimizer, ema } = job.spec.training;
    const options = { buffers: shards + SPARE_BUFFERS, average: ema?.decay };
    const updater = await openUpdater(job.model.parameters, optimizer, options);
    return new ParameterServer(job, totalSteps, updater);
  }

  private constructor(job: Job, totalSteps: number, updater: Updater) {
    this.#job = job;
    this.#totalSteps = totalSteps;
    this.#updater = updater;
    this.#version = 0;
    this.#free = updater.slots.map((_, index) => index).reverse();
  }

  get parameters(): Float32Array {
    return this.#updater.parameters;
  }

  get state(): ReadonlyMap<string, Float32Array> {
    return this.#updater.state;
  }

  /** Begins anew, from these parameters. */
  reset(parameters: Float32Array): void {
    for (const [name, values] of this.state) {
      if (name === AVERAGE) values.set(parameters);
      else values.fill(0);
    }
    this.parameters.set(parameters);
  }

  /** Number of updates in the parameters. */
  get version(): number {
    return this.#version;
  }

  /** Call after `parameters` and `state` have been filled: makes `version` the present one. */
  begin(version: number): void {
    this.#version = version;
  }

  /**
   * Takes `floats` floats of a shard's gradient from one attempt; `fill` writes them where it is told to.
   * @throws KasaneError PROTOCOL when the part does not fit the parameters.
   */
  receive(
    worker: string,
    header: Omit<GradientHeader, 'kind'>,
    floats: number,
    fill: (into: Uint8Array) => void,
  ): void {
    if (header.step !== this.#version || this.#complete.has(header.shard)) return;
    const end = header.offset + floats;
    if (
      !Number.isInteger(floats) ||
      end > this.parameters.length ||
      header.shard >= this.#job.spec.training.shards
    ) {
      throw new KasaneError(
        'PROTOCOL',
        `gradient of shard ${header.shard}, floats ${header.offset} to ${end}: the model has ${this.parameters.length} floats and ${this.#job.spec.training.shards} shards`,
      );
    }
    const assembly = this.#assembly(worker, header.shard, header.attempt);
    if (!assembly) return;
    fill(bytesOf(this.#updater.slots[assembly.buffer]!.subarray(header.offset, end)));
    assembly.ranges.push([header.offset, end]);
  }

  /** The attempt says that its gradient is complete. False when parts of it are missing: the attempt came to nothing. */
  complete(worker: string, shard: number, attempt: number): boolean {
    const key = assemblyKey(worker, shard, attempt);
    const assembly = this.#assemblies.get(key);
    if (!assembly || this.#complete.has(shard)) return false;
    let reached = 0;
    for (const [start, end] of assembly.ranges.sort((a, b) => a[0] - b[0])) {
      if (start !== reached) break;
      reached = end;
    }
    if (reached !== this.parameters.length) {
      this.#release(key);
      return false;
    }
    this.#assemblies.delete(key);
    this.#complete.set(shard, assembly.buffer);
    for (const other of [...this.#assemblies.values()]) if (other.shard === shard) this.#release(other.key);
    return true;
  }

  /** A worker is gone: gives back the buffers of its unfinished attempts. */
  drop(worker: string): void {
    for (const key of [...this.#assemblies.keys()]) if (key.startsWith(`${worker}\n`)) this.#release(key);
  }

  /**
   * Adds the shards' gradients in shard order and divides by the batch's samples. Every shard from 0 to `shards` - 1 must be complete.
   * Returns what is no finite number, by shard; a sum that overflows although its parts do not is laid to the last shard.
   * Nothing: `commit` may follow.
   */
  reduce(shards: number, samples: number): NotFinite[] {
    const started = performance.now();
    const order = Array.from({ length: shards }, (_, shard) => {
      const buffer = this.#complete.get(shard);
      if (buffer === undefined) throw new Error(`step ${this.#version}: shard ${shard} is not complete`);
      return buffer;
    });
    this.#updater.reduce(order, Math.fround(1 / samples));
    this.#reduceMs = performance.now() - started;
    if (this.#updater.isFinite()) return [];
    const found = order.flatMap((buffer, shard) => {
      const layer = this.#layerNotFinite(this.#updater.slots[buffer]!);
      return layer === undefined ? [] : [{ shard, layer }];
    });
    const layer = this.#layerNotFinite(this.#updater.gradient) ?? '';
    return found.length > 0 ? found : [{ shard: shards - 1, layer }];
  }

  /** Forgets the complete gradient of a shard: another attempt is to be made. */
  withdraw(shard: number): void {
    const buffer = this.#complete.get(shard);
    if (buffer === undefined) return;
    this.#complete.delete(shard);
    this.#free.push(buffer);
  }

  /**
   * Clips and updates by what `reduce` made.
   * @param observe hears what happened to each layer; costs three passes over the parameters
   */
  commit(observe?: (changes: readonly LayerChange[]) => void): UpdateTimes {
    const started = performance.now();
    const { clipNorm } = this.#job.spec.training;
    if (clipNorm !== undefined) this.#updater.clip(clipNorm);
    if (observe) {
      this.#before ??= new Float32Array(this.parameters.length);
      this.#before.set(this.parameters);
    }
    this.#updater.apply(this.#version, this.learningRate);
    this.skip();
    if (observe) observe(this.#changes(this.#before!));
    return { reduceMs: this.#reduceMs, applyMs: performance.now() - started };
  }

  /** Goes on to the next version without an update. */
  skip(): UpdateTimes {
    this.#version++;
    for (const key of [...this.#assemblies.keys()]) this.#release(key);
    this.#free.push(...this.#complete.values());
    this.#complete.clear();
    return { reduceMs: this.#reduceMs, applyMs: 0 };
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
    return learningRate({ ...schedule, learningRate: peak }, this.#version, this.#totalSteps);
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

  #changes(before: Float32Array): LayerChange[] {
    const { perParameter } = this.#updater.norms();
    const sums = new Map<string, { gradient: number; weight: number; change: number }>();
    for (const [index, { layer, offset, size, statistic }] of this.#job.model.parameters.entries()) {
      if (statistic) continue;
      const sum = sums.get(layer) ?? { gradient: 0, weight: 0, change: 0 };
      sums.set(layer, sum);
      sum.gradient += perParameter[index]! ** 2;
      for (let i = offset; i < offset + size; i++) {
        const value = this.parameters[i]!;
        sum.weight += value * value;
        sum.change += (value - before[i]!) ** 2;
      }
    }
    return [...sums].map(([layer, { gradient, weight, change }]) => ({
      layer,
      gradientNorm: Math.sqrt(gradient),
      weightNorm: Math.sqrt(weight),
      updateRatio: weight > 0 ? Math.sqrt(change / weight) : 0,
    }));
  }

  #assembly(worker: string, shard: number, attempt: number): Assembly | undefined {
    const key = assemblyKey(worker, shard, attempt);
    const known = this.#assemblies.get(key);
    if (known) return known;
    const buffer = this.#free.pop();
    if (buffer === undefined) return undefined;
    const assembly: Assembly = { key, shard, buffer, ranges: [] };
    this.#assemblies.set(key, assembly);
    return assembly;
  }

  #release(key: string): void {
    const assembly = this.#assemblies.get(key);
    if (!assembly) return;
    this.#assemblies.delete(key);
    this.#free.push(assembly.buffer);
  }
}

const assemblyKey = (worker: string, shard: number, attempt: number) => `${worker}\n${shard}\n${attempt}`;
