/**
 * Arithmetic in float64, two numbers at a time, for expressions whose float32 arithmetic would lose digits and which take no part in the
 * time of a training: each is rounded to float32 once. Series are Taylor's, long enough for 2^-44 of the result.
 */

import type { FunctionBuilder, Local } from '../../assembler.ts';
import { type Expression, input, type UnaryOp } from '../../scalar/expression.ts';

const binaryInstructions = {
  add: 'f64x2Add',
  sub: 'f64x2Sub',
  mul: 'f64x2Mul',
  div: 'f64x2Div',
  max: 'f64x2Max',
  min: 'f64x2Min',
} as const;
const compareInstructions = {
  lt: 'f64x2Lt',
  le: 'f64x2Le',
  gt: 'f64x2Gt',
  ge: 'f64x2Ge',
  eq: 'f64x2Eq',
  ne: 'f64x2Ne',
} as const;

/**
 * Pushes the four float32 values of an expression that is computed in float64.
 * @param inputs four float32 numbers each
 * @param exact sines and cosines are of inputs as they are: then of any size, else up to 2^25
 */
export function emitWide(
  f: FunctionBuilder,
  body: Expression,
  inputs: readonly Local[],
  exact = false,
): void {
  const half = (low: boolean) => {
    const own = inputs.map((four) => {
      const two = f.local('v128');
      f.get(four);
      if (!low) f.get(four).shuffle32(2, 3, 2, 3);
      f.op('f64x2PromoteLow').set(two);
      return two;
    });
    new WideEmitter(f, own, exact).emit(body);
    f.op('f32x4DemoteZero');
  };
  half(true);
  half(false);
  f.shuffle32(0, 1, 4, 5);
}

/** sin(x + quarters pi / 2) of four float32 numbers of any size. */
export function emitSine(f: FunctionBuilder, op: 'sin' | 'cos'): void {
  const x = f.local('v128');
  f.set(x);
  emitWide(f, { kind: 'unary', op, a: input(0) }, [x], true);
}

class WideEmitter {
  readonly #f: FunctionBuilder;
  readonly #inputs: readonly Local[];
  readonly #exact: boolean;
  readonly #done = new Map<Expression, Local>();

  constructor(f: FunctionBuilder, inputs: readonly Local[], exact: boolean) {
    this.#f = f;
    this.#inputs = inputs;
    this.#exact = exact;
  }

  /** Pushes the value of an expression; each is computed once. */
  emit(expression: Expression): void {
    const f = this.#f;
    const known = this.#done.get(expression);
    if (known !== undefined) {
      f.get(known);
      return;
    }
    this.#compute(expression);
    if (expression.kind === 'constant' || expression.kind === 'input') return;
    const local = f.local('v128');
    f.tee(local);
    this.#done.set(expression, local);
  }

  #compute(expression: Expression): void {
    const f = this.#f;
    switch (expression.kind) {
      case 'constant':
        f.f64x2(expression.value);
        break;
      case 'input':
        f.get(this.#inputs[expression.index]!);
        break;
      case 'unary':
        this.emit(expression.a);
        this.#unary(expression.op);
        break;
      case 'binary':
        this.emit(expression.a);
        this.emit(expression.b);
        f.op(binaryInstructions[expression.op]);
        break;
      case 'compare':
        this.emit(expression.a);
        this.emit(expression.b);
        f.op(compareInstructions[expression.op]).f64x2(1).op('v128And');
        break;
      case 'select':
        this.emit(expression.a);
        this.emit(expression.b);
        this.emit(expression.condition);
        f.f64x2(0).op('f64x2Ne', 'v128Bitselect');
        break;
      default:
        throw new Error(`float64 arithmetic has no '${expression.kind}'`);
    }
  }

  #unary(op: UnaryOp): void {
    const f = this.#f;
    switch (op) {
      case 'neg':
        f.op('f64x2Neg');
        break;
      case 'abs':
        f.op('f64x2Abs');
        break;
      case 'floor':
        f.op('f64x2Floor');
        break;
      case 'exp':
        exponential(f);
        break;
      case 'log':
        logarithm(f);
        break;
      case 'sin':
      case 'cos':
        sine(f, op === 'cos' ? 1 : 0, this.#exact);
        break;
      default:
        throw new Error(`float64 arithmetic has no '${op}'`);
    }
  }
}

