/** The JavaScript heap without garbage. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that a step may keep: less than the smallest object, so that the test runner's own few do not count. */
export const LEAK = 200;

/**
 * Bytes that each step keeps, over two stretches of steps: the smaller figure, since what leaks does so in both, and what the engine
 * or the test runner allocates once does not.
 */
export async function heldByStep(
  steps: number,
  step: (index: number) => Promise<void> | void,
): Promise<number> {
  const half = Math.floor(steps / 2);
  const grown: number[] = [];
  for (const [from, to] of [
    [0, half],
    [half, steps],
  ] as const) {
    const before = heapInUse();
    for (let index = from; index < to; index++) await step(index);
    grown.push((heapInUse() - before) / (to - from));
  }
  return Math.min(...grown);
}

/** Bytes in use, those of array buffers included, after a collection. */
function heapInUse(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
