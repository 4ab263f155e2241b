/**
 * The table of pointwise operations, arithmetic and activations alike: one line says what happens to one element (a
 * scalar expression, from which every backend makes its code), how gradients flow, and where to test it. All take and
 * give f32 and broadcast as NumPy does; nothing is inserted for that, the shape rule says it and backends do it.
 */
import type { Node } from '../graph.ts';
import * as s from '../scalar/expression.ts';
import { substitute } from '../scalar/substitute.ts';
import { broadcastShapes, type Shape } from '../shape.ts';
import { constant } from './leaf.ts';
import {
  apply,
  type CaseInput,
  expectInputs,
  fail,
  type GradientRule,
  type NoGradient,
  type Op,
  type OpCase,
} from './op.ts';

type None = Readonly<Record<string, never>>;

export interface PointwiseOp extends Op<None> {
  readonly arity: number;
  readonly expression: s.Expression;
}

/** Where to test an input; 'whole': integers only, so that values meet. */
type Domain = readonly [from: number, to: number, whole?: 'whole'];

function pointwise(
  name: string,
  expression: s.Expression,
  gradient: GradientRule | NoGradient,
  ...domains: Domain[]
): PointwiseOp {
  return {
    name,
    arity: domains.length,
    expression,
    gradient,
    broadcasts: true,
    signature: (inputs) => {
      expectInputs(
        name,
        inputs,
        domains.map(() => 'f32'),
      );
      const shape = broadcastShapes(inputs.map((node) => node.shape));
      return { shape: shape ?? fail(name, inputs, 'shapes must broadcast'), dtype: 'f32' };
    },
    cases: casesFor(domains),
  };
}

/** Shapes whose sizes are not multiples of 4, axes of size one, scalars, and stretching on either side. */
function casesFor(domains: readonly Domain[]): OpCase<None>[] {
  const shapes: [label: string, ...Shape[]][] =
    domains.length === 1
      ? [
          ['vector of 7', [7]],
          ['scalar', []],
          ['3-D', [2, 3, 5]],
        ]
      : [
          ['same shapes', [3, 5], [3, 5], [3, 5]],
          ['row stretched', [3, 5], [5], [3, 5]],
          ['column stretched', [3, 1], [3, 6], [1, 6]],
          ['both stretched', [4, 1], [1, 3], [4, 3]],
          ['scalar', [9], [], [9]],
          ['inner axis of 3', [2, 1, 3], [4, 1], [2, 4, 3]],
          ['empty', [0, 3], [3], [1]],
        ];
  return shapes.map(([label, ...of]) => ({
    label,
    inputs: domains.map(
      ([from, to, whole], i): CaseInput => ({
        shape: of[i]!,
        domain: [from, to],
        whole: whole !== undefined,
      }),
    ),
    attributes: {},
  }));
}

const [x, y, z] = [s.input(0), s.input(1), s.input(2)];
const any: Domain = [-2, 2];
const meeting: Domain = [-2, 3, 'whole'];
const positive: Domain = [0.25, 3];
const flat: NoGradient = { none: 'piecewise constant: the gradient is zero wherever there is one' };

/** sqrt(2 / pi) and the weight of the cube in the approximation of gelu. */
const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

const unary = (op: PointwiseOp) => (a: Node) => apply(op, [a], {});
const binary = (op: PointwiseOp) => (a: Node, b: Node) => apply(op, [a, b], {});
const zero = () => constant(0);
const one = () => constant(1);

/** a and b of a node of two inputs. */
const pair = (node: Node) => node.inputs as readonly [Node, Node];
const only = (node: Node) => node.inputs[0]!;

/** exp(-|x|): what 1 / (1 + exp(-x)) is made of without overflow. */
const decay = s.exp(s.neg(s.abs(x)));
const plusDecay = s.add(s.constant(1), decay);
const negative = s.lt(x, s.constant(0));
/** Numerators of sigmoid(x) and sigmoid(-x). */
const above = s.select(negative, decay, s.constant(1));
const below = s.select(negative, s.constant(1), decay);

