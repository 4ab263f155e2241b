/** Operations that only say where elements lie: none of them computes. */
import type { Node } from '../graph.ts';
import { broadcastShapes, formatShape, type Shape, sameShape, sizeOf } from '../shape.ts';
import { apply, attributesOf, expectInputs, fail, type Op } from './op.ts';

type ShapeAttribute = { readonly shape: Shape };
type PermutationAttribute = { readonly permutation: readonly number[] };
type AxesAttribute = { readonly axes: readonly number[] };
type None = Readonly<Record<string, never>>;

/** The same elements in the same row-major order under another shape. */
export const reshapeOp: Op<ShapeAttribute> = {
  name: 'reshape',
  signature: (inputs, { shape }) => {
    expectInputs('reshape', inputs, ['f32']);
    if (sizeOf(inputs[0]!.shape) !== sizeOf(shape)) {
      fail('reshape', inputs, `cannot become ${formatShape(shape)}: the number of elements differs`);
    }
    return { shape, dtype: 'f32' };
  },
  gradient: (node, g) => [reshape(g, node.inputs[0]!.shape)],
  cases: [
    { label: 'flattened', inputs: [{ shape: [2, 3, 5] }], attributes: { shape: [2, 15] } },
    { label: 'scalar to [1, 1]', inputs: [{ shape: [] }], attributes: { shape: [1, 1] } },
  ],
};

/** Stretched to a larger shape by NumPy's rules. */
export const broadcastOp: Op<ShapeAttribute> = {
  name: 'broadcast',
  broadcasts: true,
  signature: (inputs, { shape }) => {
    expectInputs('broadcast', inputs, ['f32']);
    const joint = broadcastShapes([inputs[0]!.shape, shape]);
    if (!joint || !sameShape(joint, shape)) {
      fail('broadcast', inputs, `cannot be stretched to ${formatShape(shape)}`);
    }
    return { shape, dtype: 'f32' };
  },
  gradient: (_, g) => [g],
  cases: [
    { label: 'row to matrix', inputs: [{ shape: [5] }], attributes: { shape: [3, 5] } },
    { label: 'column to matrix', inputs: [{ shape: [3, 1] }], attributes: { shape: [3, 7] } },
    { label: 'scalar', inputs: [{ shape: [] }], attributes: { shape: [2, 3] } },
    { label: 'middle axis', inputs: [{ shape: [2, 1, 3] }], attributes: { shape: [2, 4, 3] } },
  ],
};

/** Axis i of the result is axis permutation[i] of the input. */
export const transposeOp: Op<PermutationAttribute> = {
  name: 'transpose',
  signature: (inputs, { permutation }) => {
    expectInputs('transpose', inputs, ['f32']);
    const { shape } = inputs[0]!;
    const sorted = [...permutation].sort((a, b) => a - b);
    if (permutation.length !== shape.length || sorted.some((axis, i) => axis !== i)) {
      fail('transpose', inputs, `permutation [${permutation.join(', ')}] must name each axis once`);
    }
    return { shape: permutation.map((axis) => shape[axis]!), dtype: 'f32' };
  },
  gradient: (node, g) => {
    const { permutation } = attributesOf(transposeOp, node);
    return [
      transpose(
        g,
        permutation.map((_, i) => permutation.indexOf(i)),
      ),
    ];
  },
  cases: [
    { label: 'matrix', inputs: [{ shape: [5, 3] }], attributes: { permutation: [1, 0] } },
    { label: '3-D', inputs: [{ shape: [2, 3, 5] }], attributes: { permutation: [2, 0, 1] } },
    { label: 'size-one axis', inputs: [{ shape: [1, 6, 2] }], attributes: { permutation: [1, 2, 0] } },
  ],
};

/** The elements along the axes in reverse. */
export const flipOp: Op<AxesAttribute> = {
  name: 'flip',
  signature: (inputs, { axes }) => {
    expectInputs('flip', inputs, ['f32']);
    const { shape } = inputs[0]!;
    if (
      !axes.every((axis, i) => Number.isInteger(axis) && axis < shape.length && axis > (axes[i - 1] ?? -1))
    ) {
      fail('flip', inputs, `axes [${axes.join(', ')}] must be ascending axes of the input`);
    }
    return { shape, dtype: 'f32' };
  },
  gradient: (node, g) => [flip(g, attributesOf(flipOp, node).axes)],
  cases: [
    { label: 'rows', inputs: [{ shape: [5, 3] }], attributes: { axes: [0] } },
    { label: 'both axes', inputs: [{ shape: [3, 6] }], attributes: { axes: [0, 1] } },
    { label: 'inner axis of 3-D', inputs: [{ shape: [2, 3, 7] }], attributes: { axes: [2] } },
  ],
};

/** The same values, taken for constants by gradients. */
export const detachOp: Op<None> = {
  name: 'detach',
  signature: (inputs) => {
    expectInputs('detach', inputs, ['f32']);
    return { shape: inputs[0]!.shape, dtype: 'f32' };
  },
  gradient: { none: 'stopping gradients is its purpose' },
  cases: [{ label: 'vector', inputs: [{ shape: [5] }], attributes: {} }],
};

export const reshape = (x: Node, shape: Shape): Node => apply(reshapeOp, [x], { shape });
export const broadcast = (x: Node, shape: Shape): Node => apply(broadcastOp, [x], { shape });
export const detach = (x: Node): Node => apply(detachOp, [x], {});
/** Axes in the order given; reversed when none is. */
export const transpose = (
  x: Node,
  permutation: readonly number[] = x.shape.map((_, i) => i).reverse(),
): Node => apply(transposeOp, [x], { permutation });
export const flip = (x: Node, axes: readonly number[]): Node => apply(flipOp, [x], { axes });
