/**
 * The parameter server of the chunks that one worker owns: collects the shards' gradients of each, adds them along the tree of shards, and
 * updates its parameters when the coordinator says that the step counts. The arithmetic is the coordinator's own, so the bits are.
 */
import type { CommitParts } from '@kasane/protocol/gen/kasane/v1/training';
import { bytesOf } from '@kasane/protocol/internal/wire/frame';
import { type PartLayout, type PartRange, specsOf } from '@kasane/protocol/internal/wire/parts';
import type { FloatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import type { OptimizerOptions } from '@kasane/tensor/internal/optim/optimizers';
import type { Rounding } from '@kasane/tensor/internal/optim/rounding';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import type { Updater } from '@kasane/tensor/optim/updater';

/** Attempts at the same shard of a chunk that are collected at once: one is late, another was asked. */
const ATTEMPTS = 2;

/** One attempt's gradient of a chunk. */
interface Arriving {
  readonly from: string;
  readonly values: Float32Array;
  /** How many of them have come. */
  floats: number;
}

interface Chunk extends PartRange {
  /** Where it begins in the updater. */
  readonly at: number;
  /** By shard. */
  readonly arriving: Map<number, Arriving[]>;
  readonly complete: Map<number, Float32Array>;
  state: 'collecting' | 'summed' | 'updated';
}

/** The coordinator's word that a step counts. */
export type Commit = Omit<CommitParts, 'job' | 'layout'>;

export interface PartServerOptions {
  readonly layout: PartLayout;
  /** Who this is, of the layout's owners. */
  readonly owner: string;
  readonly parameters: readonly ParameterSpec[];
  readonly optimizer: OptimizerOptions;
  /** How gradients come. */
  readonly codec: FloatCodec;
  /** To what sums and updates are rounded; undefined: they are not. */
  readonly rounding: Rounding | undefined;
  /** Shards of the layout's first step. */
  readonly shards: number;
  /** The sum of a chunk of step `step` over all shards. The floats hold until the call returns. */
  readonly onSum: (step: number, start: number, sum: Float32Array) => void;
  /**
   * A chunk of a version, if it is to be published; of one that is rounded, what it adds to the version before. The floats hold until the
   * call returns.
   */
  readonly onUpdated: (version: number, start: number, news: Float32Array) => void;
}

export class PartServer {
  readonly #options: PartServerOptions;
  readonly #chunks: readonly Chunk[];
  readonly #free: Float32Array[] = [];
  #updater: Updater | undefined;
  /** Floats of parameters and state that are still to come, and what came before the updater was there. */
  #missing = Number.POSITIVE_INFINITY;
  #early: { readonly name: string; readonly offset: number; readonly values: Uint8Array }[] = [];
  #step: number;
  #shards: number;
  #commit: Commit | undefined;
  /** A sum was not finite: the coordinator decides what becomes of the step. */
  #isPoisoned = false;
  #isClosed = false;

  constructor(options: PartServerOptions) {
    const { layout, owner, shards } = options;
    this.#options = options;
    this.#step = layout.step;
    this.#shards = shards;
    let at = 0;
    this.#chunks = layout.chunksOf(owner).map(({ start, end }) => {
      const chunk: Chunk = {
        ...{ start, end, at, state: 'collecting' },
        ...{ arriving: new Map(), complete: new Map() },
      };
      at += end - start;
      return chunk;
    });
  }

  /** Resolves when it can add. What comes before waits. @throws RangeError when the optimizer's options contradict each other */
  async open(): Promise<void> {
    const { parameters, optimizer, rounding } = this.#options;
    // Most jobs of a single machine have no parts here: their workers need not load it.
    const { openUpdater } = await import('./backend.ts');
    const updater = await openUpdater(specsOf(parameters, this.#chunks), optimizer, { rounding });
    if (this.#isClosed) return;
    this.#updater = updater;
    this.#missing = updater.parameters.length * (1 + updater.state.size);
    for (const { name, offset, values } of this.#early.splice(0)) this.#fill(updater, name, offset, values);
    for (const chunk of this.#chunks) this.#advance(chunk);
  }

  /** What the chunks begin with: their parameters, or a state of the optimizer. @param offset in the flat layout */
  state(name: string, offset: number, payload: Uint8Array): void {
    if (this.#updater) {
      this.#fill(this.#updater, name, offset, payload);
      if (this.#missing === 0) for (const chunk of this.#chunks) this.#advance(chunk);
    } else this.#early.push({ name, offset, values: Uint8Array.from(payload) });
  }

  /**
   * Part of a shard's gradient: of one chunk.
   * @param from whose attempt it is
   * @param part as it travels, or as it is
   * @throws KasaneError PROTOCOL when it does not fit the model
   */
  gradient(step: number, shard: number, from: string, offset: number, part: Uint8Array | Float32Array): void {
    if (step !== this.#step || shard >= this.#shards) return;
    const { codec } = this.#options;
    const floats = part instanceof Float32Array ? part.length : codec.count(part, offset);
    const chunk = this.#chunkAt(offset);
    if (!chunk || offset + floats > chunk.end) return;
    // Another attempt has come first.
    if (chunk.state !== 'collecting' || chunk.complete.has(shard)) return;
    const one = this.#arriving(chunk, shard, from);
    const into = one.values.subarray(offset - chunk.start, offset - chunk.start + floats);
    if (part instanceof Float32Array) into.set(part);
    else codec.decode(part, offset, into);
    one.floats += floats;
    if (one.floats < chunk.end - chunk.start) return;
    for (const other of chunk.arriving.get(shard)!) if (other !== one) this.#free.push(other.values);
    chunk.arriving.delete(shard);
    chunk.complete.set(shard, one.values);
    this.#advance(chunk);
  }

  /** The step counts: what is added, and what will be, is updated. */
  commit(commit: Commit): void {
    if (commit.step !== this.#step) return;
    this.#commit = commit;
    for (const chunk of this.#chunks) this.#advance(chunk);
  }

  close(): void {
    this.#isClosed = true;
    this.#updater = undefined;
  }

  #chunkAt(offset: number): Chunk | undefined {
    const { chunkFloats, owners } = this.#options.layout;
    const index = Math.floor(offset / chunkFloats);
    const chunk = this.#chunks[Math.floor(index / owners.length)];
    return chunk && offset >= chunk.start && offset < chunk.end ? chunk : undefined;
  }

  #arriving(chunk: Chunk, shard: number, from: string): Arriving {
    const list = chunk.arriving.get(shard) ?? [];
    chunk.arriving.set(shard, list);
    const known = list.find((one) => one.from === from);
    if (known) return known;
    if (list.length === ATTEMPTS) this.#free.push(list.shift()!.values);
    const length = chunk.end - chunk.start;
    const last = this.#free.at(-1);
    const values = last?.length === length ? this.#free.pop()! : new Float32Array(length);
    const one: Arriving = { from, values, floats: 0 };
    list.push(one);
    return one;
  }

  /** Does with a chunk what can be done. */
  #advance(chunk: Chunk): void {
    const updater = this.#updater;
    if (!updater || this.#isPoisoned) return;
    if (chunk.state === 'collecting') this.#sum(updater, chunk);
    if (chunk.state === 'summed' && this.#commit && this.#missing === 0 && !this.#isPoisoned)
      this.#update(updater, chunk, this.#commit);
  }

  #sum(updater: Updater, chunk: Chunk): void {
    if (chunk.complete.size < this.#shards) return;
    const parts = Array.from({ length: this.#shards }, (_, shard) => chunk.complete.get(shard)!);
    const length = chunk.end - chunk.start;
    this.#isPoisoned = !updater.sum(parts, chunk.at, { step: this.#step, origin: chunk.start });
    chunk.state = 'summed';
    this.#free.push(...parts);
    chunk.complete.clear();
    this.#options.onSum(this.#step, chunk.start, updater.gradient.subarray(chunk.at, chunk.at + length));
  }

  #update(updater: Updater, chunk: Chunk, commit: Commit): void {
    const { factor, clip, learningRate, publish, nextShards } = commit;
    const [start, end] = [chunk.at, chunk.at + chunk.end - chunk.start];
    if (clip !== undefined) {
      // In two steps, as the coordinator does it: each rounds.
      updater.scale(factor, start, end);
      updater.clipBy(clip, start, end);
    }
    updater.apply(this.#step, learningRate, { start, end, factor: clip === undefined ? factor : 1 });
    chunk.state = 'updated';
    const news = updater.changes ?? updater.parameters;
    if (publish) this.#options.onUpdated(this.#step + 1, chunk.start, news.subarray(start, end));
    if (this.#chunks.some(({ state }) => state !== 'updated')) return;
    this.#step++;
    this.#shards = nextShards;
    this.#commit = undefined;
    for (const done of this.#chunks) {
      done.state = 'collecting';
      for (const list of done.arriving.values()) for (const { values } of list) this.#free.push(values);
      done.arriving.clear();
    }
  }

  #fill(updater: Updater, name: string, offset: number, payload: Uint8Array): void {
    const chunk = this.#chunkAt(offset);
    const into = name === 'parameters' ? updater.parameters : updater.state.get(name);
    const floats = payload.length / 4;
    if (!chunk || !into || offset + floats > chunk.end) return;
    const at = chunk.at + offset - chunk.start;
    bytesOf(into.subarray(at, at + floats)).set(payload);
    this.#missing -= floats;
  }
}
