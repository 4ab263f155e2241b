import { describe, expect, it } from 'vitest';
import { keyOfSeed, philox4x32, unitInterval } from '../src/random.ts';

const ones = 0xffffffff;

describe('philox4x32', () => {
  // kat_vectors of Random123, "philox4x32 10"
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [ones, ones, ones, ones],
      [ones, ones],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)('gives the published answer for counter %j and key %j', (counter, key, words) => {
    expect(philox4x32(counter, key)).toEqual(words);
  });

  it('takes the bits of negative int32 for uint32', () => {
    expect(philox4x32([-1, -1, -1, -1], [-1, -1])).toEqual(
      philox4x32([ones, ones, ones, ones], [ones, ones]),
    );
  });
});

describe('keyOfSeed', () => {
  it('splits a seed into its lower and upper 32 bits', () => {
    expect(keyOfSeed(5)).toEqual([5, 0]);
    expect(keyOfSeed(3 * 2 ** 32 + ones)).toEqual([ones, 3]);
    expect(keyOfSeed(Number.MAX_SAFE_INTEGER)).toEqual([ones, 0x1fffff]);
  });

  it.each([-1, 1.5, 2 ** 53, Number.NaN])('refuses %d', (seed) => {
    expect(() => keyOfSeed(seed)).toThrow(/seed is .* expected an integer from 0/);
  });
});

it('unitInterval stays below 1 and is exact in float32', () => {
  expect(unitInterval(0)).toBe(0);
  expect(unitInterval(ones)).toBe(1 - 2 ** -24);
  expect(Math.fround(unitInterval(ones))).toBe(unitInterval(ones));
});
