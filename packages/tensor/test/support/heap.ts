/** The JavaScript heap without garbage. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that a step may keep: less than the smallest object, so that the test runner's own few do not count. */
export const LEAK = 200;

/**
 * Bytes that each step keeps, over three stretches of steps: the smallest figure, since what leaks does so in all of them, and what
 * the engine or the test runner allocates once does not. The collector itself moves a stretch by some 40 kB, so it wants a few
 * hundred steps.
 */
export async function heldByStep(
  steps: number,
  step: (index: number) => Promise<void> | void,
): Promise<number> {
  const stretch = Math.ceil(steps / 3);
  let least = Number.POSITIVE_INFINITY;
  for (let from = 0; from < steps; from += stretch) {
    const to = Math.min(from + stretch, steps);
    const before = heapInUse();
    for (let index = from; index < to; index++) await step(index);
    least = Math.min(least, (heapInUse() - before) / (to - from));
  }
  return least;
}

/** Bytes in use, those of array buffers included, after a collection. */
function heapInUse(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
