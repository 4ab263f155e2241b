/** The order of an epoch's samples: a function of seed and epoch alone. */
import { keyOfSeed, philox4x32, type Words } from '@kasane/tensor/random';

/** Word 3 of the Philox counter when samples are shuffled; `tensor/random.ts` says who uses which. */
const SHUFFLE_STREAM = 0x8000_0002;

/**
 * A permutation of 0..samples-1 for an epoch counted from 0: Fisher-Yates with unbiased draws (D. Lemire, "Fast random
 * integer generation in an interval", 2019).
 */
export function epochPermutation(samples: number, seed: number, epoch: number): Uint32Array {
  const key = keyOfSeed(seed);
  let words: Words = [0, 0, 0, 0];
  let drawn = 0;
  const word = () => {
    if (drawn % 4 === 0) words = philox4x32([Math.floor(drawn / 4), 0, epoch, SHUFFLE_STREAM], key);
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
  const permutation = Uint32Array.from({ length: samples }, (_, index) => index);
  for (let last = samples - 1; last > 0; last--) {
    const other = below(last + 1);
    const kept = permutation[last]!;
    permutation[last] = permutation[other]!;
    permutation[other] = kept;
  }
  return permutation;
}

/** Both halves of the 64-bit product of two uint32. */
function multiply(a: number, b: number): { high: number; low: number } {
  const low = a * (b & 0xffff);
  const middle = a * (b >>> 16) + Math.floor(low / 2 ** 16);
  return { high: Math.floor(middle / 2 ** 16), low: (middle % 2 ** 16) * 2 ** 16 + (low % 2 ** 16) };
}
