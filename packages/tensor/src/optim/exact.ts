/**
 * Powers, cosines, logarithms from additions, multiplications and divisions only. Math.pow and Math.cos may differ in the last bit
 * between engines; learning rates, bias corrections and what is drawn at random decide weights to the bit.
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

/** The natural logarithm of a finite number above 0, to about 1e-15: 2 artanh((m - 1) / (m + 1)) of what a power of two leaves. */
export function logarithmOf(value: number): number {
  let [m, exponent] = [value, 0];
  for (; m > Math.SQRT2; exponent++) m /= 2;
  for (; m < Math.SQRT1_2; exponent--) m *= 2;
  const s = (m - 1) / (m + 1);
  let sum = 0;
  for (let n = TERMS; n >= 0; n--) sum = 1 / (2 * n + 1) + s * s * sum;
  return exponent * Math.LN2 + 2 * s * sum;
}

/** e^x for x from -700 to 700, to about 1e-14 of it: Taylor's series of what multiples of ln 2 leave. */
export function exponentialOf(x: number): number {
  const doublings = Math.floor(x / Math.LN2 + 0.5);
  const rest = x - doublings * Math.LN2;
  let sum = 1;
  for (let n = TERMS + 2; n >= 1; n--) sum = 1 + (rest / n) * sum;
  const scale = powerOf(2, Math.abs(doublings));
  return doublings < 0 ? sum / scale : sum * scale;
}
