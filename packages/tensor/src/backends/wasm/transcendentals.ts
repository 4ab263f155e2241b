/**
 * Transcendental functions of four float32 numbers, as polynomials in float32: the same instructions everywhere, so that all engines give
 * the same bits. Those that take no part in the time of a training are in `wide.ts`. What each keeps to is stated in `ops/accuracy.ts`
 * and tested over the whole range of float32.
 */
import type { FunctionBuilder, Local } from '../../assembler.ts';

/** As many vectors. */
const vectors = <T extends readonly string[]>(f: FunctionBuilder, ...names: T) =>
  names.map(() => f.local('v128')) as unknown as { readonly [K in keyof T]: Local };

/** Replaces x by ((c0 x + c1) x + ...) with x in `local`. */
function horner(f: FunctionBuilder, x: Local, coefficients: readonly number[]): void {
  coefficients.forEach((coefficient, index) => {
    if (index === 0) f.f32x4(coefficient);
    else f.get(x).op('f32x4Mul').f32x4(coefficient).op('f32x4Add');
  });
}

/** ln 2 in two parts: products of the first with small integers are exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444e-4;

/** Added to a number below 2^22 it leaves its nearest whole number in the last bits. */
const ROUNDER = 1.5 * 2 ** 23;

/** (e^r - 1 - r) / r^2 for |r| up to ln 2 / 2, to 2^-28 of e^r. */
const EXPONENTIAL = [1.381453929e-3, 8.368745185e-3, 4.16683908e-2, 0.166665204, 0.4999999343];

/** e^x as `mantissa` times a power of two. */
interface Power {
  readonly mantissa: Local;
  /** The power in its last bits. */
  readonly exponent: Local;
}

/** e^(x - minus) for x from -152 to 89; NaN goes through. */
function power(f: FunctionBuilder, x: Local, minus?: Local): Power {
  const [n, r, k, mantissa] = vectors(f, 'n', 'r', 'k', 'mantissa');
  // Rounded to a whole number by a sum whose last bit is worth 1; V8 pairs sums, but not floor and conversions.
  f.get(x).f32x4(Math.LOG2E).op('f32x4Mul').f32x4(ROUNDER).op('f32x4Add');
  f.tee(k).f32x4(ROUNDER).op('f32x4Sub').set(n);
  f.get(x).get(n).f32x4(LN2_HIGH).op('f32x4Mul', 'f32x4Sub');
  f.get(n).f32x4(LN2_LOW).op('f32x4Mul', 'f32x4Sub');
  if (minus !== undefined) f.get(minus).op('f32x4Sub');
  f.set(r);
  horner(f, r, EXPONENTIAL);
  f.get(r).op('f32x4Mul').get(r).op('f32x4Mul').get(r).op('f32x4Add').f32x4(1).op('f32x4Add').set(mantissa);
  return { mantissa, exponent: k };
}

/** The function multiplies the number on the stack by the power in two halves, each of which is a normal number when it is not. */
function halvesOf(f: FunctionBuilder, { exponent }: Power): () => void {
  const [half, first, second] = vectors(f, 'half', 'first', 'second');
  f.get(exponent).i32(1).op('i32x4ShrS').tee(half);
  powerOfTwo(f);
  f.set(first).get(exponent).get(half).op('i32x4Sub');
  powerOfTwo(f);
  f.set(second);
  return () => f.get(first).op('f32x4Mul').get(second).op('f32x4Mul');
}

/** Integers n on the stack become 2^n. Only their last bits matter: the rounder's others are shifted out. */
function powerOfTwo(f: FunctionBuilder): void {
  f.i32x4(127).op('i32x4Add').i32(23).op('i32x4Shl');
}

export function emitExp(f: FunctionBuilder): void {
  const [x, low] = vectors(f, 'x', 'low');
  // Below this the result is 0: computed as exp(0) and masked, since CPUs take a hundred times as long over what becomes 0 by
  // way of subnormal numbers, and masked attention is full of it. Above 89 it is infinity anyway. NaN goes through: pmin gives its
  // first where it can not compare, in one instruction on x86, where min takes several for NaN and -0.
  f.tee(x).f32x4(-104).op('f32x4Lt').set(low);
  f.get(x).get(low).op('v128Andnot').f32x4(89).op('f32x4Pmin').set(x);
  const found = power(f, x);
  const scale = halvesOf(f, found);
  f.get(found.mantissa);
  scale();
  f.get(low).op('v128Andnot');
}

const SMALLEST_NORMAL = 2 ** -126;

