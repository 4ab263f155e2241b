/** Losses and softmax, as compositions of operations. */
import type { Node } from '../graph.ts';
import { oneHot } from '../ops/labels.ts';
import { detach } from '../ops/movement.ts';
import { div, exp, log, mul, sub } from '../ops/pointwise.ts';
import { maxReduce, sum } from '../ops/reduce.ts';

/** Scores less their row's maximum: exp of it cannot overflow. The maximum cancels out of every gradient. */
function shifted(logits: Node): Node {
  return sub(logits, detach(maxReduce(logits, [-1], true)));
}

/** exp(x) / sum exp(x) over the last axis. */
export function softmax(logits: Node): Node {
  const powers = exp(shifted(logits));
  return div(powers, sum(powers, [-1], true));
}

/** Cross-entropy of each sample: log(sum exp(logits)) - logits[label]. logits [n, classes], labels i32 [n] -> [n]. */
export function crossEntropy(logits: Node, labels: Node): Node {
  const scores = shifted(logits);
  const normalizer = log(sum(exp(scores), [-1]));
  const chosen = sum(mul(scores, oneHot(labels, logits.shape.at(-1)!)), [-1]);
  return sub(normalizer, chosen);
}
