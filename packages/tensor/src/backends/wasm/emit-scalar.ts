/**
 * Scalar expressions as SIMD code, four elements at a time. Transcendentals are polynomials in float32 (after Cephes,
 * S. Moshier), the same instructions everywhere, so that all engines give the same bits:
 *
 *     exp   1.5 ulp, also where the result is subnormal; overflow gives infinity
 *     log   1.5 ulp; log(0) = -infinity, negative numbers give NaN
 *     tanh  2 ulp
 *     erf   8 ulp
 *     sin, cos  absolute error 2e-7 up to |x| = 8192; beyond that the angle itself is lost to rounding
 */
import type { Expression } from '../../scalar/expression.ts';
import type { FunctionBuilder, Local } from './assembler.ts';

export interface ScalarEnvironment {
  /** Pushes the four elements of an input. */
  readonly input: (index: number) => void;
  /** Pushes a number that is known only when the kernel runs, in all lanes. */
  readonly scalar: (name: string) => void;
}

const unaryInstructions = {
  neg: 'f32x4Neg',
  abs: 'f32x4Abs',
  sqrt: 'f32x4Sqrt',
  floor: 'f32x4Floor',
} as const;
const binaryInstructions = {
  add: 'f32x4Add',
  sub: 'f32x4Sub',
  mul: 'f32x4Mul',
  div: 'f32x4Div',
  max: 'f32x4Max',
  min: 'f32x4Min',
} as const;
const compareInstructions = {
  lt: 'f32x4Lt',
  le: 'f32x4Le',
  gt: 'f32x4Gt',
  ge: 'f32x4Ge',
  eq: 'f32x4Eq',
  ne: 'f32x4Ne',
} as const;

/** Emits expressions into one function; what several of them share is computed once. */
export class ScalarEmitter {
  readonly #f: FunctionBuilder;
  readonly #environment: ScalarEnvironment;
  readonly #done = new Map<Expression, Local>();
  readonly #shared: ReadonlySet<Expression>;

  constructor(f: FunctionBuilder, environment: ScalarEnvironment, expressions: readonly Expression[]) {
    this.#f = f;
    this.#environment = environment;
    this.#shared = usedTwice(expressions);
  }

  /** Pushes the value of an expression. */
  emit(expression: Expression): void {
    const known = this.#done.get(expression);
    if (known !== undefined) {
      this.#f.get(known);
      return;
    }
    this.#compute(expression);
    if (!this.#shared.has(expression) || expression.kind === 'constant') return;
    const local = this.#f.local('v128');
    this.#f.tee(local);
    this.#done.set(expression, local);
  }

  #compute(expression: Expression): void {
    const f = this.#f;
    switch (expression.kind) {
      case 'constant':
        f.f32x4(expression.value);
        break;
      case 'input':
        this.#environment.input(expression.index);
        break;
      case 'scalar':
        this.#environment.scalar(expression.name);
        break;
      case 'unary':
        this.emit(expression.a);
        if (expression.op === 'exp') emitExp(f);
        else if (expression.op === 'log') emitLog(f);
        else if (expression.op === 'tanh') emitTanh(f);
        else if (expression.op === 'erf') emitErf(f);
        else if (expression.op === 'sin') emitSine(f, 0);
        else if (expression.op === 'cos') emitSine(f, 1);
        else f.op(unaryInstructions[expression.op]);
        break;
      case 'binary':
        this.emit(expression.a);
        this.emit(expression.b);
        f.op(binaryInstructions[expression.op]);
        break;
      case 'compare':
        this.#mask(expression);
        f.f32x4(1).op('v128And');
        break;
      case 'select':
        this.emit(expression.a);
        this.emit(expression.b);
        this.#mask(expression.condition);
        f.op('v128Bitselect');
        break;
    }
  }

  /** Pushes all ones in the lanes where the condition is not zero. */
  #mask(condition: Expression): void {
    if (condition.kind === 'compare' && !this.#done.has(condition)) {
      this.emit(condition.a);
      this.emit(condition.b);
      this.#f.op(compareInstructions[condition.op]);
    } else {
      this.emit(condition);
      this.#f.f32x4(0).op('f32x4Ne');
    }
  }
}

/** Expressions that occur more than once, by identity. */
function usedTwice(expressions: readonly Expression[]): Set<Expression> {
  const seen = new Set<Expression>();
  const twice = new Set<Expression>();
  const visit = (expression: Expression): void => {
    if (seen.has(expression)) {
      twice.add(expression);
      return;
    }
    seen.add(expression);
    for (const key of ['condition', 'a', 'b'] as const) {
      if (key in expression) visit((expression as unknown as Record<typeof key, Expression>)[key]);
    }
  };
  for (const expression of expressions) visit(expression);
  return twice;
}

/** Replaces x by ((c0 x + c1) x + ...) with x in `local`. */
function horner(f: FunctionBuilder, x: Local, coefficients: readonly number[]): void {
  coefficients.forEach((coefficient, index) => {
    if (index === 0) f.f32x4(coefficient);
    else f.get(x).op('f32x4Mul').f32x4(coefficient).op('f32x4Add');
  });
}

const LOG2_E = Math.LOG2E;
/** ln 2 in two parts: products of the first with small integers are exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444e-4;

/** Added to a number below 2^22 it leaves its nearest whole number in the last bits. */
const ROUNDER = 1.5 * 2 ** 23;
const ROUNDER_BITS = 0x4b400000;

