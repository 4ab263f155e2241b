/** Scalar expressions as ONNX nodes: a pointwise operation for which the standard has no operator of its own. */
import type { BinaryOp, CompareOp, Expression, UnaryOp } from '../scalar/expression.ts';
import * as s from '../scalar/expression.ts';
import { substitute } from '../scalar/substitute.ts';
import type { OnnxGraph } from './graph.ts';

type Composed = 'softplus' | 'silu' | 'gelu' | 'geluSlope';

/** The normal distribution function. */
const distribution = (x: Expression): Expression =>
  s.mul(s.constant(0.5), s.add(s.constant(1), s.erf(s.mul(x, s.constant(Math.SQRT1_2)))));

/** Those that the standard has no operator for, by their plain formulas: what they lose is the other program's to lose. */
const composed: Readonly<Record<Composed, (x: Expression) => Expression>> = {
  softplus: (x) => s.add(s.max(x, s.constant(0)), s.log(s.add(s.constant(1), s.exp(s.neg(s.abs(x)))))),
  silu: (x) => s.div(x, s.add(s.constant(1), s.exp(s.neg(x)))),
  gelu: (x) => s.mul(x, distribution(x)),
  geluSlope: (x) => {
    const density = s.mul(
      s.constant(1 / Math.sqrt(2 * Math.PI)),
      s.exp(s.mul(s.constant(-0.5), s.mul(x, x))),
    );
    return s.add(distribution(x), s.mul(x, density));
  },
};

const unary: Readonly<Record<Exclude<UnaryOp, Composed>, string>> = {
  neg: 'Neg',
  abs: 'Abs',
  sqrt: 'Sqrt',
  floor: 'Floor',
  exp: 'Exp',
  log: 'Log',
  tanh: 'Tanh',
  erf: 'Erf',
  sin: 'Sin',
  cos: 'Cos',
};

const binary: Readonly<Record<BinaryOp, string>> = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Mul',
  div: 'Div',
  max: 'Max',
  min: 'Min',
};

const compare: Readonly<Record<CompareOp, string>> = {
  lt: 'Less',
  le: 'LessOrEqual',
  gt: 'Greater',
  ge: 'GreaterOrEqual',
  eq: 'Equal',
  ne: 'Equal',
};

const isComposed = (op: UnaryOp): op is Composed => Object.hasOwn(composed, op);

/** Adds the nodes that compute an expression of tensors. @returns the name of the result */
export function composePointwise(
  graph: OnnxGraph,
  expression: Expression,
  inputs: readonly string[],
): string {
  const done = new Map<Expression, string>();
  const constants = new Map<number, string>();
  const constant = (value: number): string => {
    const known = constants.get(value) ?? graph.constant([], [value]);
    constants.set(value, known);
    return known;
  };
  const compute = (part: Expression): string => {
    const known = done.get(part);
    if (known) return known;
    const name = make(part);
    done.set(part, name);
    return name;
  };
  const truth = (part: Expression): string => {
    if (part.kind !== 'compare')
      return graph.node('Not', [graph.node('Equal', [compute(part), constant(0)])]);
    const found = graph.node(compare[part.op], [compute(part.a), compute(part.b)]);
    return part.op === 'ne' ? graph.node('Not', [found]) : found;
  };
  const make = (part: Expression): string => {
    switch (part.kind) {
      case 'constant':
        return constant(part.value);
      case 'input':
        return inputs[part.index]!;
      case 'scalar':
        throw new Error(
          `scalar '${part.name}' is only known while a kernel runs and cannot be expressed in ONNX`,
        );
      case 'wide':
        return compute(substitute(part.body, part.args));
      case 'unary':
        return isComposed(part.op)
          ? compute(composed[part.op](part.a))
          : graph.node(unary[part.op], [compute(part.a)]);
      case 'binary':
        return graph.node(binary[part.op], [compute(part.a), compute(part.b)]);
      case 'compare':
        return graph.cast(truth(part), 'float');
      case 'select':
        return graph.node('Where', [truth(part.condition), compute(part.a), compute(part.b)]);
    }
  };
  return compute(expression);
}