/** x to the power of y in float64, as IEEE 754 says: of a negative x for whole y only. */
const power = (() => {
  const [zero, one, size] = [s.constant(0), s.constant(1), s.abs(x)];
  const half = s.mul(y, s.constant(0.5));
  const whole = s.eq(y, s.floor(y));
  const odd = s.mul(whole, s.ne(half, s.floor(half)));
  const value = s.select(s.eq(size, one), one, s.exp(s.mul(y, s.log(size))));
  // 1 / x of zeros of both signs has their sign too.
  const below = s.lt(s.select(s.eq(x, zero), s.div(one, x), x), zero);
  const signed = s.select(s.mul(below, odd), s.neg(value), value);
  const defined = s.select(s.lt(x, zero), s.select(s.eq(size, s.constant(Infinity)), one, whole), one);
  return s.select(
    s.eq(y, zero),
    one,
    s.select(s.eq(x, one), one, s.select(defined, signed, s.constant(NaN))),
  );
})();

/** The slope of x^y by x, y x^(y - 1); 0 where y is 0, whatever x is. */
const powerSlope = s.select(
  s.eq(y, s.constant(0)),
  s.constant(0),
  s.mul(y, substitute(power, [x, s.sub(y, s.constant(1))])),
);

/** exp(x) - 1, in float64; near 0 by its series, since the difference would lose all digits there. */
const growth = (() => {
  const [square, cube] = [s.mul(x, x), s.mul(x, s.mul(x, x))];
  const series = s.add(
    s.add(x, s.mul(square, s.constant(1 / 2))),
    s.add(s.mul(cube, s.constant(1 / 6)), s.mul(s.mul(cube, x), s.constant(1 / 24))),
  );
  return s.select(s.lt(s.abs(x), s.constant(2 ** -10)), series, s.sub(s.exp(x), s.constant(1)));
})();

/** x + 3 in the range from 0 to 6, by 6: the straight line that stands in for sigmoid (Howard et al. 2019). */
const hardGate = s.div(s.min(s.max(s.add(x, s.constant(3)), s.constant(0)), s.constant(6)), s.constant(6));

/** Approximation of gelu by tanh, 0.5 x (1 + tanh(u)), as x / (1 + exp(-2 u)), which loses no digits where that is small. */
const geluByTanh = s.div(
  x,
  s.add(
    s.constant(1),
    s.exp(s.mul(s.constant(-2 * GELU_SCALE), s.add(x, s.mul(s.constant(GELU_CUBIC), s.mul(x, s.mul(x, x)))))),
  ),
);

/**
 * Of step x and feature y of z: sin(x / 10000^(2i / z)) at feature 2i, the cosine of the same at 2i + 1 (Vaswani et al. 2017, section 3.5).
 */
const sinusoidal = (() => {
  const half = s.floor(s.mul(y, s.constant(0.5)));
  const angle = s.mul(x, s.exp(s.div(s.mul(half, s.constant(-2 * Math.log(10_000))), z)));
  return s.select(s.sub(y, s.mul(half, s.constant(2))), s.cos(angle), s.sin(angle));
})();

