/**
 * The gradients of a task that is computed in several runs, one after the other: what the parts of a shard add up to, and the shards of a
 * group along their tree (tensor/ops/shard-tree.ts).
 */
import type { SessionLayout } from '@kasane/tensor/backends/layout';
import type { Model } from '@kasane/tensor/nn/model';

/** What becomes of a shard's gradient, in a group of shards. */
export interface ShardSum {
  /** Sums of earlier shards that are kept: nodes of the tree, the highest first. */
  readonly kept: number;
  /** How many of them, the last ones, are added to the gradient. */
  readonly added: number;
  /** Whether the sum is kept in their place, for a later shard; otherwise it is the task's. */
  readonly isKept: boolean;
}

/** What becomes of the gradient of shard `index` of a group of `count`. */
export function shardSum(index: number, count: number): ShardSum {
  const kept = ones(index);
  const isKept = index < count - 1;
  // As many as there are nodes that end with this shard; with the last shard all that are left.
  return { kept, added: isKept ? kept + 1 - ones(index + 1) : kept, isKept };
}

/** Ones of a number's binary digits: nodes of the tree that so many shards fill. */
function ones(number: number): number {
  let count = 0;
  for (let rest = number; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}

export class GradientSums {
  readonly #model: Model;
  /** Of the run that ended last. */
  readonly #gradients: Float32Array;
  /** Made when it is needed: most jobs compute a shard at once. */
  #parts: Float32Array | undefined;
  /** Sums of shards, the highest node first. */
  readonly #shards: Float32Array[] = [];

  /** @param memory what the layout's places are offsets of */
  constructor(model: Model, memory: ArrayBufferLike, { gradients }: Pick<SessionLayout, 'gradients'>) {
    this.#model = model;
    this.#gradients = new Float32Array(memory, gradients.offset, gradients.length);
  }

  /** The first part of a shard has run. */
  keep(): void {
    this.#parts ??= new Float32Array(this.#gradients.length);
    this.#parts.set(this.#gradients);
  }

  /** A further part has run, not the last. */
  add(): void {
    const [sums, gradients] = [this.#parts!, this.#gradients];
    for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + gradients[i]!;
  }

  /** The last part's gradients of these parameters, by index, are there: they become the shard's. */
  addTo(parameters: readonly number[]): void {
    this.#add(this.#parts!, parameters);
  }

  /** The shard's gradients of these parameters are there: earlier shards' are added to them. */
  addShardsTo(parameters: readonly number[], { kept, added }: Pick<ShardSum, 'kept' | 'added'>): void {
    for (let index = kept - 1; index >= kept - added; index--) this.#add(this.#shards[index]!, parameters);
  }

  /** All of them have been added: the sum is kept. */
  keepShards({ kept, added }: Pick<ShardSum, 'kept' | 'added'>): void {
    const place = kept - added;
    this.#shards[place] ??= new Float32Array(this.#gradients.length);
    this.#shards[place].set(this.#gradients);
  }

  #add(sums: Float32Array, parameters: readonly number[]): void {
    const gradients = this.#gradients;
    for (const index of parameters) {
      const { offset, size } = this.#model.parameters[index]!;
      for (let i = offset; i < offset + size; i++) gradients[i] = sums[i]! + gradients[i]!;
    }
  }
}
