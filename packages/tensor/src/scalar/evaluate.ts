/** Runs scalar expressions in float64: the definition that generated code is judged by. */
import type { BinaryOp, CompareOp, Expression, UnaryOp } from './expression.ts';

/** The numbers of one element: input i at place i. */
export type ScalarFunction = (inputs: readonly number[]) => number;

const unary: Readonly<Record<UnaryOp, (a: number) => number>> = {
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  floor: Math.floor,
  exp: Math.exp,
  log: Math.log,
  tanh: Math.tanh,
  erf,
  sin: Math.sin,
  cos: Math.cos,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  // Far below 0 both are 0, also at -infinity.
  silu: (x) => (x < -800 ? -0 : x * (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)))),
  gelu: (x) => (x < -40 ? -0 : x * normal(x)),
  geluSlope: (x) =>
    Math.abs(x) > 40 ? Number(x > 0) : normal(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
};

/** The normal distribution function. */
function normal(x: number): number {
  const tail = complement(Math.abs(x) * Math.SQRT1_2) / 2;
  return x < 0 ? tail : 1 - tail;
}

/** 1 - erf(x) of x >= 0; where the difference would lose digits, by a continued fraction (Abramowitz and Stegun 7.1.14). */
function complement(x: number): number {
  if (!(x > 2)) return 1 - erf(x);
  let fraction = x;
  for (let n = 100; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}

/** erf(x) = 2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1 * 3 * ... * (2n+1)) (Abramowitz and Stegun 7.1.6). */
function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const binary: Readonly<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
};

const compare: Readonly<Record<CompareOp, (a: number, b: number) => boolean>> = {
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
};

/**
 * A function of one element's inputs.
 * @param scalars values of the expression's `scalar`s
 */
export function compileScalar(
  expression: Expression,
  scalars: Readonly<Record<string, number>> = {},
): ScalarFunction {
  const compiled = (inner: Expression) => compileScalar(inner, scalars);
  switch (expression.kind) {
    case 'constant': {
      const { value } = expression;
      return () => value;
    }
    case 'input': {
      const { index } = expression;
      return (inputs) => inputs[index]!;
    }
    case 'scalar': {
      const value = scalars[expression.name];
      if (value === undefined)
        throw new Error(`scalar '${expression.name}' has no value; given: ${Object.keys(scalars)}`);
      return () => value;
    }
    case 'unary': {
      const [f, a] = [unary[expression.op], compiled(expression.a)];
      return (inputs) => f(a(inputs));
    }
    case 'binary': {
      const [f, a, b] = [binary[expression.op], compiled(expression.a), compiled(expression.b)];
      return (inputs) => f(a(inputs), b(inputs));
    }
    case 'compare': {
      const [f, a, b] = [compare[expression.op], compiled(expression.a), compiled(expression.b)];
      return (inputs) => (f(a(inputs), b(inputs)) ? 1 : 0);
    }
    case 'wide': {
      const [body, args] = [compiled(expression.body), expression.args.map(compiled)];
      return (inputs) => body(args.map((arg) => arg(inputs)));
    }
    case 'select': {
      const [condition, a, b] = [
        compiled(expression.condition),
        compiled(expression.a),
        compiled(expression.b),
      ];
      return (inputs) => (condition(inputs) !== 0 ? a(inputs) : b(inputs));
    }
  }
}

/** The value of an expression for one element. */
export function evaluateScalar(
  expression: Expression,
  inputs: readonly number[],
  scalars?: Readonly<Record<string, number>>,
): number {
  return compileScalar(expression, scalars)(inputs);
}
