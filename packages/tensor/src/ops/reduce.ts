/** Reductions over axes. `summation.ts` defines in which order a sum is taken. */
import type { Node } from '../graph.ts';
import type { Shape } from '../shape.ts';
import { constant } from './leaf.ts';
import { broadcast, reshape } from './movement.ts';
import { apply, attributesOf, expectInputs, fail, type Op, type OpCase } from './op.ts';
import { div, eq, mul, neg } from './pointwise.ts';

type ReduceAttributes = {
  /** Ascending, each at least 0. */
  readonly axes: readonly number[];
  /** True: reduced axes stay, with size 1. */
  readonly keepDims: boolean;
};

function signature(name: string, needsElements: boolean): Op<ReduceAttributes>['signature'] {
  return (inputs, { axes, keepDims }) => {
    expectInputs(name, inputs, ['f32']);
    const { shape } = inputs[0]!;
    if (
      !axes.every((axis, i) => Number.isInteger(axis) && axis < shape.length && axis > (axes[i - 1] ?? -1))
    ) {
      fail(name, inputs, `axes [${axes.join(', ')}] must be ascending axes of the input`);
    }
    if (needsElements && axes.some((axis) => shape[axis] === 0)) {
      fail(name, inputs, 'an axis without elements has no maximum');
    }
    return { shape: keepDims ? kept(shape, axes) : shape.filter((_, i) => !axes.includes(i)), dtype: 'f32' };
  };
}

const kept = (shape: Shape, axes: readonly number[]): Shape =>
  shape.map((extent, i) => (axes.includes(i) ? 1 : extent));

/** Gives a reduced tensor its reduced axes back, with size 1. */
function withAxes(node: Node, reduced: Node): Node {
  const { axes, keepDims } = node.attributes as ReduceAttributes;
  return keepDims ? reduced : reshape(reduced, kept(node.inputs[0]!.shape, axes));
}

const cases: OpCase<ReduceAttributes>[] = [
  { label: 'rows', inputs: [{ shape: [3, 5] }], attributes: { axes: [1], keepDims: true } },
  { label: 'columns', inputs: [{ shape: [7, 6] }], attributes: { axes: [0], keepDims: false } },
  { label: 'all', inputs: [{ shape: [3, 3] }], attributes: { axes: [0, 1], keepDims: false } },
  { label: 'outer and inner', inputs: [{ shape: [2, 3, 5] }], attributes: { axes: [0, 2], keepDims: false } },
  { label: 'middle', inputs: [{ shape: [2, 3, 5] }], attributes: { axes: [1], keepDims: true } },
  { label: 'axis of one', inputs: [{ shape: [4, 1] }], attributes: { axes: [1], keepDims: false } },
  { label: 'no axis', inputs: [{ shape: [5] }], attributes: { axes: [], keepDims: false } },
];

export const sumOp: Op<ReduceAttributes> = {
  name: 'sum',
  signature: signature('sum', false),
  gradient: (node, g) => [broadcast(withAxes(node, g), node.inputs[0]!.shape)],
  cases: [
    ...cases,
    { label: 'axis of none', inputs: [{ shape: [0, 3] }], attributes: { axes: [0], keepDims: false } },
  ],
};

/** The gradient is shared evenly by all elements that equal the maximum. */
export const maxReduceOp: Op<ReduceAttributes> = {
  name: 'maxReduce',
  signature: signature('maxReduce', true),
  gradient: (node, g) => {
    const x = node.inputs[0]!;
    const isMax = eq(x, withAxes(node, node));
    const count = sum(isMax, attributesOf(maxReduceOp, node).axes, true);
    return [mul(isMax, div(withAxes(node, g), count))];
  },
  cases,
};

/** Ascending, non-negative axes; negative ones count from the end, none given means all. */
function normalise(x: Node, axes?: readonly number[]): number[] {
  const rank = x.shape.length;
  if (!axes) return x.shape.map((_, i) => i);
  return axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
}

/** Sum over axes (default: all; negative ones count from the end). */
export function sum(x: Node, axes?: readonly number[], keepDims = false): Node {
  return apply(sumOp, [x], { axes: normalise(x, axes), keepDims });
}

/** Maximum over axes (default: all; negative ones count from the end). */
export function maxReduce(x: Node, axes?: readonly number[], keepDims = false): Node {
  return apply(maxReduceOp, [x], { axes: normalise(x, axes), keepDims });
}

/** Minimum over axes (default: all; negative ones count from the end). */
export const minReduce = (x: Node, axes?: readonly number[], keepDims = false): Node =>
  neg(maxReduce(neg(x), axes, keepDims));

/** Arithmetic mean over axes (default: all; negative ones count from the end). */
export function mean(x: Node, axes?: readonly number[], keepDims = false): Node {
  const count = normalise(x, axes).reduce((product, axis) => product * x.shape[axis]!, 1);
  // Divided, and not multiplied by what 1 / count is rounded to: so the mean of numbers that are all the same is that number.
  return div(sum(x, axes, keepDims), constant(count));
}
