/** Permutations as functions of a seed: the order of an epoch's samples, and which samples are kept for testing. */
import { keyOfSeed, philox4x32, type Words } from '@kasane/tensor/random';

/** Word 3 of the Philox counter; `tensor/random.ts` says who uses which. */
const SHUFFLE_STREAM = 0x8000_0002;
const SPLIT_STREAM = 0x8000_0003;

/** The order of samples 0..samples-1 in an epoch counted from 0. */
export const epochPermutation = (samples: number, seed: number, epoch: number): Uint32Array =>
  permutation(samples, seed, epoch, SHUFFLE_STREAM);

/** Which samples tasks take. The orders of the two epochs asked for last are kept: one ends while the next begins. */
export class SampleOrder {
  readonly #samples: number;
  readonly #seed: number;
  readonly #epochs = new Map<number, Uint32Array>();

  /** @param samples number of training samples */
  constructor(samples: number, seed: number) {
    this.#samples = samples;
    this.#seed = seed;
  }

  /** Indices of `count` samples, from the `first` in the order of a training epoch; in evaluation everything keeps its place. */
  indices(kind: 'train' | 'evaluate', epoch: number, first: number, count: number): Uint32Array {
    if (kind === 'train') return this.#epoch(epoch).subarray(first, first + count);
    return Uint32Array.from({ length: count }, (_, index) => first + index);
  }

  #epoch(epoch: number): Uint32Array {
    const known = this.#epochs.get(epoch);
    if (known) return known;
    const made = epochPermutation(this.#samples, this.#seed, epoch);
    this.#epochs.set(epoch, made);
    for (const old of [...this.#epochs.keys()]) if (old < epoch - 1) this.#epochs.delete(old);
    return made;
  }
}

/**
 * Divides 0..samples-1 by chance: about `fraction` of them (at least one, where there are two) to `test`, the rest to `train`.
 * Both ascend. `group` tells apart what is divided with the same seed.
 */
export function splitAtRandom(
  samples: number,
  fraction: number,
  seed: number,
  group = 0,
): { train: Uint32Array; test: Uint32Array } {
  const kept = samples < 2 ? 0 : Math.min(samples - 1, Math.max(1, Math.round(samples * fraction)));
  const order = permutation(samples, seed, group, SPLIT_STREAM);
  return { test: order.slice(0, kept).sort(), train: order.slice(kept).sort() };
}

/**
 * A permutation of 0..samples-1: Fisher-Yates with unbiased draws (D. Lemire, "Fast random integer generation in an interval",
 * 2019).
 */
function permutation(samples: number, seed: number, group: number, stream: number): Uint32Array {
  const key = keyOfSeed(seed);
  let words: Words = [0, 0, 0, 0];
  let drawn = 0;
  const word = () => {
    if (drawn % 4 === 0) words = philox4x32([Math.floor(drawn / 4), 0, group, stream], key);
    return words[drawn++ % 4]!;
  };
  const below = (bound: number): number => {
    // The upper 32 bits of word * bound, by halves; lower bits below the threshold would favour some results.
    const threshold = (2 ** 32 - bound) % bound;
    for (;;) {
      const product = multiply(word(), bound);
      if (product.low >= threshold) return product.high;
    }
  };
  const order = Uint32Array.from({ length: samples }, (_, index) => index);
  for (let last = samples - 1; last > 0; last--) {
    const other = below(last + 1);
    const kept = order[last]!;
    order[last] = order[other]!;
    order[other] = kept;
  }
  return order;
}

/** Both halves of the 64-bit product of two uint32. */
function multiply(a: number, b: number): { high: number; low: number } {
  const low = a * (b & 0xffff);
  const middle = a * (b >>> 16) + Math.floor(low / 2 ** 16);
  return { high: Math.floor(middle / 2 ** 16), low: (middle % 2 ** 16) * 2 ** 16 + (low % 2 ** 16) };
}
