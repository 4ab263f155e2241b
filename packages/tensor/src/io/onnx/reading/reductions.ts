/** Sums, means and extremes over axes, and what is made of them: softmax, the place of the largest, norms of vectors. */
import type { Node } from '../../../graph.ts';
import { softmax } from '../../../nn/losses.ts';
import { argmax as argmaxOf, oneHot as oneHotOf } from '../../../ops/labels.ts';
import { constant, iota } from '../../../ops/leaf.ts';
import { matmul } from '../../../ops/matmul.ts';
import { broadcast, detach, flip, reshape, transpose } from '../../../ops/movement.ts';
import { sliceAxis } from '../../../ops/parts.ts';
import * as p from '../../../ops/pointwise.ts';
import { maxReduce, mean, minReduce, sum } from '../../../ops/reduce.ts';
import { axisOf, type NodeContext, refuse, refuseSamples, type Translator } from './context.ts';
import { type Computed, computed, like, plainNode, type ValueType } from './values.ts';

/** Axes of the node of a value, ascending; undefined: nothing is to be done. */
function axesOf(c: NodeContext, x: Computed): number[] | undefined {
  const given = c.numbers('axes') ?? c.knownList(1, 'axes');
  if (!given || given.length === 0) {
    if (c.number('noop_with_empty_axes', 0) === 1) return undefined;
    return x.node.shape.map((_, axis) => axis);
  }
  const rank = x.node.shape.length;
  const axes = given.map((axis) => axisOf(axis, rank)).map((axis) => x.order?.[axis] ?? axis);
  return [...new Set(axes)].sort((a, b) => a - b);
}

const reduction =
  (
    reduce: (x: Node, axes: readonly number[], keepDims: boolean) => Node,
    before?: (x: Node) => Node,
    after?: (x: Node) => Node,
  ): Translator =>
  (c) => {
    const x = c.computed(0);
    const axes = axesOf(c, x);
    const prepare = before ?? ((node: Node) => node);
    const finish = after ?? ((node: Node) => node);
    if (!axes) return before || after ? like(x, finish(prepare(x.node))) : x;
    refuseSamples(c, x.node, axes);
    if (c.number('keepdims', 1) === 1) return like(x, finish(reduce(prepare(x.node), axes, true)));
    // What is left must be in the order of the file.
    const left = (x.order ?? []).filter((axis) => !axes.includes(axis));
    const isOrdered = left.every((axis, i) => i === 0 || axis > left[i - 1]!);
    if (isOrdered) return computed(finish(reduce(prepare(x.node), axes, false)), x.type);
    const plain = axes.map((axis) => x.order!.indexOf(axis)).sort((a, b) => a - b);
    return computed(finish(reduce(prepare(plainNode(x)), plain, false)), x.type);
  };

const square = (x: Node): Node => p.mul(x, x);

/** A product as so many factors one after another. */
const MOST_FACTORS = 64;

function product(x: Node, axes: readonly number[], keepDims: boolean): Node {
  const whole = axes.reduce((node, axis) => {
    const extent = node.shape[axis]!;
    if (extent > MOST_FACTORS || extent === 0)
      return refuse(`multiplies ${extent} numbers; at most ${MOST_FACTORS} are supported`);
    return Array.from({ length: extent }, (_, i) => sliceAxis(node, axis, i, 1)).reduce(p.mul);
  }, x);
  return keepDims
    ? whole
    : reshape(
        whole,
        whole.shape.filter((_, axis) => !axes.includes(axis)),
      );
}

/** Sums of exponentials: less the largest, which cannot overflow. */
function logSumExp(x: Node, axes: readonly number[], keepDims: boolean): Node {
  const most = detach(maxReduce(x, axes, true));
  const found = p.add(p.log(sum(p.exp(p.sub(x, most)), axes, true)), most);
  return keepDims
    ? found
    : reshape(
        found,
        found.shape.filter((_, axis) => !axes.includes(axis)),
      );
}

/** Along one axis, brought to the end for it. */
export function alongLast(x: Node, axis: number, f: (x: Node) => Node): Node {
  const last = x.shape.length - 1;
  if (axis === last) return f(x);
  const others = x.shape.map((_, i) => i).filter((i) => i !== axis);
  const order = [...others, axis];
  return transpose(
    f(transpose(x, order)),
    order.map((_, i) => order.indexOf(i)),
  );
}

const along =
  (f: (x: Node, c: NodeContext) => Node): Translator =>
  (c) => {
    const x = c.computed(0);
    const rank = x.node.shape.length;
    if (rank === 0) return refuse('expects at least one axis');
    const axis = axisOf(c.number('axis', -1), rank);
    const own = x.order?.[axis] ?? axis;
    refuseSamples(c, x.node, [own]);
    return like(
      x,
      alongLast(x.node, own, (node) => f(node, c)),
    );
  };

function logSoftmax(x: Node): Node {
  const away = p.sub(x, detach(maxReduce(x, [-1], true)));
  return p.sub(away, p.log(sum(p.exp(away), [-1], true)));
}

