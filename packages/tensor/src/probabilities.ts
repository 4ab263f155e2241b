/** Scores of a classifier as probabilities. The tensor library's own softmax is an operation; this is for those who have a list of scores. */
export function softmax(scores: ArrayLike<number>): number[] {
  const list = Array.from(scores);
  const largest = list.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  const powers = list.map((score) => Math.exp(score - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
