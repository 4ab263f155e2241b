/** The order of sums, as plain loops over numbers of their own: what `src/ops/summation.ts` says, written a second time. */

const add = (a: number, b: number) => Math.fround(a + b);

/** The sum of numbers in blocks of 128, which are summed by themselves, and a binary tree over the blocks. */
export function blockSum(values: readonly number[], ofBlock: (values: readonly number[]) => number): number {
  const waiting: number[] = [];
  for (let block = 0; 128 * block < values.length; block++) {
    let sum = ofBlock(values.slice(128 * block, 128 * (block + 1)));
    for (let count = block + 1; count % 2 === 0; count /= 2) sum = add(waiting.pop()!, sum);
    waiting.push(sum);
  }
  return waiting.reduceRight((right, left) => add(left, right), waiting.pop() ?? 0);
}

/** The same with four lanes in each block. */
export const treeSum = (values: ArrayLike<number>): number =>
  blockSum(Array.from(values), (block) => {
    const lanes = [0, 0, 0, 0];
    for (const [i, value] of block.entries()) lanes[i % 4] = add(lanes[i % 4]!, value);
    return add(add(lanes[0]!, lanes[1]!), add(lanes[2]!, lanes[3]!));
  });

/** Sums over axes: neighbouring ones are one, of others the inner come first. */
export function sumOver(
  values: Float32Array,
  shape: readonly number[],
  axes: readonly number[],
): Float32Array {
  const long = shape.map((_, axis) => axis).filter((axis) => shape[axis] !== 1);
  // Runs of axes, that are summed or not, as one axis each.
  const runs: { extent: number; summed: boolean }[] = [];
  for (const axis of long) {
    const summed = axes.includes(axis);
    const last = runs.at(-1);
    if (last?.summed === summed) last.extent *= shape[axis]!;
    else runs.push({ extent: shape[axis]!, summed });
  }
  let found = values;
  for (let run = runs.length - 1; run >= 0; run--) {
    const { extent, summed } = runs[run]!;
    if (!summed) continue;
    const sizes = (of: typeof runs) => of.reduce((size, own) => size * own.extent, 1);
    const inner = sizes(runs.slice(run + 1).filter((own) => !own.summed));
    const outer = sizes(runs.slice(0, run));
    const next = new Float32Array(outer * inner);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        next[o * inner + i] = treeSum(
          Float32Array.from({ length: extent }, (_, e) => found[(o * extent + e) * inner + i]!),
        );
      }
    }
    found = next;
  }
  return found;
}

/** The sum of `length` float32 terms in runs, and then 32 runs at a time. */
export function runSum(length: number, run: number, term: (index: number) => number): number {
  const from = (start: number, end: number): number => {
    let part = run;
    while (part * 32 < end - start) part *= 32;
    let sum = 0;
    if (end - start <= run) {
      for (let i = start; i < end; i++) sum = add(sum, term(i));
      return sum;
    }
    for (let at = start; at < end; at += part) sum = add(sum, from(at, Math.min(end, at + part)));
    return sum;
  };
  return from(0, length);
}
