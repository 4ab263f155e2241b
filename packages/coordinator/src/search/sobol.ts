/**
 * Sobol' points, which fill the unit cube evenly: dimension by dimension XORs of direction numbers (Joe and Kuo, "Constructing
 * Sobol sequences with better two-dimensional projections", 2008; the first of their table new-joe-kuo-6.21201).
 */

/** Of each dimension from the second: the inner coefficients of its primitive polynomial as bits, and the first direction numbers. */
const TABLE: readonly (readonly [coefficients: number, first: readonly number[]])[] = [
  [0, [1]],
  [1, [1, 3]],
  [1, [1, 3, 1]],
  [2, [1, 1, 1]],
  [1, [1, 1, 3, 3]],
  [4, [1, 3, 5, 13]],
  [2, [1, 1, 5, 5, 17]],
  [4, [1, 1, 5, 5, 5]],
  [7, [1, 1, 7, 11, 19]],
  [11, [1, 1, 5, 1, 1]],
  [13, [1, 1, 1, 3, 11]],
  [14, [1, 3, 5, 5, 31]],
  [1, [1, 3, 3, 9, 7, 49]],
  [13, [1, 1, 1, 15, 21, 21]],
  [16, [1, 3, 1, 13, 27, 49]],
  [19, [1, 1, 1, 15, 7, 5]],
  [22, [1, 3, 1, 15, 13, 25]],
  [25, [1, 1, 5, 5, 19, 61]],
  [1, [1, 3, 7, 11, 23, 15, 103]],
  [4, [1, 3, 7, 13, 13, 15, 69]],
];

export const DIMENSIONS = TABLE.length + 1;
const BITS = 32;

/** Direction numbers of a dimension, as fractions of 2^32. */
function directions(dimension: number): readonly number[] {
  const bit = (index: number) => (1 << (BITS - 1 - index)) >>> 0;
  if (dimension === 0) return Array.from({ length: BITS }, (_, index) => bit(index));
  const [coefficients, first] = TABLE[dimension - 1]!;
  const degree = first.length;
  const all = first.map((number, index) => Math.imul(number, bit(index)) >>> 0);
  for (let index = degree; index < BITS; index++) {
    const before = all[index - degree]!;
    let next = before ^ (before >>> degree);
    for (let k = 1; k < degree; k++) if ((coefficients >>> (degree - 1 - k)) & 1) next ^= all[index - k]!;
    all.push(next >>> 0);
  }
  return all;
}

const table = Array.from({ length: DIMENSIONS }, (_, dimension) => directions(dimension));

/** A coordinate of a point, counted from 0, as a fraction of 2^32. The points are in the order of their Gray codes, as is usual. */
export function sobol(point: number, dimension: number): number {
  const numbers = table[dimension];
  if (!numbers) throw new RangeError(`dimension ${dimension}; there are ${DIMENSIONS}`);
  const gray = (point ^ (point >>> 1)) >>> 0;
  let value = 0;
  for (let bit = 0; bit < BITS; bit++) if ((gray >>> bit) & 1) value ^= numbers[bit]!;
  return value >>> 0;
}
