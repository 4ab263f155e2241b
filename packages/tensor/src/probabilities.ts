/** Scores of a classifier as probabilities. The softmax of `nn/losses.ts` is an operation; this one is for a list of scores. */
export function softmax(scores: ArrayLike<number>): number[] {
  const list = Array.from(scores);
  const largest = list.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  const powers = list.map((score) => Math.exp(score - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
