/** Losses and softmax, as compositions of operations. Each loss gives one number a sample: [samples, ...] to [samples]. */
import type { Node } from '../graph.ts';
import { gather } from '../ops/gather.ts';
import { checkLabels, oneHot } from '../ops/labels.ts';
import { constant } from '../ops/leaf.ts';
import { detach, reshape } from '../ops/movement.ts';
import {
  abs,
  add,
  div,
  elu,
  exp,
  le,
  log,
  max,
  mul,
  neg,
  pow,
  select,
  sigmoid,
  softplus,
  sub,
} from '../ops/pointwise.ts';
import { maxReduce, mean, sum } from '../ops/reduce.ts';

/** Scores less their row's maximum: exp of it cannot overflow. The maximum cancels out of every gradient. */
function shifted(logits: Node): Node {
  return sub(logits, detach(maxReduce(logits, [-1], true)));
}

/** The lowest finite float32. */
const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

/** exp(x) / sum exp(x) over the last axis. */
export function softmax(logits: Node): Node {
  const powers = exp(shifted(logits));
  return div(powers, sum(powers, [-1], true));
}

/** The smallest sum of a softmax that sees something is 1: this is lost in it, and divides where nothing is seen. */
const NOTHING = 2 ** -60;

/**
 * Softmax over the last axis of the scores for which every condition is not 0. The others have weight and gradient exactly 0, whatever
 * their scores, and so has a row in which there is nothing else.
 */
export function maskedSoftmax(logits: Node, conditions: readonly Node[]): Node {
  const seen = conditions.reduce(
    (scores, condition) => select(condition, scores, constant(Number.NEGATIVE_INFINITY)),
    logits,
  );
  // Of a row that sees nothing the maximum is -infinity, which less itself is no number.
  const largest = max(detach(maxReduce(seen, [-1], true)), constant(LOWEST));
  const powers = exp(sub(seen, largest));
  return div(powers, add(sum(powers, [-1], true), constant(NOTHING)));
}

/** log(softmax(x)) over the last axis. */
export function logSoftmax(logits: Node): Node {
  const scores = shifted(logits);
  return sub(scores, log(sum(exp(scores), [-1], true)));
}

/** (1 - p)^power of losses -log(p). 1 - p is 1 - exp(-loss), which elu has without losing digits; not quite 0, where a slope may be infinite. */
const focus = (losses: Node, power: number): Node =>
  pow(max(neg(elu(neg(losses))), constant(NOTHING)), constant(power));

export interface CrossEntropyOptions {
  /**
   * Part of the target that is spread evenly over all classes (Szegedy et al. 2016, section 7), each of which then counts with its weight.
   * Default 0.
   */
  readonly labelSmoothing?: number;
  /** f32 [classes]: factor of each class's part of the loss. The mean divides by the weights of the labels, as in PyTorch. Default 1. */
  readonly classWeights?: Node;
  /**
   * Multiplies the loss by (1 - p)^focal, p being the probability of the label, so that samples that are right already count less (Lin et al.
   * 2017). Default 0: all count alike.
   */
  readonly focal?: number;
}

/**
 * Cross-entropy of each sample: log(sum exp(logits)) - logits[label]. logits [..., classes], labels i32 [...] -> [...]. Running it throws
 * LabelError for a label that is no class.
 */
export function crossEntropy(logits: Node, labels: Node, options: CrossEntropyOptions = {}): Node {
  const { labelSmoothing = 0, classWeights, focal = 0 } = options;
  const scores = shifted(logits);
  const normalizer = log(sum(exp(scores), [-1]));
  // Not a product: a score of -infinity elsewhere would make it no number.
  const classes = checkLabels(labels, logits.shape.at(-1)!);
  const chosen = sum(select(oneHot(classes, logits.shape.at(-1)!), scores, constant(0)), [-1]);
  const plain = sub(normalizer, chosen);
  const hard = focal === 0 ? plain : mul(focus(plain, focal), plain);
  const weighted = classWeights ? mul(hard, gather(classWeights, classes)) : hard;
  if (labelSmoothing === 0) return weighted;
  const each = classWeights
    ? mul(sub(reshape(normalizer, [...labels.shape, 1]), scores), classWeights)
    : undefined;
  const smooth = each ? mean(each, [-1]) : sub(normalizer, mean(scores, [-1]));
  return add(mul(constant(1 - labelSmoothing), weighted), mul(constant(labelSmoothing), smooth));
}

/** Mean over everything but the samples. */
const perSample = (losses: Node): Node =>
  losses.shape.length > 1
    ? mean(
        losses,
        losses.shape.slice(1).map((_, axis) => axis + 1),
      )
    : losses;

/** Binary cross-entropy from scores: t softplus(-x) + (1 - t) softplus(x), exact also where x is large. Targets in [0, 1]. */
export function binaryCrossEntropy(logits: Node, targets: Node): Node {
  const [yes, no] = [softplus(neg(logits)), softplus(logits)];
  return perSample(add(mul(targets, yes), mul(sub(constant(1), targets), no)));
}

/**
 * 1 - (2 sum of p t + 1) / (sum of p + sum of t + 1) over all outputs of a sample, p = sigmoid(x): how little yeses that were predicted and
 * those that are there overlap (Milletari et al. 2016, without their squares). However few yeses there are, they count as much.
 */
export function dice(logits: Node, targets: Node): Node {
  const axes = logits.shape.slice(1).map((_, axis) => axis + 1);
  const total = (x: Node) => sum(x, axes);
  const p = sigmoid(logits);
  const overlap = add(mul(constant(2), total(mul(p, targets))), constant(1));
  return sub(constant(1), div(overlap, add(add(total(p), total(targets)), constant(1))));
}

/** Mean of (y - t)^2. */
export function meanSquaredError(predictions: Node, targets: Node): Node {
  const away = sub(predictions, targets);
  return perSample(mul(away, away));
}

/** Mean of |y - t|. */
export const meanAbsoluteError = (predictions: Node, targets: Node): Node =>
  perSample(abs(sub(predictions, targets)));

/** Mean of 0.5 d^2 for a distance d up to delta, delta (d - 0.5 delta) beyond (Huber 1964). Default delta 1. */
export function huber(predictions: Node, targets: Node, delta = 1): Node {
  const away = abs(sub(predictions, targets));
  const square = mul(constant(0.5), mul(away, away));
  const line = mul(constant(delta), sub(away, constant(0.5 * delta)));
  return perSample(select(le(away, constant(delta)), square, line));
}