function emitExp(f: FunctionBuilder): void {
  const [x, n, r, k, low] = [0, 1, 2, 3, 4].map(() => f.local('v128')) as [Local, Local, Local, Local, Local];
  // Below this the result is 0: computed as exp(0) and masked, since CPUs take a hundred times as long over what becomes 0 by
  // way of subnormal numbers, and masked attention is full of it. Above 89 it is infinity anyway. NaN goes through: pmin gives its
  // first where it can not compare, in one instruction on x86, where min takes several for NaN and -0.
  f.tee(x).f32x4(-104).op('f32x4Lt').set(low);
  f.get(x).get(low).op('v128Andnot').f32x4(89).op('f32x4Pmin').set(x);
  // Rounded to a whole number by a sum whose last bit is worth 1; V8 pairs sums, but not floor and conversions.
  f.get(x)
    .f32x4(LOG2_E)
    .op('f32x4Mul')
    .f32x4(ROUNDER)
    .op('f32x4Add')
    .tee(k)
    .f32x4(ROUNDER)
    .op('f32x4Sub')
    .set(n);
  f.get(x).get(n).f32x4(LN2_HIGH).op('f32x4Mul', 'f32x4Sub');
  f.get(n).f32x4(LN2_LOW).op('f32x4Mul', 'f32x4Sub').set(r);
  // exp(r) = 1 + r + r^2 p(r)
  horner(
    f,
    r,
    [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1],
  );
  f.get(r).op('f32x4Mul').get(r).op('f32x4Mul').get(r).op('f32x4Add').f32x4(1).op('f32x4Add');
  // times 2^n in two halves, each within the exponents of normal numbers
  f.get(k).i32x4(ROUNDER_BITS).op('i32x4Sub').tee(k).i32(1).op('i32x4ShrS').tee(n);
  powerOfTwo(f);
  f.op('f32x4Mul').get(k).get(n).op('i32x4Sub');
  powerOfTwo(f);
  f.op('f32x4Mul').get(low).op('v128Andnot');
}

/** Integers n on the stack become 2^n. */
function powerOfTwo(f: FunctionBuilder): void {
  f.i32x4(127).op('i32x4Add').i32(23).op('i32x4Shl');
}

const SMALLEST_NORMAL = 2 ** -126;

function emitLog(f: FunctionBuilder): void {
  const [x, m, e, z] = [f.local('v128'), f.local('v128'), f.local('v128'), f.local('v128')];
  const [tiny, low, y] = [f.local('v128'), f.local('v128'), f.local('v128')];
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

function emitTanh(f: FunctionBuilder): void {
  const [x, a, z] = [f.local('v128'), f.local('v128'), f.local('v128')];
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

/** x P(x^2) / Q(x^2), beyond |x| = 4 its value there, which is 1 (a rational minimax approximation, as in Eigen). */
function emitErf(f: FunctionBuilder): void {
  const [x, z] = [f.local('v128'), f.local('v128')];
  f.f32x4(-4).op('f32x4Pmax').f32x4(4).op('f32x4Pmin').set(x);
  f.get(x).get(x).op('f32x4Mul').set(z);
  horner(
    f,
    z,
    [
      -2.72614225801306e-10, 2.77068142495902e-8, -2.10102402082508e-6, -5.69250639462346e-5,
      -7.34990630326855e-4, -2.95459980854025e-3, -1.60960333262415e-2,
    ],
  );
  horner(
    f,
    z,
    [
      -1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3,
      -1.42647390514189e-2,
    ],
  );
  // x last: a product of it with P would be subnormal before x is.
  f.op('f32x4Div').get(x).op('f32x4Mul');
}

/** pi / 2 in three parts: products of the first two with small integers are exact. */
const HALF_PI = [1.5703125, 4.837512969970703e-4, 7.549789948768648e-8] as const;

/** sin(x + quarters * pi / 2). */
function emitSine(f: FunctionBuilder, quarters: 0 | 1): void {
  const [x, n, r, z, k] = [0, 1, 2, 3, 4].map(() => f.local('v128')) as [Local, Local, Local, Local, Local];
  f.set(x);
  f.get(x)
    .f32x4(2 / Math.PI)
    .op('f32x4Mul')
    .f32x4(0.5)
    .op('f32x4Add', 'f32x4Floor')
    .set(n);
  f.get(x);
  for (const part of HALF_PI) f.get(n).f32x4(part).op('f32x4Mul', 'f32x4Sub');
  f.set(r);
  f.get(r).get(r).op('f32x4Mul').set(z);
  f.get(n).op('i32x4TruncSatS').i32x4(quarters).op('i32x4Add').set(k);
  // cos(r), in the odd quarters
  horner(f, z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]);
  f.get(z).op('f32x4Mul').get(z).op('f32x4Mul').get(z).f32x4(0.5).op('f32x4Mul', 'f32x4Sub').f32x4(1);
  f.op('f32x4Add');
  // sin(r), in the even ones
  horner(f, z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]);
  f.get(z).op('f32x4Mul').get(r).op('f32x4Mul').get(r).op('f32x4Add');
  f.get(k).i32x4(1).op('v128And').i32x4(1).op('i32x4Eq', 'v128Bitselect');
  // The third and fourth quarter are negative.
  f.get(k).i32(1).op('i32x4ShrU').i32(31).op('i32x4Shl', 'v128Xor');
}
