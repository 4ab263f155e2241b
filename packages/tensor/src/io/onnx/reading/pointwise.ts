/** Operations of single numbers. They leave the order of axes as it is where all inputs have the same. */
import type { Node } from '../../../graph.ts';
import { type AxisOrder, channelsFirst } from '../../../onnx/graph.ts';
import { constant } from '../../../ops/leaf.ts';
import { reshape } from '../../../ops/movement.ts';
import * as p from '../../../ops/pointwise.ts';
import { isWeight, type NodeContext, refuse, type Translator } from './context.ts';
import {
  type Computed,
  computed,
  imageNode,
  type Known,
  like,
  permute,
  plainNode,
  shapeOf,
  type ValueType,
} from './values.ts';

/** Of the only input. */
const unary =
  (f: (x: Node, c: NodeContext) => Node, type?: ValueType): Translator =>
  (c) => {
    const x = c.computed(0);
    return like(x, f(x.node, c), type ?? x.type);
  };

const trunc = (x: Node): Node => p.select(p.lt(x, constant(0)), p.neg(p.floor(p.neg(x))), p.floor(x));
const not = (x: Node): Node => p.eq(x, constant(0));
const clamp = (x: Node, low: number, high: number): Node => p.min(p.max(x, constant(low)), constant(high));

/** To the nearest whole number, halves to the even one. */
function round(x: Node): Node {
  const below = p.floor(x);
  const rest = p.sub(x, below);
  const odd = p.sub(below, p.mul(constant(2), p.floor(p.mul(below, constant(0.5)))));
  const above = p.add(below, constant(1));
  const half = constant(0.5);
  return p.select(p.lt(rest, half), below, p.select(p.gt(rest, half), above, p.add(below, odd)));
}

/** x above 0, alpha (exp(x / gamma) - 1) elsewhere. */
const exponential = (x: Node, alpha: number, gamma = 1): Node => {
  const scaled = gamma === 1 ? x : p.div(x, constant(gamma));
  // Beyond 0 it is not taken: of large numbers it would be infinite, and so would its gradient.
  const below = p.elu(p.min(scaled, constant(0)));
  return p.select(p.gt(x, constant(0)), x, alpha === 1 ? below : p.mul(constant(alpha), below));
};

const isClose = (a: number, b: number) => Math.abs(a - b) < 1e-6;

function hardSigmoid(x: Node, c: NodeContext): Node {
  const [alpha, beta] = [c.number('alpha', 0.2), c.number('beta', 0.5)];
  if (isClose(alpha, 1 / 6) && isClose(beta, 0.5)) return p.hardSigmoid(x);
  return clamp(p.add(p.mul(constant(alpha), x), constant(beta)), 0, 1);
}

/**
 * All inputs with as many axes as the longest has, in one order.
 * @param trained of an input, by its place: whether numbers of the file are trained
 */
export function together(
  c: NodeContext,
  trained: (index: number) => boolean = (index) => isWeight(c.value(index)),
): { readonly nodes: readonly Node[]; readonly frame: Computed } {
  const values = Array.from({ length: c.count }, (_, i) => c.value(i));
  const rank = Math.max(...values.map((value) => shapeOf(value).length));
  const lead = values.find(
    (value) => value.kind === 'computed' && value.order && value.node.shape.length === rank,
  );
  if (lead?.kind !== 'computed' || !lead.order) {
    const nodes = values.map((_, i) => c.node(i, roleOf(c, i), trained(i)));
    const isImage = values.some((value) => value.kind === 'computed' && value.isImage);
    return { nodes, frame: { ...computed(nodes[0]!), ...(isImage && { isImage: true as const }) } };
  }
  const nodes = values.map((value, i) =>
    value.kind === 'known'
      ? c.home.lift(channelsLast(value, rank), roleOf(c, i), trained(i))
      : inFrame(value, rank),
  );
  return { nodes, frame: lead };
}

const roleOf = (c: NodeContext, index: number): string =>
  c.op === 'Add' || c.op === 'Sub' ? 'shift' : c.op === 'Mul' || c.op === 'Div' ? 'scale' : `value${index}`;