/** Replaces x by ((c0 x + c1) x + ...) with x in `local`. */
function horner(f: FunctionBuilder, x: Local, coefficients: readonly number[]): void {
  coefficients.forEach((coefficient, index) => {
    if (index === 0) f.f64x2(coefficient);
    else f.get(x).op('f64x2Mul').f64x2(coefficient).op('f64x2Add');
  });
}

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
/** Of x^n in e^x, from the highest. */
const EXPONENTIAL = Array.from({ length: 13 }, (_, i) => 1 / factorial(12 - i));
/** Of s^2n in artanh(s) / s, from the highest. */
const ARTANH = Array.from({ length: 11 }, (_, i) => 1 / (2 * (10 - i) + 1));
/** Of x^2n in sin(x) / x and cos(x), from the highest. */
const SINE = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? -1 : 1) / factorial(2 * (7 - i) + 1));
const COSINE = Array.from({ length: 9 }, (_, i) => (i % 2 === 0 ? 1 : -1) / factorial(2 * (8 - i)));

/** Added to a number below 2^51 it leaves its nearest whole number in the last bits. */
const ROUNDER = 1.5 * 2 ** 52;
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** Infinity, 0 and NaN come out by themselves. */
function exponential(f: FunctionBuilder): void {
  const [x, k, n, r, half] = locals(f, 5);
  f.f64x2(-750).op('f64x2Pmax').f64x2(750).op('f64x2Pmin').tee(x);
  f.f64x2(Math.LOG2E)
    .op('f64x2Mul')
    .f64x2(ROUNDER)
    .op('f64x2Add')
    .tee(k)
    .f64x2(ROUNDER)
    .op('f64x2Sub')
    .set(n);
  f.get(x).get(n).f64x2(LN2_HIGH).op('f64x2Mul', 'f64x2Sub').get(n).f64x2(LN2_LOW).op('f64x2Mul', 'f64x2Sub');
  f.set(r);
  horner(f, r, EXPONENTIAL);
  // Times 2^n in two halves; only the last bits of k matter.
  f.get(k).i32(1).op('i64x2ShrS').tee(half);
  powerOfTwo(f);
  f.op('f64x2Mul').get(k).get(half).op('i64x2Sub');
  powerOfTwo(f);
  f.op('f64x2Mul');
}

/** Integers n on the stack become 2^n. */
function powerOfTwo(f: FunctionBuilder): void {
  f.i64x2(1023).op('i64x2Add').i32(52).op('i64x2Shl');
}

/** Of numbers that are normal in float64, as all of float32 are, 0 and infinity; NaN for others. */
function logarithm(f: FunctionBuilder): void {
  const [x, bits, m, s, z, y] = locals(f, 6);
  f.set(x);
  // x = m 2^e with m from sqrt(1/2) to sqrt(2): the exponent of x / sqrt(1/2), so to say.
  f.get(x).i64x2(SQRT_HALF_BITS).op('i64x2Sub').set(bits);
  f.get(x).get(bits).i32(52).op('i64x2ShrS').i32(52).op('i64x2Shl', 'i64x2Sub').tee(m);
  f.f64x2(1).op('f64x2Sub').get(m).f64x2(1).op('f64x2Add', 'f64x2Div').tee(s).get(s).op('f64x2Mul').set(z);
  horner(f, z, ARTANH);
  f.get(s).get(s).op('f64x2Add', 'f64x2Mul');
  // The exponent as a number: behind a 1.5 of its own it is the last bits.
  f.get(bits).i32(52).op('i64x2ShrS').i64x2(ROUNDER_BITS).op('i64x2Add').f64x2(ROUNDER).op('f64x2Sub');
  f.f64x2(Math.LN2).op('f64x2Mul', 'f64x2Add').set(y);
  f.get(x).get(y).get(x).f64x2(Infinity).op('f64x2Lt', 'v128Not', 'v128Bitselect').set(y);
  f.f64x2(-Infinity).get(y).get(x).f64x2(0).op('f64x2Eq', 'v128Bitselect').set(y);
  f.f64x2(NaN).get(y).get(x).f64x2(0).op('f64x2Lt', 'v128Bitselect');
}

