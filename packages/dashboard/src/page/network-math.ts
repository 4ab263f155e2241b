/** What is made of a network's scores; small enough not to wait for the network's own module. */

/** Probabilities of scores. */
export function softmax(scores: ArrayLike<number>): number[] {
  const list = Array.from(scores);
  const most = Math.max(...list);
  const parts = list.map((score) => Math.exp(score - most));
  const sum = parts.reduce((a, b) => a + b, 0);
  return parts.map((part) => part / sum);
}
