/** Random numbers of a sweep: functions of its seed, the trial, and what they are for. */
import { keyOfSeed, philox4x32, unitInterval } from '@kasane/tensor/random';

/** Word 3 of the counter; see tensor/random. */
const SEARCH_STREAM = 0x8000_0400;

export const purposes = { value: 0, shift: 1, candidate: 2, mutation: 3 } as const;

/** In [0, 1): the n-th number of a trial for a parameter. */
export function unit(
  seed: number,
  trial: number,
  parameter: number,
  purpose: keyof typeof purposes,
  n = 0,
): number {
  const [word] = philox4x32([trial, parameter, n, SEARCH_STREAM + purposes[purpose]], keyOfSeed(seed));
  return unitInterval(word);
}