const bitsOf = (value: number): bigint => new BigInt64Array(Float64Array.of(value).buffer)[0]!;
const SQRT_HALF_BITS = bitsOf(Math.SQRT1_2);
const ROUNDER_BITS = bitsOf(ROUNDER);

/** sin(x + quarters pi / 2), of x or |x| with the sign put back. */
function sine(f: FunctionBuilder, quarters: 0 | 1, exact: boolean): void {
  const [x, r, z, k] = locals(f, 4);
  f.tee(x).op('f64x2Abs').set(r);
  if (exact) reduceAny(f, r, k);
  else reduceSmall(f, r, k);
  f.get(r).get(r).op('f64x2Mul').set(z);
  horner(f, z, COSINE);
  horner(f, z, SINE);
  f.get(r).op('f64x2Mul');
  // k is a number and a rounder: its last bits say which quarter it is.
  f.get(k).i64x2(quarters).op('i64x2Add').tee(k);
  f.i64x2(1).op('v128And').i64x2(1).op('i64x2Eq', 'v128Bitselect');
  f.get(k).i32(1).op('i64x2ShrU').i32(63).op('i64x2Shl', 'v128Xor');
  if (quarters === 0) f.get(x).f64x2(-0).op('v128And', 'v128Xor');
}

/** pi / 2 in three parts: products of the first two with whole numbers up to 2^25 are exact. */
const HALF_PI = [1.570796325802803, 9.920935184482005e-10, 6.123233995736766e-17] as const;

/** Replaces r, from 0 to 2^25, by what whole quarters leave of it, and sets k to ROUNDER plus their number. */
function reduceSmall(f: FunctionBuilder, r: Local, k: Local): void {
  const n = f.local('v128');
  f.get(r)
    .f64x2(2 / Math.PI)
    .op('f64x2Mul')
    .f64x2(ROUNDER)
    .op('f64x2Add')
    .tee(k)
    .f64x2(ROUNDER)
    .op('f64x2Sub')
    .set(n);
  f.get(r);
  for (const part of HALF_PI) f.get(n).f64x2(part).op('f64x2Mul', 'f64x2Sub');
  f.set(r);
}

/** 2 / pi, 24 bits at a time (Payne and Hanek 1983): enough for numbers up to 2^128. */
const TWO_OVER_PI = [0xa2f983, 0x6e4e44, 0x1529fc, 0x2757d1, 0xf534dd, 0xc0db62, 0x95993c, 0x439041];

/**
 * The same for any r of 24 bits. Its product with each part of 2 / pi is exact, and so is what multiples of 4 and whole numbers leave of
 * it; only the last of these sums is rounded.
 */
function reduceAny(f: FunctionBuilder, r: Local, k: Local): void {
  const [x, y, whole] = locals(f, 3);
  f.get(r).set(x);
  f.f64x2(0).set(r).f64x2(ROUNDER).set(k);
  /** Takes the nearest whole number off `from` and counts it. */
  const takeWhole = (from: Local) => {
    f.get(from)
      .f64x2(ROUNDER)
      .op('f64x2Add')
      .f64x2(ROUNDER)
      .op('f64x2Sub')
      .tee(whole)
      .get(k)
      .op('f64x2Add')
      .set(k);
    f.get(from).get(whole).op('f64x2Sub').set(from);
  };
  for (const [i, part] of TWO_OVER_PI.entries()) {
    f.get(x)
      .f64x2(part * 2 ** (-24 * (i + 1)))
      .op('f64x2Mul')
      .tee(y);
    f.get(y).f64x2(0.25).op('f64x2Mul', 'f64x2Floor').f64x2(4).op('f64x2Mul', 'f64x2Sub').set(y);
    takeWhole(y);
    f.get(r).get(y).op('f64x2Add').set(r);
    takeWhole(r);
  }
  f.get(r)
    .f64x2(Math.PI / 2)
    .op('f64x2Mul')
    .set(r);
}

type Locals = readonly [Local, Local, Local, Local, Local, Local];
const locals = (f: FunctionBuilder, count: number) =>
  Array.from({ length: count }, () => f.local('v128')) as unknown as Locals;