/** Places as numbers: what argmax gives cannot be computed with. */
export function asNumbers(places: Node, count: number): Node {
  return sum(p.mul(oneHotOf(places, count), iota([count], 0)), [-1]);
}

const extremePlace =
  (sign: 1 | -1): Translator =>
  (c) => {
    const given = plainNode(c.computed(0));
    const rank = given.shape.length;
    const axis = axisOf(c.number('axis', 0), rank);
    refuseSamples(c, given, [axis]);
    const count = given.shape[axis]!;
    const isLast = c.number('select_last_index', 0) === 1;
    const x = sign === 1 ? given : p.neg(given);
    const first = asNumbers(argmaxOf(isLast ? flip(x, [axis]) : x, axis), count);
    const found = isLast ? p.sub(constant(count - 1), first) : first;
    const kept = given.shape.map((extent, i) => (i === axis ? 1 : extent));
    return computed(c.number('keepdims', 1) === 1 ? reshape(found, kept) : found, 'int');
  };

function hardmax(x: Node): Node {
  return oneHotOf(argmaxOf(x), x.shape.at(-1)!);
}

function vectorNorm(x: Node, c: NodeContext): Node {
  const norm = c.number('p', 2) === 1 ? sum(p.abs(x), [-1], true) : p.sqrt(sum(square(x), [-1], true));
  return p.select(p.eq(norm, constant(0)), constant(0), p.div(x, norm));
}

const cumulative: Translator = (c) => {
  const x = c.computed(0);
  const rank = x.node.shape.length;
  const [given = 0] = c.knownList(1, 'axis') ?? [];
  const axis = axisOf(given, rank);
  const own = x.order?.[axis] ?? axis;
  refuseSamples(c, x.node, [own]);
  const n = x.node.shape[own]!;
  const [from, to] = [iota([n, n], 0), iota([n, n], 1)];
  const [isReverse, isExclusive] = [c.number('reverse', 0) === 1, c.number('exclusive', 0) === 1];
  const [a, b] = isReverse ? [to, from] : [from, to];
  const table = isExclusive ? p.lt(a, b) : p.le(a, b);
  const add = (node: Node) =>
    node.shape.length === 1 ? reshape(matmul(reshape(node, [1, n]), table), [n]) : matmul(node, table);
  return like(x, alongLast(x.node, own, add));
};

const oneHot: Translator = (c) => {
  const [depth = 0] = c.known(1, 'depth').numbers;
  const [off = 0, on = 1] = c.known(2, 'values').numbers;
  const given = c.node(0);
  const whole = Math.trunc(depth);
  if (!(whole >= 1 && whole <= 2 ** 24)) return refuse(`depth is ${depth}`);
  const axis = axisOf(c.number('axis', -1), given.shape.length + 1);
  const wrapped = p.select(p.lt(given, constant(0)), p.add(given, constant(whole)), given);
  // Compared, and not looked up: what is no class has no place.
  const column = reshape(wrapped, [...given.shape.slice(0, axis), 1, ...given.shape.slice(axis)]);
  const shape = column.shape.map((_, i) => (i === axis ? whole : 1));
  const hit = p.eq(column, iota(shape, axis));
  const type: ValueType = c.value(2).type;
  const plain = off === 0 && on === 1;
  return computed(plain ? hit : p.add(p.mul(hit, constant(on - off)), constant(off)), type);
};

/** The part of a matrix above or below a diagonal. */
const triangle: Translator = (c) => {
  const x = c.computed(0);
  const node = plainNode(x);
  const [rows, columns] = node.shape.slice(-2);
  if (rows === undefined || columns === undefined) return refuse('expects a matrix');
  const [k = 0] = c.knownList(1, 'k') ?? [];
  const away = p.sub(iota([rows, columns], 1), iota([rows, columns], 0));
  const isKept = c.number('upper', 1) === 1 ? p.ge(away, constant(k)) : p.le(away, constant(k));
  return computed(p.select(isKept, node, constant(0)), x.type);
};

export const reductionTranslators = {
  ReduceSum: reduction(sum),
  ReduceMean: reduction(mean),
  ReduceMax: reduction(maxReduce),
  ReduceMin: reduction(minReduce),
  ReduceProd: reduction(product),
  ReduceL1: reduction(sum, p.abs),
  ReduceL2: reduction(sum, square, p.sqrt),
  ReduceSumSquare: reduction(sum, square),
  ReduceLogSum: reduction(sum, undefined, p.log),
  ReduceLogSumExp: reduction(logSumExp),
  Softmax: along(softmax),
  LogSoftmax: along(logSoftmax),
  Hardmax: along(hardmax),
  LpNormalization: along(vectorNorm),
  ArgMax: extremePlace(1),
  ArgMin: extremePlace(-1),
  CumSum: cumulative,
  OneHot: oneHot,
  Trilu: triangle,
} as const satisfies Readonly<Record<string, Translator>>;

/** Stretched to a shape, or as it is. */
export const stretched = (node: Node, shape: readonly number[]): Node =>
  node.shape.length === shape.length && node.shape.every((extent, i) => extent === shape[i])
    ? node
    : broadcast(node, shape);