/** The table. Of a tie in max and min both inputs get half of the gradient, where one is NaN both get all of it, as in PyTorch. */
export const pointwiseOps = {
  add: pointwise('add', s.add(x, y), (_, g) => [g, g], any, any),
  sub: pointwise('sub', s.sub(x, y), (_, g) => [g, neg(g)], any, any),
  mul: pointwise('mul', s.mul(x, y), (n, g) => [mul(g, pair(n)[1]), mul(g, pair(n)[0])], any, any),
  div: pointwise(
    'div',
    s.div(x, y),
    (n, g) => [div(g, pair(n)[1]), neg(div(mul(g, n), pair(n)[1]))],
    any,
    positive,
  ),
  max: pointwise('max', s.max(x, y), (n, g) => shared(lt(...pair(n)), gt(...pair(n)), n, g), any, any),
  min: pointwise('min', s.min(x, y), (n, g) => shared(gt(...pair(n)), lt(...pair(n)), n, g), any, any),
  neg: pointwise('neg', s.neg(x), (_, g) => [neg(g)], any),
  abs: pointwise('abs', s.abs(x), (n, g) => [mul(g, sub(gt(only(n), zero()), lt(only(n), zero())))], any),
  sqrt: pointwise('sqrt', s.sqrt(x), (n, g) => [div(mul(g, constant(0.5)), n)], positive),
  exp: pointwise('exp', s.exp(x), (n, g) => [mul(g, n)], [-3, 3]),
  log: pointwise('log', s.log(x), (n, g) => [div(g, only(n))], positive),
  tanh: pointwise('tanh', s.tanh(x), (n, g) => [mul(g, sub(one(), mul(n, n)))], [-3, 3]),
  floor: pointwise('floor', s.floor(x), flat, any),
  /** From the output, so that the input need not be kept for the backward pass. Where that is NaN the gradient goes through. */
  relu: pointwise('relu', s.max(x, s.constant(0)), (n, g) => [select(le(n, zero()), zero(), g)], any),
  sigmoid: pointwise('sigmoid', s.div(above, plusDecay), (n, g) => [mul(g, mul(n, sub(one(), n)))], [-4, 4]),
  /** As IEEE 754 says: 1 for 1^y and x^0 whatever the other is; NaN for a negative base of a fraction. */
  pow: pointwise(
    'pow',
    s.wide(power, x, y),
    (n, g) => {
      const [base, exponent] = pair(n);
      // The logarithm of 0 is infinite, and has no part in 0^y.
      const flat = mul(eq(base, zero()), ge(exponent, zero()));
      return [mul(g, powSlope(base, exponent)), select(flat, zero(), mul(g, mul(n, log(base))))];
    },
    positive,
    [-2, 3],
  ),
  /** y x^(y - 1) */
  powSlope: pointwise(
    'powSlope',
    s.wide(powerSlope, x, y),
    (n, g) => {
      const [base, exponent] = pair(n);
      const less = sub(exponent, one());
      const rest = add(one(), mul(exponent, log(base)));
      return [mul(g, mul(exponent, powSlope(base, less))), mul(g, mul(pow(base, less), rest))];
    },
    positive,
    [-2, 3],
  ),
  erf: pointwise(
    'erf',
    s.erf(x),
    (n, g) => [mul(g, mul(constant(2 / Math.sqrt(Math.PI)), gaussian(only(n))))],
    any,
  ),
  /** exp(-x^2) */
  gaussian: pointwise(
    'gaussian',
    s.wide(s.exp(s.neg(s.mul(x, x))), x),
    (n, g) => [mul(g, mul(mul(constant(-2), n), only(n)))],
    any,
  ),
  sin: pointwise('sin', s.sin(x), (n, g) => [mul(g, cos(only(n)))], [-7, 7]),
  cos: pointwise('cos', s.cos(x), (n, g) => [neg(mul(g, sin(only(n))))], [-7, 7]),
  /** log(1 + exp(x)) */
  softplus: pointwise('softplus', s.softplus(x), (n, g) => [mul(g, sigmoid(only(n)))], [-4, 4]),
  /** x sigmoid(x), also called swish (Ramachandran et al. 2017). */
  silu: pointwise('silu', s.silu(x), (n, g) => [mul(g, siluSlope(only(n)))], [-4, 4]),
  /** The slope of silu: sigmoid(x) (1 + x sigmoid(-x)). */
  siluSlope: pointwise(
    'siluSlope',
    s.div(s.mul(above, s.add(s.constant(1), s.div(s.mul(x, below), plusDecay))), plusDecay),
    (n, g) => {
      const v = only(n);
      const [gate, rest] = [sigmoid(v), sigmoid(neg(v))];
      return [mul(g, mul(mul(gate, rest), add(constant(2), mul(v, sub(rest, gate)))))];
    },
    [-4, 4],
  ),
  /** x times the normal distribution function (Hendrycks and Gimpel 2016). */
  gelu: pointwise('gelu', s.gelu(x), (n, g) => [mul(g, geluSlope(only(n)))], [-4, 4]),
  /** The slope of gelu: the normal distribution function plus x times its density. */
  geluSlope: pointwise(
    'geluSlope',
    s.geluSlope(x),
    (n, g) => {
      const v = near(only(n));
      const density = mul(constant(1 / Math.sqrt(2 * Math.PI)), exp(mul(constant(-0.5), mul(v, v))));
      return [mul(g, mul(density, sub(constant(2), mul(v, v))))];
    },
    [-4, 4],
  ),
  /** Approximation of gelu by tanh (same paper, section 2). */
  geluTanh: pointwise(
    'geluTanh',
    s.wide(geluByTanh, x),
    (n, g) => {
      const v = near(only(n));
      const square = mul(v, v);
      const u = mul(constant(2 * GELU_SCALE), add(v, mul(constant(GELU_CUBIC), mul(v, square))));
      const inner = mul(constant(2 * GELU_SCALE), add(one(), mul(constant(3 * GELU_CUBIC), square)));
      const gate = sigmoid(u);
      return [mul(g, add(gate, mul(mul(v, inner), mul(gate, sigmoid(neg(u))))))];
    },
    [-4, 4],
  ),
  /** x above 0, exp(x) - 1 elsewhere (Clevert et al. 2015). The slope of the latter is the output and 1. */
  elu: pointwise(
    'elu',
    s.select(s.gt(x, s.constant(0)), x, s.wide(growth, x)),
    (n, g) => [select(gt(n, zero()), g, mul(g, add(n, one())))],
    [-4, 4],
  ),
  /** A straight line from 0 at -3 to 1 at 3. Where the input is NaN the gradient goes through. */
  hardSigmoid: pointwise(
    'hardSigmoid',
    hardGate,
    (n, g) => [select(ge(abs(only(n)), constant(3)), zero(), div(g, constant(6)))],
    [-4, 4],
  ),
  /** x hardSigmoid(x). Below -3 it is 0, also at -infinity. */
  hardSwish: pointwise(
    'hardSwish',
    s.select(s.le(x, s.constant(-3)), s.constant(0), s.mul(x, hardGate)),
    (n, g) => {
      const v = only(n);
      const inside = mul(g, add(div(v, constant(3)), constant(0.5)));
      return [select(le(v, constant(-3)), zero(), select(ge(v, constant(3)), g, inside))];
    },
    [-4, 4],
  ),
  /** x tanh(softplus(x)) (Misra 2019) */
  mish: pointwise(
    'mish',
    s.mul(x, s.tanh(s.softplus(x))),
    (n, g) => {
      const v = only(n);
      const t = tanh(softplus(v));
      return [mul(g, add(t, mul(v, mul(sub(one(), mul(t, t)), sigmoid(v)))))];
    },
    [-4, 4],
  ),
  /** Of a step, a feature and their number: see `sinusoidal`. */
  sinusoid: pointwise(
    'sinusoid',
    s.wide(sinusoidal, x, y, z),
    { none: 'positions are not trained' },
    [0, 9],
    [0, 9, 'whole'],
    [9, 20, 'whole'],
  ),
  lt: pointwise('lt', s.lt(x, y), flat, meeting, meeting),
  le: pointwise('le', s.le(x, y), flat, meeting, meeting),
  gt: pointwise('gt', s.gt(x, y), flat, meeting, meeting),
  ge: pointwise('ge', s.ge(x, y), flat, meeting, meeting),
  eq: pointwise('eq', s.eq(x, y), flat, meeting, meeting),
  ne: pointwise('ne', s.ne(x, y), flat, meeting, meeting),
  /** First input non-zero: the second, else the third. */
  select: pointwise(
    'select',
    s.select(x, y, z),
    (n, g) => [null, ...split(n.inputs[0]!, g)],
    [0, 2, 'whole'],
    any,
    any,
  ),
} as const satisfies Record<string, PointwiseOp>;

