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

const TERMS = 11;

/** cos(pi t) for t in [0, 1], to about 1e-15: sin(pi (1/2 - t)) by its Taylor series, x - x^3/3! + ... - x^23/23!. */
export function cosineOfPi(t: number): number {
  const x = Math.PI * (0.5 - t);
  const square = x * x;
  let sum = 1;
  for (let n = TERMS; n >= 1; n--) sum = 1 - (square / (2 * n * (2 * n + 1))) * sum;
  return x * sum;
}
