/** The Pareto front of two results: the points that no other point beats in both. */

/** @param points two numbers each, the smaller the better @returns indexes, in the order of the first number */
export function frontOf(points: readonly (readonly [number, number])[]): readonly number[] {
  const order = [...points.keys()].sort(
    (a, b) => points[a]![0] - points[b]![0] || points[a]![1] - points[b]![1] || a - b,
  );
  let least = Number.POSITIVE_INFINITY;
  return order.filter((index) => {
    const isBetter = points[index]![1] < least;
    if (isBetter) least = points[index]![1];
    return isBetter;
  });
}
