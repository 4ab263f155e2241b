/** Choosing the next token from a model's scores. The same seed chooses the same tokens. */
import { keyOfSeed, philox4x32, unitInterval } from './random.ts';

export interface SamplingOptions {
  /** What scores are divided by: 0 always takes the best token, above 1 is bolder. Default 1. */
  readonly temperature?: number;
  /** Only the best so many are drawn from; 0: all. Default 0. */
  readonly topK?: number;
  /** Default 0. */
  readonly seed?: number;
}

/**
 * Draws a token from softmax(scores / temperature).
 * @param place how many were drawn before: each has randomness of its own
 * @returns its number; of equal scores the lower number counts as the better
 * @throws RangeError when no score is a number
 */
export function sampleToken(scores: ArrayLike<number>, place: number, options: SamplingOptions = {}): number {
  const { temperature = 1, topK = 0, seed = 0 } = options;
  const ranked = Array.from({ length: scores.length }, (_, token) => token)
    .filter((token) => !Number.isNaN(scores[token]!))
    .sort((a, b) => scores[b]! - scores[a]! || a - b);
  const best = ranked[0];
  if (best === undefined)
    throw new RangeError('all scores are NaN: the weights are damaged, or training has diverged');
  if (temperature === 0) return best;
  const candidates = topK > 0 ? ranked.slice(0, topK) : ranked;
  const weights = candidates.map((token) => Math.exp((scores[token]! - scores[best]!) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  const [bits] = philox4x32([place, 0, 0, 0xffff_fffe], keyOfSeed(seed));
  let rest = unitInterval(bits!) * total;
  for (const [index, weight] of weights.entries()) {
    rest -= weight;
    if (rest < 0) return candidates[index]!;
  }
  return candidates.at(-1)!;
}
