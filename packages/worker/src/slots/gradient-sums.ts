/**
 * The gradients of a task that is computed in several runs: sums over the parts of a shard, and over the shards of a group along their
 * tree (tensor/ops/shard-tree.ts).
 */
import type { SessionLayout } from '@kasane/tensor/backends/layout';
import type { Model } from '@kasane/tensor/nn/model';

/** How a shard's gradient is combined in a group of shards. */
export interface ShardSum {
  /** Number of earlier sums on the stack: nodes of the tree, the highest first. */
  readonly kept: number;
  /** How many of them, from the top of the stack, are added to the gradient. */
  readonly added: number;
  /** Whether the sum is pushed for a later shard; otherwise it is the task's. */
  readonly isKept: boolean;
}

/** How the gradient of shard `index` of a group of `count` is combined. */
export function shardSum(index: number, count: number): ShardSum {
  const kept = ones(index);
  const isKept = index < count - 1;
  // As many as there are nodes that end with this shard; with the last shard, all that are left.
  return { kept, added: isKept ? kept + 1 - ones(index + 1) : kept, isKept };
}

/** Number of 1 bits: nodes of the tree that this many shards fill. */
function ones(number: number): number {
  let count = 0;
  for (let rest = number; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}

export class GradientSums {
  readonly #model: Model;
  /** Of the last run. */
  readonly #gradients: Float32Array;
  /** Allocated on demand: most jobs compute a shard in one part. */
  #parts: Float32Array | undefined;
  /** Stack of sums of shards, the highest node first. */
  readonly #shards: Float32Array[] = [];

  /** @param memory that the layout's offsets refer to */
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

  /** The last part's gradients of these parameters, by index, are ready: adds the earlier parts. */
  addTo(parameters: readonly number[]): void {
    this.#add(this.#parts!, parameters);
  }

  /** The shard's gradients of these parameters are ready: adds those of earlier shards. */
  addShardsTo(parameters: readonly number[], { kept, added }: Pick<ShardSum, 'kept' | 'added'>): void {
    for (let index = kept - 1; index >= kept - added; index--) this.#add(this.#shards[index]!, parameters);
  }

  /** All of them have been added: pushes the sum. */
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
