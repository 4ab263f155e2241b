/** From the bytes of samples to the network's input: augmentation, normalization, masking, mixing. */
import { type Augmenter, augmenter } from '@kasane/data/internal/images/augment';
import { mixUp } from '@kasane/data/internal/images/mixup';
import { inputReader, readTargets } from '@kasane/data/internal/normalize';
import { maskTokens } from '@kasane/data/internal/text/masking';
import type { Range } from '@kasane/data/plan';
import type { SampleFormat } from '@kasane/protocol/internal/job/sample-format';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import { type Field, fieldBytes } from '@kasane/tensor/internal/field';
import { keyOfSeed } from '@kasane/tensor/random';

/** Evaluations draw the same random numbers in every epoch, so that their results are comparable. */
const EVALUATION_EPOCH = 0xffff_ffff;

/** What random numbers depend on, besides the seed. */
export interface Occasion {
  readonly kind: TaskData['kind'];
  readonly epoch: number;
  /** Indices of the samples in the dataset. */
  readonly ids: Uint32Array;
  /** Number of samples per shard, in order. Default: a single shard. */
  readonly shards?: readonly number[] | undefined;
}

export interface SampleReader {
  readonly input: Field;
  readonly target: Field;
  /** Reads the bytes of all inputs into `x`, and returns the targets. Does not modify the bytes. */
  read(
    inputs: Uint8Array,
    targets: Uint8Array,
    x: Float32Array,
    occasion: Occasion,
  ): Int32Array | Float32Array;
}

/** @param seed of the training */
export function sampleReader(format: SampleFormat, seed: number): SampleReader {
  const { input, target, mean, std, augment, masking, mixup } = format;
  const normalize = inputReader(input, mean, std);
  const key = keyOfSeed(seed);
  const change =
    augment.length > 0 && input.dtype === 'u8' ? augmenter(augment, input.shape, mean, key) : undefined;
  return {
    input,
    target,
    read(inputs, targets, x, { kind, epoch, ids, shards = [ids.length] }) {
      const changed = change && kind === 'train';
      normalize(changed ? changeAll(change, inputs, fieldBytes(input), ids, epoch) : inputs, x);
      const goals = readTargets(target, targets);
      if (masking && goals instanceof Int32Array) {
        maskTokens(x, goals, ids, masking, key, kind === 'train' ? epoch : EVALUATION_EPOCH);
      }
      if (!mixup || kind !== 'train') return goals;
      return mixShards(shards, { x, targets: goals, ids }, (shard) =>
        mixUp(shard.x, shard.targets, shard.ids, epoch, mixup, key),
      );
    },
  };
}

/** The ranges of a task's shards. @param sizes of the shards, in order */
export function rangesOfShards(sizes: readonly number[]): Range[] {
  let end = 0;
  return sizes.map((size) => {
    const start = end;
    end += size;
    return { start, end };
  });
}

interface Mixed {
  readonly x: Float32Array;
  readonly targets: Int32Array | Float32Array;
  readonly ids: Uint32Array;
}

/** Mixes samples only within their shard, so that results do not depend on which shards a worker computes. @returns the mixed targets */
function mixShards(
  shards: readonly number[],
  { x, targets, ids }: Mixed,
  mix: (shard: Mixed) => Float32Array,
): Float32Array {
  const found = rangesOfShards(shards).map(({ start, end }) => {
    const of = <T extends Mixed[keyof Mixed]>(all: T) =>
      all.subarray((start * all.length) / ids.length, (end * all.length) / ids.length) as T;
    return mix({ x: of(x), targets: of(targets), ids: of(ids) });
  });
  if (found.length === 1) return found[0]!;
  const all = new Float32Array(found.reduce((floats, { length }) => floats + length, 0));
  let at = 0;
  for (const part of found) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function changeAll(change: Augmenter, inputs: Uint8Array, size: number, ids: Uint32Array, epoch: number) {
  // Copied, because the bytes may belong to a cache or a frame.
  const images = new Uint8Array(inputs);
  for (const [i, id] of ids.entries()) change(images.subarray(i * size, (i + 1) * size), id, epoch);
  return images;
}
