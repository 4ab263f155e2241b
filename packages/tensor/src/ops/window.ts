/**
 * Sliding windows over one axis, as a view of the same memory, and their adjoint. Convolution and pooling are made of these:
 * two windows, one over the rows and one over the columns of an image.
 */
import type { Node } from '../graph.ts';
import { reshape } from './movement.ts';
import { apply, attributesOf, expectInputs, fail, type Op } from './op.ts';

type WindowAttributes = {
  readonly axis: number;
  /** Elements in a window. */
  readonly size: number;
  /** From the start of one window to that of the next. */
  readonly stride: number;
  /** From one element of a window to the next. */
  readonly dilation: number;
};
type FoldAttributes = WindowAttributes & {
  /** Extent of the axis that the windows were taken of. */
  readonly extent: number;
};

/** Number of windows that lie wholly inside an axis; 0 when none does. */
export function windowCount(
  extent: number,
  { size, stride, dilation }: Omit<WindowAttributes, 'axis'>,
): number {
  return Math.max(0, Math.floor((extent - dilation * (size - 1) - 1) / stride) + 1);
}

function checkNumbers(
  name: string,
  inputs: readonly Node[],
  { size, stride, dilation }: WindowAttributes,
): void {
  if (![size, stride, dilation].every((n) => Number.isSafeInteger(n) && n >= 1)) {
    fail(name, inputs, `size ${size}, stride ${stride} and dilation ${dilation} must be positive integers`);
  }
}

/** [.., extent, ..] to [.., windows, size, ..]: the windows of one axis. */
export const windowOp: Op<WindowAttributes> = {
  name: 'window',
  signature: (inputs, attributes) => {
    expectInputs('window', inputs, ['f32']);
    const { shape } = inputs[0]!;
    const { axis, size } = attributes;
    const extent = shape[axis];
    if (extent === undefined) fail('window', inputs, `axis ${axis} does not exist`);
    checkNumbers('window', inputs, attributes);
    const count = windowCount(extent, attributes);
    return { shape: [...shape.slice(0, axis), count, size, ...shape.slice(axis + 1)], dtype: 'f32' };
  },
  gradient: (node, g) => {
    const { axis, stride, dilation } = attributesOf(windowOp, node);
    return [fold(g, axis, node.inputs[0]!.shape[axis]!, { stride, dilation })];
  },
  cases: [
    { label: 'apart', inputs: [{ shape: [9] }], attributes: { axis: 0, size: 3, stride: 3, dilation: 1 } },
    {
      label: 'overlapping rows',
      inputs: [{ shape: [7, 5] }],
      attributes: { axis: 0, size: 3, stride: 2, dilation: 1 },
    },
    {
      label: 'dilated columns',
      inputs: [{ shape: [2, 11] }],
      attributes: { axis: 1, size: 3, stride: 1, dilation: 2 },
    },
    {
      label: 'middle axis with a rest',
      inputs: [{ shape: [2, 8, 3] }],
      attributes: { axis: 1, size: 2, stride: 3, dilation: 2 },
    },
    {
      label: 'too long for any',
      inputs: [{ shape: [2, 3] }],
      attributes: { axis: 1, size: 4, stride: 1, dilation: 1 },
    },
  ],
};

/**
 * [.., windows, size, ..] to [.., extent, ..]: adds every window's elements where they came from. Each sum is taken over
 * ascending places in the window.
 */
export const foldOp: Op<FoldAttributes> = {
  name: 'fold',
  signature: (inputs, attributes) => {
    expectInputs('fold', inputs, ['f32']);
    const { shape } = inputs[0]!;
    const { axis, size, extent } = attributes;
    checkNumbers('fold', inputs, attributes);
    if (!(axis >= 0 && axis + 1 < shape.length)) fail('fold', inputs, `axis ${axis} must have one after it`);
    if (shape[axis + 1] !== size || shape[axis] !== windowCount(extent, attributes)) {
      fail('fold', inputs, `expected axes ${axis} and ${axis + 1} to be the windows of an axis of ${extent}`);
    }
    return { shape: [...shape.slice(0, axis), extent, ...shape.slice(axis + 2)], dtype: 'f32' };
  },
  gradient: (node, g) => {
    const { axis, size, stride, dilation } = attributesOf(foldOp, node);
    return [window(g, axis, size, { stride, dilation })];
  },
  cases: [
    {
      label: 'apart',
      inputs: [{ shape: [3, 3] }],
      attributes: { axis: 0, size: 3, stride: 3, dilation: 1, extent: 9 },
    },
    {
      label: 'overlapping rows',
      inputs: [{ shape: [3, 3, 5] }],
      attributes: { axis: 0, size: 3, stride: 2, dilation: 1, extent: 7 },
    },
    {
      label: 'dilated, middle axis, with a rest',
      inputs: [{ shape: [2, 3, 2, 9] }],
      attributes: { axis: 1, size: 2, stride: 2, dilation: 2, extent: 8 },
    },
  ],
};

/** Windows of `size` over an axis; stride and dilation are 1 without more. */
export const window = (
  x: Node,
  axis: number,
  size: number,
  { stride = 1, dilation = 1 }: { readonly stride?: number; readonly dilation?: number } = {},
): Node => apply(windowOp, [x], { axis, size, stride, dilation });

/** The adjoint of `window` over an axis of `extent`. Windows that lie side by side are joined, which is a reshape. */
export function fold(
  x: Node,
  axis: number,
  extent: number,
  { stride = 1, dilation = 1 }: { readonly stride?: number; readonly dilation?: number } = {},
): Node {
  const [count, size] = [x.shape[axis]!, x.shape[axis + 1]!];
  if (stride === size && dilation === 1 && count * size === extent) {
    return reshape(x, [...x.shape.slice(0, axis), extent, ...x.shape.slice(axis + 2)]);
  }
  return apply(foldOp, [x], { axis, size, stride, dilation, extent });
}