export type PointwiseName = keyof typeof pointwiseOps;

/** Those that job files may name as a layer. */
export const activations = [
  'relu',
  'sigmoid',
  'tanh',
  'softplus',
  'silu',
  'gelu',
  'geluTanh',
  'hardSigmoid',
  'hardSwish',
  'mish',
] as const satisfies readonly PointwiseName[];
export type ActivationName = (typeof activations)[number];

/** Beyond this gelu is straight, and powers of x may overflow. */
const near = (v: Node): Node => max(min(v, constant(100)), constant(-100));

/** The gradient goes to the first where the condition holds, to the second elsewhere. */
function split(condition: Node, g: Node): [Node, Node] {
  return [select(condition, g, zero()), select(condition, zero(), g)];
}

/**
 * The gradients of two inputs of which one came out.
 * @param second where that was not the first
 * @param first where it was not the second
 */
function shared(second: Node, first: Node, node: Node, g: Node): [Node, Node] {
  const own = select(eq(...pair(node)), mul(constant(0.5), g), g);
  return [select(second, zero(), own), select(first, zero(), own)];
}

/** True for the name of a pointwise operation. */
export function isPointwise(name: string): name is PointwiseName {
  return Object.hasOwn(pointwiseOps, name);
}

export const add = binary(pointwiseOps.add);
export const sub = binary(pointwiseOps.sub);
export const mul = binary(pointwiseOps.mul);
export const div = binary(pointwiseOps.div);
export const max = binary(pointwiseOps.max);
export const min = binary(pointwiseOps.min);
export const neg = unary(pointwiseOps.neg);
export const abs = unary(pointwiseOps.abs);
export const sqrt = unary(pointwiseOps.sqrt);
export const exp = unary(pointwiseOps.exp);
export const log = unary(pointwiseOps.log);
export const tanh = unary(pointwiseOps.tanh);
export const floor = unary(pointwiseOps.floor);
export const relu = unary(pointwiseOps.relu);
export const sigmoid = unary(pointwiseOps.sigmoid);
export const pow = binary(pointwiseOps.pow);
export const powSlope = binary(pointwiseOps.powSlope);
export const erf = unary(pointwiseOps.erf);
export const gaussian = unary(pointwiseOps.gaussian);
export const geluSlope = unary(pointwiseOps.geluSlope);
export const sinusoid = (step: Node, feature: Node, features: Node): Node =>
  apply(pointwiseOps.sinusoid, [step, feature, features], {});
export const sin = unary(pointwiseOps.sin);
export const cos = unary(pointwiseOps.cos);
export const softplus = unary(pointwiseOps.softplus);
export const silu = unary(pointwiseOps.silu);
export const siluSlope = unary(pointwiseOps.siluSlope);
export const gelu = unary(pointwiseOps.gelu);
export const geluTanh = unary(pointwiseOps.geluTanh);
export const elu = unary(pointwiseOps.elu);
export const hardSigmoid = unary(pointwiseOps.hardSigmoid);
export const hardSwish = unary(pointwiseOps.hardSwish);
export const mish = unary(pointwiseOps.mish);
export const lt = binary(pointwiseOps.lt);
export const le = binary(pointwiseOps.le);
export const gt = binary(pointwiseOps.gt);
export const ge = binary(pointwiseOps.ge);
export const eq = binary(pointwiseOps.eq);
export const ne = binary(pointwiseOps.ne);
export const select = (condition: Node, a: Node, b: Node): Node =>
  apply(pointwiseOps.select, [condition, a, b], {});
