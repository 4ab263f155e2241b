/** Random numbers of a sweep: functions of its seed, the trial, and what they are for. */
import { cosineOfPi, logarithmOf } from '@kasane/tensor/internal/optim/exact';
import { keyOfSeed, philox4x32, unitInterval } from '@kasane/tensor/random';

/** Word 3 of the counter; see tensor/random. */
const SEARCH_STREAM = 0x8000_0400;
const purposes = { value: 0, shift: 1, candidate: 2, mutation: 3, parent: 4 } as const;

/** A number of a trial for a parameter. */
export interface Place {
  readonly seed: number;
  readonly trial: number;
  readonly parameter: number;
  readonly purpose: keyof typeof purposes;
  /** Counts the draws for the same. */
  readonly n?: number;
}

/** Four random uint32. */
const words = ({ seed, trial, parameter, purpose, n = 0 }: Place) =>
  philox4x32([trial, parameter, n, SEARCH_STREAM + purposes[purpose]], keyOfSeed(seed));

/** In [0, 1). */
export const unit = (place: Place): number => unitInterval(words(place)[0]);

/** A bit string of 32. */
export const bits = (place: Place): number => words(place)[0];

/** In [0, 1), and from the normal distribution independently of that (Box and Muller 1958). */
export function unitAndNormal(place: Place): readonly [unit: number, normal: number] {
  const [first, second, third] = words(place);
  const angle = 2 * unitInterval(third);
  const radius = Math.sqrt(-2 * logarithmOf(1 - unitInterval(second)));
  return [unitInterval(first), radius * cosineOfPi(angle > 1 ? 2 - angle : angle)];
}
