/** Metrics of predictions, in float64 over plain arrays. Scores are row-major [samples, classes]. */

import { classScores } from '../tally.ts';

function checkRows(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const classes = scores.length / labels.length;
  if (labels.length === 0 || !Number.isInteger(classes)) {
    throw new RangeError(
      `${scores.length} scores and ${labels.length} labels; expected the same number of scores for each label`,
    );
  }
  return classes;
}

/**
 * Part of the samples whose label is among the k largest scores. Of equal scores the earlier class counts as larger; a sample with a
 * score that is no number is wrong.
 */
export function topKAccuracy(scores: ArrayLike<number>, labels: ArrayLike<number>, k: number): number {
  const classes = checkRows(scores, labels);
  let hits = 0;
  for (let sample = 0; sample < labels.length; sample++) {
    const label = labels[sample]!;
    const own = scores[sample * classes + label]!;
    let ahead = 0;
    for (let c = 0; c < classes; c++) {
      const other = scores[sample * classes + c]!;
      if (other > own || (other === own && c < label)) ahead++;
      if (Number.isNaN(other)) ahead = classes;
    }
    if (ahead < k && ahead < classes) hits++;
  }
  return hits / labels.length;
}

/** Part of the samples whose largest score stands at the label. */
export const accuracy = (scores: ArrayLike<number>, labels: ArrayLike<number>): number =>
  topKAccuracy(scores, labels, 1);

/**
 * F1 of predicted classes: 2 TP / (2 TP + FP + FN) of each class, averaged over the classes that occur (macro average).
 */
export function f1(predicted: ArrayLike<number>, labels: ArrayLike<number>): number {
  if (predicted.length !== labels.length || labels.length === 0) {
    throw new RangeError(
      `${predicted.length} predictions and ${labels.length} labels; expected equal numbers, at least one`,
    );
  }
  const classes = [...new Set([...Array.from(predicted), ...Array.from(labels)])].sort((a, b) => a - b);
  const counts = new Map(classes.map((c) => [c, { actual: 0, predicted: 0, hits: 0 }]));
  for (let i = 0; i < labels.length; i++) {
    const [actual, taken] = [labels[i]!, predicted[i]!];
    counts.get(actual)!.actual++;
    counts.get(taken)!.predicted++;
    if (actual === taken) counts.get(actual)!.hits++;
  }
  return classes.reduce((sum, c) => sum + classScores(counts.get(c)!).f1, 0) / classes.length;
}

/** Coefficient of determination: 1 - (squared errors) / (squared distances of the targets from their mean). */
export function rSquared(predicted: ArrayLike<number>, targets: ArrayLike<number>): number {
  if (predicted.length !== targets.length || targets.length === 0) {
    throw new RangeError(
      `${predicted.length} predictions and ${targets.length} targets; expected equal numbers, at least one`,
    );
  }
  const list = Array.from(targets);
  const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
  const errors = list.reduce((sum, value, i) => sum + (value - predicted[i]!) ** 2, 0);
  const spread = list.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return 1 - errors / spread;
}

/**
 * Area under the ROC curve: the probability that a sample of the class has a higher score than one that is not of it, ties by half
 * (Hanley & McNeil 1982). NaN where all samples, or none, are of it, or a score is no number.
 * @param scores of each sample for the class @param isOf whether each is of it
 */
export function rocAuc(scores: ArrayLike<number>, isOf: ArrayLike<unknown>): number {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort(
    (a, b) => scores[a]! - scores[b]!,
  );
  let [ranks, positives] = [0, 0];
  for (let from = 0, to = 0; from < order.length; from = to) {
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) to++;
    if (to === from) return Number.NaN;
    for (let i = from; i < to; i++) {
      if (!isOf[order[i]!]) continue;
      positives++;
      ranks += (from + 1 + to) / 2;
    }
  }
  const negatives = order.length - positives;
  return (ranks - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** exp of the mean cross-entropy of each token, in nats. */
export const perplexity = (meanCrossEntropy: number): number => Math.exp(meanCrossEntropy);