/** Numbers that are stretched to an image in the order of the file, for one whose channels are last. */
function channelsLast(value: Known, rank: number): Known {
  if (value.shape.length === 0) return value;
  const full = [...new Array<number>(rank - value.shape.length).fill(1), ...value.shape];
  const padded: Known = value.shape.length === rank ? value : longer(value, full);
  const order: AxisOrder = channelsFirst(rank);
  const moved = permute(
    padded,
    order.map((_, axis) => order.indexOf(axis)),
  );
  const lead = moved.shape.findIndex((extent) => extent !== 1);
  return lead > 0 ? longer(moved, moved.shape.slice(lead)) : moved;
}

const reshaped = new WeakMap<Known, Map<string, Known>>();

/** The same numbers under another shape; the same object for the same question. */
function longer(value: Known, shape: readonly number[]): Known {
  const variants = reshaped.get(value) ?? new Map<string, Known>();
  reshaped.set(value, variants);
  const made = variants.get(String(shape)) ?? { ...value, shape };
  variants.set(String(shape), made);
  return made;
}

function inFrame(value: Computed, rank: number): Node {
  if (value.node.shape.length === rank) return imageNode(value);
  const plain = plainNode(value);
  const padded = reshape(plain, [...new Array<number>(rank - plain.shape.length).fill(1), ...plain.shape]);
  return imageNode(computed(padded));
}

const variadic =
  (f: (nodes: readonly Node[], c: NodeContext) => Node, type?: ValueType, trained?: false): Translator =>
  (c) => {
    if (c.count === 0) refuse('has no inputs');
    const own = c.value(c.op === 'Where' ? 1 : 0).type;
    const { nodes, frame } = together(c, trained === false ? () => false : undefined);
    return like(frame, f(nodes, c), type ?? own);
  };

/** Of two inputs. Their numbers are trained only where a layer's shift or scale would stand. */
const binary = (
  f: (a: Node, b: Node, c: NodeContext) => Node,
  type?: ValueType,
  trained?: false,
): Translator =>
  variadic(
    ([a, b], c) => (a && b && c.count === 2 ? f(a, b, c) : refuse(`has ${c.count} inputs; expected 2`)),
    type,
    trained,
  );

const isWhole = (c: NodeContext): boolean => c.value(0).type !== 'float';

function remainder(a: Node, b: Node, c: NodeContext): Node {
  const quotient = p.div(a, b);
  const whole = c.number('fmod', 0) === 1 ? trunc(quotient) : p.floor(quotient);
  return p.sub(a, p.mul(whole, b));
}

function power(a: Node, b: Node, c: NodeContext): Node {
  const exponent = c.value(1);
  const [only] = exponent.kind === 'known' && exponent.numbers.length === 1 ? exponent.numbers : [];
  // Of powers that are written out, gradients are cheaper and exist at 0.
  const found = only === 2 ? p.mul(a, a) : only === 0.5 && !isWhole(c) ? p.sqrt(a) : p.pow(a, b);
  if (!isWhole(c)) return found;
  // Logarithms give powers of whole numbers but for their last digits.
  const isExact =
    exponent.type !== 'float' || (exponent.kind === 'known' && exponent.numbers.every(Number.isInteger));
  return isExact ? round(found) : trunc(found);
}

const clip: Translator = (c) => {
  const x = c.computed(0);
  const bounded = [1, 2].reduce((node, index) => {
    if (!c.has(index)) return node;
    const bound = c.node(index, 'bound', false);
    return index === 1 ? p.max(node, bound) : p.min(node, bound);
  }, x.node);
  return like(x, bounded);
};

const preluOf: Translator = (c) => {
  const { nodes, frame } = together(c);
  const [x, slope] = nodes as [Node, Node];
  return like(frame, p.select(p.gt(x, constant(0)), x, p.mul(slope, x)), c.value(0).type);
};

function infinite(x: Node, c: NodeContext): Node {
  const [above, below] = [c.number('detect_positive', 1), c.number('detect_negative', 1)];
  const at = (value: number) => p.eq(x, constant(value));
  if (above && below) return p.eq(p.abs(x), constant(Number.POSITIVE_INFINITY));
  if (above) return at(Number.POSITIVE_INFINITY);
  return below ? at(Number.NEGATIVE_INFINITY) : p.mul(x, constant(0));
}

