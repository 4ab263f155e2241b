/**
 * In which order sums are taken. That is part of their definition: it depends on their length alone, never on kernels, vectors,
 * threads or how a loop is cut, so that the bits of a result do not either. Errors grow with the logarithm of the length.
 *
 * A sum of n numbers (`sum`, means, what is broadcast in a forward pass):
 *   1. Blocks of SUM_BLOCK numbers that follow one another; the last may be shorter. In a block, lane l of 4 adds the numbers
 *      l, l + 4, l + 8, ... one after the other, from 0; the block's sum is (lane 0 + lane 1) + (lane 2 + lane 3).
 *   2. Whenever the last two sums stand for as many blocks, they become one: a binary tree that grows from the left.
 *   3. What is left in the end is added from the right to the left.
 * Axes that are neighbours are one sum; of others the inner are summed first, and then their sums along the outer.
 * Rows that go to one index (`scatterAdd`) are summed so too, a block one after the other, without lanes.
 *
 * A product of matrices, and whatever is computed as one (convolutions and their gradients): runs of at most a kernel's length of
 * products, each added up one product after the other from 0; then a level of up to RUNS runs, one after the other; then up
 * to RUNS of these, and so on.
 */

/** Numbers of a block of a sum, and lanes in it. */
export const SUM_BLOCK = 128;
export const SUM_LANES = 4;

/** Runs that are added one after the other before their sum counts as one number of the next level. */
export const RUNS = 32;

/** What a sum of more than RUNS runs is cut into: the longest part that is a run times a power of RUNS, and shorter than all. */
export function partOf(length: number, run: number): number {
  let part = run;
  while (part * RUNS < length) part *= RUNS;
  return part;
}

/** Sums that wait while such a sum is computed, besides the result. */
export const levelsOf = (length: number, run: number): number =>
  length <= run * RUNS ? 0 : 1 + levelsOf(partOf(length, run), run);