export function emitLog(f: FunctionBuilder): void {
  const [x, m, e, z, tiny, low, y] = vectors(f, 'x', 'm', 'e', 'z', 'tiny', 'low', 'y');
  f.set(x);
  // Subnormal numbers are scaled up first.
  f.get(x).f32x4(SMALLEST_NORMAL).op('f32x4Lt').set(tiny);
  f.get(x)
    .f32x4(2 ** 24)
    .op('f32x4Mul')
    .get(x)
    .get(tiny)
    .op('v128Bitselect')
    .set(m);
  // x = m 2^e with m in [0.5, 1)
  f.get(m).i32(23).op('i32x4ShrU').i32x4(0xff).op('v128And').i32x4(126).op('i32x4Sub', 'f32x4ConvertS');
  f.f32x4(24).get(tiny).op('v128And', 'f32x4Sub').set(e);
  f.get(m).i32x4(0x007fffff).op('v128And').i32x4(0x3f000000).op('v128Or').set(m);
  // bring m to [sqrt(1/2), sqrt(2)) and take 1 off
  f.get(m).f32x4(Math.SQRT1_2).op('f32x4Lt').set(low);
  f.get(e).f32x4(1).get(low).op('v128And', 'f32x4Sub').set(e);
  f.get(m).f32x4(1).op('f32x4Sub').get(m).get(low).op('v128And', 'f32x4Add').set(m);
  f.get(m).get(m).op('f32x4Mul').set(z);
  horner(
    f,
    m,
    [
      7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
      2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    ],
  );
  f.get(m).op('f32x4Mul').get(z).op('f32x4Mul');
  f.get(e).f32x4(LN2_LOW).op('f32x4Mul', 'f32x4Add');
  f.get(z).f32x4(0.5).op('f32x4Mul', 'f32x4Sub').get(m).op('f32x4Add');
  f.get(e).f32x4(LN2_HIGH).op('f32x4Mul', 'f32x4Add').set(y);
  // infinity and NaN stay, 0 gives -infinity, negative numbers NaN
  f.get(x).get(y).get(x).f32x4(Infinity).op('f32x4Lt', 'v128Not', 'v128Bitselect').set(y);
  f.f32x4(-Infinity).get(y).get(x).f32x4(0).op('f32x4Eq', 'v128Bitselect').set(y);
  f.f32x4(NaN).get(y).get(x).f32x4(0).op('f32x4Lt', 'v128Bitselect');
}

export function emitTanh(f: FunctionBuilder): void {
  const [x, a, z] = vectors(f, 'x', 'a', 'z');
  f.tee(x).op('f32x4Abs').set(a);
  f.get(x).get(x).op('f32x4Mul').set(z);
  // |x| < 0.625: x + x^3 p(x^2)
  horner(f, z, [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]);
  f.get(z).op('f32x4Mul').get(x).op('f32x4Mul').get(x).op('f32x4Add');
  // otherwise 1 - 2 / (exp(2 |x|) + 1)
  f.f32x4(1).f32x4(2).get(a).get(a).op('f32x4Add');
  emitExp(f);
  f.f32x4(1).op('f32x4Add', 'f32x4Div', 'f32x4Sub');
  f.get(a).f32x4(0.625).op('f32x4Lt', 'v128Bitselect');
  // The sign goes to both, so that tanh(-0) is -0.
  f.get(x).f32x4(-0).op('v128And', 'v128Or');
}

/** 2 artanh(s) / s - 2, over s^2, for s from 0 to 1/3. */
const LOGARITHM = [0.2428955888, 0.2143074046, 0.2861659678, 0.3999888835, 0.666666755];

/** max(x, 0) + log(1 + e), where e = exp(-|x|) and log(1 + e) = 2 artanh(e / (2 + e)). */
export function emitSoftplus(f: FunctionBuilder): void {
  const [x, e, s, z] = vectors(f, 'x', 'e', 's', 'z');
  f.tee(x).op('f32x4Abs', 'f32x4Neg');
  emitExp(f);
  f.tee(e).get(e).f32x4(2).op('f32x4Add', 'f32x4Div').tee(s).get(s).op('f32x4Mul').set(z);
  horner(f, z, LOGARITHM);
  f.get(z).op('f32x4Mul').get(s).op('f32x4Mul').get(s).get(s).op('f32x4Add', 'f32x4Add');
  f.get(x).get(x).f32x4(0).op('f32x4Lt', 'v128Andnot', 'f32x4Add');
}

/** x / (1 + exp(-x)): where x is negative, x e / (1 + e) with e = exp(-|x|), of which x e is there before e is subnormal. */
export function emitSilu(f: FunctionBuilder): void {
  const [x, a, low, negative] = vectors(f, 'x', 'a', 'low', 'negative');
  f.tee(x).f32x4(0).op('f32x4Lt').set(negative);
  f.get(x).op('f32x4Abs', 'f32x4Neg').tee(a).f32x4(-109).op('f32x4Lt').set(low);
  f.get(a).get(low).op('v128Andnot').set(a);
  const found = power(f, a);
  const { mantissa } = found;
  const scale = halvesOf(f, found);
  f.get(x).get(mantissa).op('f32x4Mul');
  scale();
  f.get(low).op('v128Andnot').get(x).get(negative).op('v128Bitselect');
  f.get(mantissa);
  scale();
  f.get(low).op('v128Andnot').f32x4(1).op('f32x4Add', 'f32x4Div');
}

