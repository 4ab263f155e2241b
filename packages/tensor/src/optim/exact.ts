/**
 * Powers and cosines from additions and multiplications only. Math.pow and Math.cos may differ in the last bit between
 * engines; learning rates and bias corrections decide weights to the bit.
 */

/** base to a non-negative integer power, by repeated squaring. */
export function powerOf(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

const TERMS = 12;

/** cos(pi t) for t in [0, 1], to about 1e-15, exact at both ends: Taylor's 1 - x^2/2! + ... on [0, 1/2], mirrored beyond. */
export function cosineOfPi(t: number): number {
  if (t > 0.5) return -cosineOfPi(1 - t);
  const x = Math.PI * t;
  let sum = 1;
  for (let n = TERMS; n >= 1; n--) sum = 1 - ((x * x) / ((2 * n - 1) * 2 * n)) * sum;
  return sum;
}
