/**
 * Trials compared by several metrics: by the fronts that they are on, and on one front by how far apart they are (Deb et al., "A fast and
 * elitist multiobjective genetic algorithm: NSGA-II", 2002).
 */
import { better, lastOf, type Trial } from './actions.ts';

/** All metrics of a trial that has them: the smaller the better. */
const pointOf = (trial: Trial): readonly number[] => [lastOf(trial)![1], ...trial.further];

const isEvaluated = ({ losses, failedAt }: Trial): boolean => losses.size > 0 && failedAt === undefined;

/** By the first metric, then by the second, and so on. */
function byMetrics(a: Trial, b: Trial): number {
  const [left, right] = [pointOf(a), pointOf(b)];
  const at = left.findIndex((value, index) => value !== right[index]);
  return at < 0 ? a.number - b.number : left[at]! - right[at]!;
}

/** Whether `a` is as good in everything, and better in something. */
function dominates(a: readonly number[], b: readonly number[]): boolean {
  return a.every((value, index) => value <= b[index]!) && a.some((value, index) => value < b[index]!);
}

/** The trials that no other dominates, best in the first metric first. */
export function frontOf(trials: readonly Trial[]): readonly Trial[] {
  const front: Trial[] = [];
  const points: (readonly number[])[] = [];
  // Who dominates a trial comes before it in this order, or somebody on the front does who dominates that one.
  for (const trial of trials.filter(isEvaluated).sort(byMetrics)) {
    const point = pointOf(trial);
    if (points.some((other) => dominates(other, point))) continue;
    front.push(trial);
    points.push(point);
  }
  return front;
}

/** The fronts from the best to the worst: each dominated only by trials on earlier ones. */
function* frontsOf(trials: readonly Trial[]): Generator<readonly Trial[]> {
  let left = trials.filter(isEvaluated);
  while (left.length > 0) {
    const front = frontOf(left);
    yield front;
    const taken = new Set(front);
    left = left.filter((trial) => !taken.has(trial));
  }
}

/** Of a front: those first whose neighbors are far away, so that it is known evenly. The ends come before all. */
function loneliestFirst(front: readonly Trial[]): readonly Trial[] {
  const distances = new Map(front.map((trial) => [trial, 0]));
  const metrics = front[0] ? pointOf(front[0]).length : 0;
  for (let metric = 0; metric < metrics; metric++) {
    const at = (trial: Trial) => pointOf(trial)[metric]!;
    const sorted = [...front].sort((a, b) => at(a) - at(b) || a.number - b.number);
    const range = at(sorted.at(-1)!) - at(sorted[0]!);
    for (const [index, trial] of sorted.entries()) {
      const [below, above] = [sorted[index - 1], sorted[index + 1]];
      const way =
        !below || !above ? Number.POSITIVE_INFINITY : range > 0 ? (at(above) - at(below)) / range : 0;
      distances.set(trial, distances.get(trial)! + way);
    }
  }
  const distance = (trial: Trial) => distances.get(trial)!;
  // Infinities are equal; their difference is not a number.
  return [...front].sort((a, b) =>
    distance(a) === distance(b) ? a.number - b.number : distance(b) - distance(a),
  );
}

/**
 * Trials from the best to the worst. Of several metrics: front after front.
 * @param most how many are needed in order; the others follow in any order
 */
export function bestFirst(trials: readonly Trial[], most = trials.length): readonly Trial[] {
  if (trials.every(({ further }) => further.length === 0)) return [...trials].sort(better);
  const sorted: Trial[] = [];
  for (const front of frontsOf(trials)) {
    sorted.push(...loneliestFirst(front));
    if (sorted.length >= most) break;
  }
  const isSorted = new Set(sorted);
  const left = trials.filter((trial) => isEvaluated(trial) && !isSorted.has(trial));
  return [...sorted, ...left, ...trials.filter((trial) => !isEvaluated(trial)).sort(better)];
}

/** The first of `candidates` in the order of `bestFirst(population)`, without sorting the whole population. */
export function bestAmong(candidates: readonly Trial[], population: readonly Trial[]): Trial | undefined {
  if (population.every(({ further }) => further.length === 0)) return [...candidates].sort(better)[0];
  const isCandidate = new Set(candidates);
  for (const front of frontsOf(population)) {
    if (front.some((trial) => isCandidate.has(trial)))
      return loneliestFirst(front).find((trial) => isCandidate.has(trial));
  }
  return undefined;
}