/**
 * The upper tail of the normal distribution, less its exponential: exp(t^2 / 2) erfc(t / sqrt(2)) / 2 = P(t) / (sqrt(2 pi) t P(t) + A(t))
 * for t from 0 to 14.6. Where t is large, what P rounds cancels.
 */
const TAIL_P = [5.771910409e-3, 5.115102958e-2, 0.2133659607, 0.4772022489, 0.5000000221];
const TAIL_A = [1.445605771e-2, 0.1286626703, 0.4989776192, 1];
/** From here on the tail, and so gelu of a negative number, is subnormal and taken to be 0. */
const FAR = 13.2;

interface Tail {
  /** The absolute value, 0 where it is far. */
  readonly t: Local;
  /** Pushes what comes before the exponential. */
  readonly ratio: () => void;
  /** Pushes the number on the stack times exp(-t^2 / 2), 0 where t is far. */
  readonly scale: () => void;
}

/** The upper tail of the normal distribution at t, which is on the stack and not negative. */
function tailOf(f: FunctionBuilder): Tail {
  const [t, far, high, square, rest, ratio] = vectors(f, 't', 'far', 'high', 'square', 'rest', 'ratio');
  // See emitExp for why that is a mask. NaN goes through.
  f.tee(t).f32x4(FAR).op('f32x4Gt').set(far);
  f.get(t).get(far).op('v128Andnot').set(t);
  // -t^2 / 2 in two parts, since its rounding would be as much of the result: the square of twelve bits is exact.
  f.get(t)
    .i32x4(-4096)
    .op('v128And')
    .tee(high)
    .get(high)
    .op('f32x4Mul')
    .f32x4(-0.5)
    .op('f32x4Mul')
    .set(square);
  f.get(t).get(high).op('f32x4Sub').get(t).get(high).op('f32x4Add', 'f32x4Mul').f32x4(0.5).op('f32x4Mul');
  f.set(rest);
  const { mantissa, exponent } = power(f, square, rest);
  const multiply = () => {
    f.get(mantissa).op('f32x4Mul').get(exponent);
    powerOfTwo(f);
    f.op('f32x4Mul').get(far).op('v128Andnot');
  };
  const push = () => {
    horner(f, t, TAIL_P);
    f.tee(ratio).get(ratio).get(t).f32x4(SQRT_TWO_PI).op('f32x4Mul', 'f32x4Mul');
    horner(f, t, TAIL_A);
    f.op('f32x4Add', 'f32x4Div');
  };
  return { t, ratio: push, scale: multiply };
}

const SQRT_TWO_PI = Math.sqrt(2 * Math.PI);

/** x times the normal distribution function: -|x| tail(|x|) below 0, x less that above. */
export function emitGelu(f: FunctionBuilder): void {
  const [x, product] = vectors(f, 'x', 'product');
  f.tee(x).op('f32x4Abs');
  const { t, ratio, scale } = tailOf(f);
  ratio();
  f.get(t).op('f32x4Mul');
  scale();
  f.set(product);
  f.get(x).get(x).f32x4(0).op('f32x4Lt', 'v128Andnot').get(product).op('f32x4Sub');
}

/**
 * The slope of gelu, normal(x) + x density(x): tail(|x|) - |x| density(x) below 0, and what that leaves of 1 above. Tail and density
 * have their exponential in common.
 */
export function emitGeluSlope(f: FunctionBuilder): void {
  const [x, slope] = vectors(f, 'x', 'slope');
  f.tee(x).op('f32x4Abs');
  const { t, ratio, scale } = tailOf(f);
  ratio();
  f.get(t)
    .f32x4(1 / SQRT_TWO_PI)
    .op('f32x4Mul', 'f32x4Sub');
  scale();
  f.tee(slope).f32x4(1).get(slope).op('f32x4Sub');
  f.get(x).f32x4(0).op('f32x4Lt', 'v128Bitselect');
}

/** erf(x) / x - 1, over x^2, for |x| up to 0.9. */
const ERF = [-6.090356036e-4, 5.011961958e-3, -2.677890824e-2, 0.1128214079, -0.3761252327, 0.1283791538];

/** x + x P(x^2) near 0, elsewhere 1 - 2 tail(|x| sqrt(2)) with the sign of x. */
export function emitErf(f: FunctionBuilder): void {
  const [x, a, z] = vectors(f, 'x', 'a', 'z');
  f.tee(x).op('f32x4Abs').set(a);
  f.get(x).get(x).op('f32x4Mul').set(z);
  horner(f, z, ERF);
  f.get(x).op('f32x4Mul').get(x).op('f32x4Add');
  f.f32x4(1).get(a).f32x4(Math.SQRT2).op('f32x4Mul');
  const { ratio, scale } = tailOf(f);
  ratio();
  scale();
  f.f32x4(2).op('f32x4Mul', 'f32x4Sub');
  f.get(a).f32x4(0.9).op('f32x4Lt', 'v128Bitselect');
  // The sign goes to both; see emitTanh.
  f.get(x).f32x4(-0).op('v128And', 'v128Or');
}
