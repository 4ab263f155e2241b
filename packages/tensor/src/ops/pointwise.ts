/**
 * The table of pointwise operations, arithmetic and activations alike: one line says what happens to one element (a
 * scalar expression, from which every backend makes its code), how gradients flow, and where to test it. All take and
 * give f32 and broadcast as NumPy does; nothing is inserted for that, the shape rule says it and backends do it.
 */
import type { Node } from '../graph.ts';
import * as s from '../scalar/expression.ts';
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

const unary = (op: PointwiseOp) => (a: Node) => apply(op, [a], {});
const binary = (op: PointwiseOp) => (a: Node, b: Node) => apply(op, [a, b], {});
const zero = () => constant(0);
const one = () => constant(1);

/** a and b of a node of two inputs. */
const pair = (node: Node) => node.inputs as readonly [Node, Node];
const only = (node: Node) => node.inputs[0]!;

/** The table. Of a tie in max and min the first input gets the whole gradient. */
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
  max: pointwise('max', s.max(x, y), (n, g) => split(ge(...pair(n)), g), any, any),
  min: pointwise('min', s.min(x, y), (n, g) => split(le(...pair(n)), g), any, any),
  neg: pointwise('neg', s.neg(x), (_, g) => [neg(g)], any),
  abs: pointwise('abs', s.abs(x), (n, g) => [mul(g, sub(gt(only(n), zero()), lt(only(n), zero())))], any),
  sqrt: pointwise('sqrt', s.sqrt(x), (n, g) => [div(mul(g, constant(0.5)), n)], positive),
  exp: pointwise('exp', s.exp(x), (n, g) => [mul(g, n)], [-3, 3]),
  log: pointwise('log', s.log(x), (n, g) => [div(g, only(n))], positive),
  tanh: pointwise('tanh', s.tanh(x), (n, g) => [mul(g, sub(one(), mul(n, n)))], [-3, 3]),
  floor: pointwise('floor', s.floor(x), flat, any),
  /** From the output, so that the input need not be kept for the backward pass. */
  relu: pointwise('relu', s.max(x, s.constant(0)), (n, g) => [select(gt(n, zero()), g, zero())], any),
  sigmoid: pointwise(
    'sigmoid',
    s.div(s.constant(1), s.add(s.constant(1), s.exp(s.neg(x)))),
    (n, g) => [mul(g, mul(n, sub(one(), n)))],
    [-4, 4],
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
export const activations = ['relu', 'sigmoid', 'tanh'] as const satisfies readonly PointwiseName[];
export type ActivationName = (typeof activations)[number];

/** The gradient goes to the first where the condition holds, to the second elsewhere. */
function split(condition: Node, g: Node): [Node, Node] {
  return [select(condition, g, zero()), select(condition, zero(), g)];
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
export const lt = binary(pointwiseOps.lt);
export const le = binary(pointwiseOps.le);
export const gt = binary(pointwiseOps.gt);
export const ge = binary(pointwiseOps.ge);
export const eq = binary(pointwiseOps.eq);
export const ne = binary(pointwiseOps.ne);
export const select = (condition: Node, a: Node, b: Node): Node =>
  apply(pointwiseOps.select, [condition, a, b], {});
