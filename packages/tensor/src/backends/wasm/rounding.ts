/** Rounds floats in a WebAssembly memory, block by block, and gradients that lie elsewhere by way of one. */
import type { ParameterSpec } from '../../nn/model.ts';
import { BLOCK, blocksOf, type RoundedNode, type Rounding, RUN, wordOfNode } from '../../optim/rounding.ts';
import { keyOfSeed } from '../../random.ts';
import { feedbackKernel, stochasticKernel } from './emit-rounding.ts';
import { PAGE } from './memory.ts';
import { type Instantiate, instantiatorOver } from './updater-loops.ts';

const BLOCK_BYTES = 4 * BLOCK;
/** Floats of a gradient that are copied and rounded at a time. */
const COPIED = 1 << 14;
const TENSORS = 4;
/** Bytes beside the floats in which blocks are rounded that are not whole. */
export const SCRATCH_BYTES = TENSORS * BLOCK_BYTES;

/** Addresses of the floats of an update from the first of its range on. */
export type UpdateAddresses = readonly [
  parameters: number,
  before: number,
  residuals: number,
  changes: number,
];

/** Ranges are of one block, or of blocks that are whole, as `blocksOf` finds them. */
export interface BlockRounder {
  /** Rounds the floats [start, end) of the flat layout, which begin at the address, as part of a node. */
  round(address: number, start: number, end: number, node: RoundedNode): void;
  /** Rounds an update of the floats [start, end) to the nearest; see `feedbackKernel`. */
  feedback(addresses: UpdateAddresses, start: number, end: number): void;
}

/** @param scratch the address of SCRATCH_BYTES */
export function blockRounder(
  memory: WebAssembly.Memory,
  instantiate: Instantiate,
  { precision, seed }: Rounding,
  scratch: number,
): BlockRounder {
  const key = keyOfSeed(seed);
  const stochastic = instantiate(stochasticKernel(precision));
  const feedback = instantiate(feedbackKernel(precision));
  const at = (address: number, floats: number) => new Float32Array(memory.buffer, address, floats);
  const places = Array.from({ length: TENSORS }, (_, tensor) => scratch + tensor * BLOCK_BYTES);
  const isWhole = (start: number, end: number) => start % BLOCK === 0 && end % BLOCK === 0;
  return {
    round(address, start, end, node) {
      const random = (from: number, to: number, run: number) =>
        stochastic(from, to, run, node.step, wordOfNode(node), ...key);
      if (isWhole(start, end)) return random(address, address + 4 * (end - start), start / RUN);
      const inside = start % RUN;
      const length = Math.ceil((inside + end - start) / RUN) * RUN;
      const copy = at(scratch, length).fill(0);
      const floats = at(address, end - start);
      copy.set(floats, inside);
      random(scratch, scratch + 4 * length, (start - inside) / RUN);
      floats.set(copy.subarray(inside, inside + end - start));
    },
    feedback(addresses, start, end) {
      const count = end - start;
      if (isWhole(start, end)) return feedback(...addresses, addresses[0] + 4 * count);
      const length = Math.ceil(count / 4) * 4;
      for (const [index, address] of addresses.entries())
        at(places[index]!, length).fill(0).set(at(address, count));
      feedback(...(places as unknown as UpdateAddresses), places[0]! + 4 * length);
      for (const index of [0, 2, 3]) at(addresses[index]!, count).set(at(places[index]!, count));
    },
  };
}

/** Rounds gradients where they are computed. */
export interface GradientRounder {
  /** Rounds the floats [start, end) of a gradient in the flat layout, which begin and end where parameters do. */
  round(gradient: Float32Array, start: number, end: number, node: RoundedNode): void;
}

export function openRounder(parameters: readonly ParameterSpec[], rounding: Rounding): GradientRounder {
  const scratch = 4 * COPIED + 16;
  const pages = Math.ceil((scratch + SCRATCH_BYTES) / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const blocks = blockRounder(memory, instantiatorOver(memory), rounding, scratch);
  const visitBlocks = blocksOf(parameters);
  return {
    round(gradient, start, end, node) {
      visitBlocks(start, end, (first, last) => {
        for (let from = first; from < last; from += COPIED) {
          const to = Math.min(last, from + COPIED);
          const floats = gradient.subarray(from, to);
          // As far from an address that 8 divides: from memory that threads share, others are copied byte by byte.
          const place = (gradient.byteOffset + 4 * from) % 8;
          const copy = new Float32Array(memory.buffer, place, to - from);
          copy.set(floats);
          blocks.round(place, from, to, node);
          floats.set(copy);
        }
      });
    },
  };
}
