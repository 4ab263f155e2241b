/** Rounding as rounding.ts defines it, number by number. */

import type { ParameterSpec } from '../../src/nn/model.ts';
import {
  BLOCK,
  blocksOf,
  ROUNDING_STREAM,
  type RoundedNode,
  type Rounding,
  RUN,
  wordOfNode,
} from '../../src/optim/rounding.ts';
import { keyOfSeed, philox4x32 } from '../../src/random.ts';

const f = Math.fround;
const [floats, words] = (() => {
  const buffer = new ArrayBuffer(4);
  return [new Float32Array(buffer), new Uint32Array(buffer)];
})();
const bitsOf = (x: number) => {
  floats[0] = x;
  return words[0]!;
};
const floatOf = (bits: number) => {
  words[0] = bits;
  return floats[0]!;
};

/** 16 random bits of element `index` of the flat layout. */
export function randomBits(index: number, { step, first, count }: RoundedNode, seed: number): number {
  const [run, place] = [Math.floor(index / RUN), index % RUN];
  const four = philox4x32(
    [4 * run + (place % 4), step, wordOfNode({ first, count }), ROUNDING_STREAM],
    keyOfSeed(seed),
  );
  const word = four[place >> 3]!;
  return (place >> 2) % 2 === 0 ? word & 0xffff : word >>> 16;
}

const halfOf = (x: number, more: number) => {
  if (Number.isNaN(x)) return Number.NaN;
  return Number.isFinite(x) ? floatOf(((bitsOf(x) + more) & 0xffff0000) >>> 0) : x;
};

/** The scale of a block. */
export function scaleOf(block: readonly number[]): number {
  const largest = Math.max(...block.map(Math.abs));
  let exponent = -126;
  while (largest > 127 * 2 ** exponent) exponent++;
  return 2 ** exponent;
}

/** Calls `round` for each block with its numbers, and puts what it returns in their place. */
function eachBlock(
  parameters: readonly ParameterSpec[],
  values: Float32Array,
  round: (block: number[], start: number) => readonly number[],
) {
  blocksOf(parameters)(0, values.length, (start, end) => {
    for (let at = start; at < end; at += BLOCK) {
      const block = [...values.subarray(at, Math.min(end, at + BLOCK))];
      values.set(round(block, at), at);
    }
  });
}

export function roundGradient(
  parameters: readonly ParameterSpec[],
  gradient: Float32Array,
  { precision, seed }: Rounding,
  node: RoundedNode,
): Float32Array {
  const rounded = gradient.slice();
  eachBlock(parameters, rounded, (block, start) => {
    const bits = (i: number) => randomBits(start + i, node, seed);
    if (precision === 'bf16') return block.map((x, i) => halfOf(x, bits(i)));
    if (!block.every(Number.isFinite)) return block.map(() => Number.NaN);
    const scale = scaleOf(block);
    return block.map((x, i) => Math.floor(f(f(x / scale) + (bits(i) + 0.5) / 65536)) * scale);
  });
  return rounded;
}

const nearest = (x: number) => {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
};

/** Rounds an update to the nearest. */
export function roundUpdate(
  parameters: readonly ParameterSpec[],
  update: Float32Array,
  precision: Rounding['precision'],
): Float32Array {
  const rounded = update.slice();
  eachBlock(parameters, rounded, (block) => {
    if (precision === 'bf16') return block.map((x) => halfOf(x, 0x7fff + ((bitsOf(x) >>> 16) & 1)));
    const scale = scaleOf(block);
    return block.map((x) => (nearest(f(x / scale)) + 0) * scale);
  });
  return rounded;
}
