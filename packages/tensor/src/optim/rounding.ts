/**
 * Gradients and updates with fewer bits than float32, as they are exchanged. What is rounded are the gradient of each shard, each sum of
 * two of them along the tree of shards, and each update of the parameters: so nobody sees who exchanged what, or whether it was sent at all.
 *
 * bf16: the upper 16 bits of a float32. int8: whole numbers from -127 to 127 times a power of two, the least with which the largest number
 * of a block fits. A block is at most BLOCK floats of one parameter: it ends where the parameter does, and at multiples of BLOCK of the flat
 * layout. A block with a number that is not finite is NaN. Statistics are not rounded.
 *
 * Gradients are rounded up or down at random, so that the mean over many of them is right; the bits are Philox's, by seed, step, node of
 * the tree and element. Updates are rounded to the nearest, and what is lost is added to the next.
 */
import type { ParameterSpec } from '../nn/model.ts';
import type { ShardGroup } from '../ops/shard-tree.ts';

/** Of what is exchanged, in the words of a job file. */
export const precisions = ['f32', 'bf16', 'int8'] as const;
export type Precision = (typeof precisions)[number];

export interface Rounding {
  readonly precision: Exclude<Precision, 'f32'>;
  /** Of the job. */
  readonly seed: number;
}

/** Floats of a block at most. */
export const BLOCK = 1024;
/** Elements of a run: four calls of Philox have 16 bits for each. */
export const RUN = 32;
/** Word 3 of the counter when gradients are rounded. */
export const ROUNDING_STREAM = 0x8000_0300;

/** What of a gradient is rounded: the sum of a step's shards `group`; of one, its gradient. */
export interface RoundedNode extends ShardGroup {
  readonly step: number;
}

/** Word 2 of the counter. A job has at most 1024 shards. */
export const wordOfNode = ({ first, count }: ShardGroup): number => first * 2048 + count;

/** Hears of floats [start, end): of one block, or of several that are whole. */
export type VisitBlocks = (start: number, end: number) => void;

/** Makes a function that goes through the blocks of the floats [start, end), which begin and end where blocks do. */
export function blocksOf(
  parameters: readonly Pick<ParameterSpec, 'offset' | 'size' | 'statistic'>[],
): (start: number, end: number, visit: VisitBlocks) => void {
  const trained = parameters.flatMap(({ offset, size, statistic }) =>
    statistic ? [] : [{ start: offset, end: offset + size }],
  );
  return (start, end, visit) => {
    for (let at = firstAfter(trained, start); at < trained.length && trained[at]!.start < end; at++)
      visitBlocks(Math.max(start, trained[at]!.start), Math.min(end, trained[at]!.end), visit);
  };
}

/** The blocks of one parameter's floats [start, end). */
export function visitBlocks(start: number, end: number, visit: VisitBlocks): void {
  let at = start;
  while (at < end) {
    const isAligned = at % BLOCK === 0;
    const whole = end - (end % BLOCK);
    const next = isAligned && at < whole ? whole : Math.min(end, at - (at % BLOCK) + BLOCK);
    visit(at, next);
    at = next;
  }
}

/** The place of the first range that ends after `start`; they ascend. */
export function firstAfter(ranges: readonly { readonly end: number }[], start: number): number {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle]!.end > start) high = middle;
    else low = middle + 1;
  }
  return low;
}
