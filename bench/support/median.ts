/** Of benchmarks' figures; NaN of none. Of an even number the upper of the two in the middle. */
export const median = (list: readonly number[]): number =>
  [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
