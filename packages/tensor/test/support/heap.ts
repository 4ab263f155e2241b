/** The JavaScript heap without garbage. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that a step may keep: less than the smallest object, so that the test runner's own few do not count. */
export const LEAK = 200;

/** Bytes in use, those of array buffers included, after a collection. */
export function heapInUse(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
