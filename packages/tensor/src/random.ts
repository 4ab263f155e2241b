/**
 * Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random words as a pure function of
 * a counter and a key. Whoever needs the words of (seed, epoch, sample, layer) computes them, in any order, anywhere.
 *
 * Users share the key (the seed) and differ in the counter. Word 3 tells them apart: dropout puts the index of its layer
 * there; everything else takes a constant with the upper bit set: 0x8000_0001 initialisation (below), ..02 the order of an epoch,
 * ..03 divisions into training and test, ..04 hidden tokens, 0x8000_0100 and up the steps of augmentation,
 * 0x8000_0200 mixup (all in data), 0x8000_0300 the rounding of gradients (optim/rounding.ts), 0x8000_0400 and up sweeps (coordinator).
 */
export type Counter = readonly [number, number, number, number];
export type Key = readonly [number, number];
export type Words = [number, number, number, number];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** Word 3 of the counter when parameters are initialised. */
export const INITIALIZER_STREAM = 0x8000_0001;

/** Upper 32 bits of the product of two uint32, by halves: no part of the sum passes 32 bits. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) >>> 0;
  const carry = (Math.imul(aLow, bHigh) + (middle & 0xffff)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (carry >>> 16)) >>> 0;
}

/** Four random uint32. Counter and key are taken modulo 2^32. */
export function philox4x32([c0, c1, c2, c3]: Counter, [k0, k1]: Key): Words {
  const words = new Uint32Array(4);
  philox4x32Into(words, c0, c1, c2, c3, k0, k1);
  return [...words] as Words;
}

/** The same without an array for each call: for many millions of them. */
export function philox4x32Into(
  words: Uint32Array,
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
): void {
  let c0 = counter0 >>> 0;
  let c1 = counter1 >>> 0;
  let c2 = counter2 >>> 0;
  let c3 = counter3 >>> 0;
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

/** The key of a seed: its lower and upper 32 bits. */
export function keyOfSeed(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`seed is ${seed}; expected an integer from 0 to ${Number.MAX_SAFE_INTEGER}`);
  }
  return [seed >>> 0, Math.floor(seed / 2 ** 32)];
}

/** A random word as a number in [0, 1) with 24 bits, exact in float32. */
export function unitInterval(word: number): number {
  return (word >>> 8) * 2 ** -24;
}