export const pointwiseTranslators = {
  Abs: unary(p.abs),
  Neg: unary(p.neg),
  Exp: unary(p.exp),
  Log: unary(p.log),
  Sqrt: unary(p.sqrt),
  Floor: unary(p.floor),
  Ceil: unary((x) => p.neg(p.floor(p.neg(x)))),
  Round: unary(round),
  Sign: unary((x) => p.sub(p.gt(x, constant(0)), p.lt(x, constant(0)))),
  Reciprocal: unary((x) => p.div(constant(1), x)),
  Erf: unary(p.erf),
  Sin: unary(p.sin),
  Cos: unary(p.cos),
  Tan: unary((x) => p.div(p.sin(x), p.cos(x))),
  Sinh: unary((x) => p.mul(constant(0.5), p.sub(p.exp(x), p.exp(p.neg(x))))),
  Cosh: unary((x) => p.mul(constant(0.5), p.add(p.exp(x), p.exp(p.neg(x))))),
  Tanh: unary(p.tanh),
  Sigmoid: unary(p.sigmoid),
  Relu: unary(p.relu),
  LeakyRelu: unary((x, c) => p.select(p.gt(x, constant(0)), x, p.mul(constant(c.number('alpha', 0.01)), x))),
  ThresholdedRelu: unary((x, c) => p.select(p.gt(x, constant(c.number('alpha', 1))), x, constant(0))),
  Elu: unary((x, c) => exponential(x, c.number('alpha', 1))),
  Celu: unary((x, c) => exponential(x, c.number('alpha', 1), c.number('alpha', 1))),
  Selu: unary((x, c) =>
    p.mul(
      constant(c.number('gamma', 1.0507010221481323)),
      exponential(x, c.number('alpha', 1.6732631921768188)),
    ),
  ),
  Softplus: unary(p.softplus),
  Softsign: unary((x) => p.div(x, p.add(constant(1), p.abs(x)))),
  HardSigmoid: unary(hardSigmoid),
  HardSwish: unary(p.hardSwish),
  Mish: unary(p.mish),
  Gelu: unary((x, c) => (c.text('approximate', 'none') === 'tanh' ? p.geluTanh(x) : p.gelu(x))),
  Shrink: unary((x, c) => {
    const [bias, limit] = [constant(c.number('bias', 0)), constant(c.number('lambd', 0.5))];
    const above = p.select(p.gt(x, limit), p.sub(x, bias), constant(0));
    return p.select(p.lt(x, p.neg(limit)), p.add(x, bias), above);
  }),
  Not: unary(not, 'bool'),
  IsNaN: unary((x) => p.ne(x, x), 'bool'),
  IsInf: unary(infinite, 'bool'),
  PRelu: preluOf,
  Clip: clip,
  Add: binary(p.add),
  Sub: binary(p.sub),
  Mul: binary(p.mul),
  Div: binary((a, b, c) => (isWhole(c) ? trunc(p.div(a, b)) : p.div(a, b))),
  Pow: binary(power, undefined, false),
  Mod: binary(remainder, undefined, false),
  Max: variadic((nodes) => nodes.reduce(p.max), undefined, false),
  Min: variadic((nodes) => nodes.reduce(p.min), undefined, false),
  Sum: variadic((nodes) => nodes.reduce(p.add)),
  Mean: variadic((nodes) => p.div(nodes.reduce(p.add), constant(nodes.length))),
  Equal: binary(p.eq, 'bool', false),
  Less: binary(p.lt, 'bool', false),
  LessOrEqual: binary(p.le, 'bool', false),
  Greater: binary(p.gt, 'bool', false),
  GreaterOrEqual: binary(p.ge, 'bool', false),
  And: binary(p.mul, 'bool', false),
  Or: binary(p.max, 'bool', false),
  Xor: binary(p.ne, 'bool', false),
  Where: variadic(
    ([condition, a, b], c) =>
      condition && a && b ? p.select(condition, a, b) : refuse(`has ${c.count} inputs; expected 3`),
    undefined,
    false,
  ),
} as const satisfies Readonly<Record<string, Translator>>;

/** Of whole numbers and fractions, by which type is wanted. */
export function cast(value: Computed, type: ValueType): Computed {
  if (type === value.type || (type === 'float' && value.type !== 'float')) return { ...value, type };
  if (type === 'bool') return like(value, p.ne(value.node, constant(0)), type);
  return like(value, value.type === 'float' ? trunc(value.node) : value.node, type);
}
