/**
 * What the losses of a learning-rate range test say (Smith 2015, 3.3; its exponential form and both suggestions as in fast.ai): pure
 * functions. With the exact logarithm, the same losses give the same bits on any machine.
 */
import { logarithmOf } from '@kasane/tensor/internal/optim/exact';

export interface Point {
  /** Counted from 1. */
  readonly step: number;
  readonly learningRate: number;
  /** Mean of the step's samples. */
  readonly loss: number;
}

export interface RangeTest {
  /** Without those after the loss has diverged. */
  readonly points: readonly (Point & { readonly smoothed: number })[];
  readonly diverged: boolean;
  /** Where the smoothed loss falls fastest per decade of the learning rate; undefined if it never falls. */
  readonly steepest: number | undefined;
  /** Where it is lowest. */
  readonly minimum: number | undefined;
  /** A tenth of the minimum, in two digits: unlike the steepest descent, it hardly depends on chance. */
  readonly suggestion: number | undefined;
}

/** Part of the steps that are too early to judge, and that are averaged on either side of one. */
const EARLY = 0.1;
const NEAR = 0.05;
/** Of the moving average by which divergence is told: one step may be an outlier. */
const DECAY = 0.9;
/** So many times the lowest loss is divergence. */
const DIVERGED = 4;
/** Part of the first loss by which it has to fall at least: less may be chance. */
const LEAST_FALL = 0.02;

export function rangeTest(all: readonly Point[]): RangeTest {
  const end = divergence(all);
  const points = withAverages(all.slice(0, end));
  const judged = points.slice(Math.floor(EARLY * all.length));
  const lowest = least(judged, ({ smoothed }) => smoothed);
  const first = points[0]?.smoothed ?? 0;
  const falls = lowest !== undefined && first - lowest.smoothed > LEAST_FALL * Math.abs(first);
  // Beyond the minimum the loss rises, whatever single steps do.
  const before = judged.slice(0, lowest ? judged.indexOf(lowest) + 1 : 0);
  const steepest = falls ? least(before.slice(1), (point) => slope(before, point)) : undefined;
  const minimum = falls ? lowest : undefined;
  return {
    points,
    diverged: end < all.length,
    steepest: steepest?.learningRate,
    minimum: minimum?.learningRate,
    suggestion: minimum && Number((minimum.learningRate / 10).toPrecision(2)),
  };
}

/** The first point at which the loss has grown far above its lowest, or is not finite; as many as there are, if it never does. */
function divergence(points: readonly Point[]): number {
  let [sum, weight, lowest] = [0, 0, Number.POSITIVE_INFINITY];
  let first: number | undefined;
  const early = points.slice(0, Math.ceil(EARLY * points.length)).map(({ loss }) => loss);
  // Differences between batches, while the learning rate is too low to matter.
  const chance = 2 * (Math.max(...early) - Math.min(...early));
  for (const [index, { loss }] of points.entries()) {
    if (!Number.isFinite(loss)) return index;
    sum = DECAY * sum + (1 - DECAY) * loss;
    weight = DECAY * weight + (1 - DECAY);
    const average = sum / weight;
    first ??= average;
    lowest = Math.min(lowest, average);
    // Losses may be below 0: then it has diverged when it is as far above the first as it had been below, or as 0 is, or as chance goes.
    const most = lowest > 0 ? DIVERGED * lowest : first + Math.max(first - lowest, Math.abs(first), chance);
    if (index >= EARLY * points.length && average > most && average > first) return index;
  }
  return points.length;
}

/** With the mean of the steps around each, which unlike a moving average does not lag behind. */
function withAverages(points: readonly Point[]): RangeTest['points'] {
  const reach = Math.max(1, Math.round(NEAR * points.length));
  return points.map((point, index) => {
    const near = points.slice(Math.max(0, index - reach), index + reach + 1);
    return { ...point, smoothed: near.reduce((sum, { loss }) => sum + loss, 0) / near.length };
  });
}

function slope(points: RangeTest['points'], point: RangeTest['points'][number]): number {
  const before = points[points.indexOf(point) - 1]!;
  const decades = logarithmOf(point.learningRate) - logarithmOf(before.learningRate);
  return (point.smoothed - before.smoothed) / decades;
}

/** The first of those with the lowest value. */
function least<T>(list: readonly T[], value: (one: T) => number): T | undefined {
  return list.reduce<T | undefined>(
    (best, one) => (best !== undefined && value(best) <= value(one) ? best : one),
    undefined,
  );
}
