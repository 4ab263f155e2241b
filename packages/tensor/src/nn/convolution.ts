/**
 * Convolution and pooling over images [samples, rows, columns, channels]. Pooling is windows over the rows and the columns,
 * then one reduction.
 */
import type { Node } from '../graph.ts';
import {
  type ConvolutionOptions,
  conv2d,
  conv2dInputGradient,
  type Pair,
  windowPlaces,
} from '../ops/conv2d.ts';
import { matmul } from '../ops/matmul.ts';
import { reshape } from '../ops/movement.ts';
import { fail } from '../ops/op.ts';
import { pad } from '../ops/parts.ts';
import { maxReduce, mean } from '../ops/reduce.ts';
import { window } from '../ops/window.ts';
import { sizeOf } from '../shape.ts';
import { LayerError } from './layer.ts';

export interface WindowOptions {
  /** Default 1. */
  readonly stride?: Pair;
  /** Rows above and below, columns left and right. Default 0. */
  readonly padding?: Pair;
  /** Default 1. */
  readonly dilation?: Pair;
}

/** Shape of the result along rows and columns; a number below 1 means that the window does not fit. */
export const windowedExtents = (image: Pair, size: Pair, options: WindowOptions): Pair =>
  windowPlaces(image, size, { stride: [1, 1], padding: [0, 0], dilation: [1, 1], ...options });

/** [samples, rows, columns, channels] to [samples, rows', height, columns', width, channels]. */
function windows(x: Node, [height, width]: Pair, options: WindowOptions, filling: number): Node {
  const { stride = [1, 1], padding = [0, 0], dilation = [1, 1] } = options;
  const around = [0, padding[0], padding[1], 0];
  const padded = padding[0] + padding[1] > 0 ? pad(x, around, around, { value: filling }) : x;
  const rows = window(padded, 1, height, { stride: stride[0], dilation: dilation[0] });
  return window(rows, 3, width, { stride: stride[1], dilation: dilation[1] });
}

/**
 * Cross-correlation, as the field calls convolution.
 * @param x [samples, rows, columns, channels]
 * @param weight [height, width, channels / groups, filters]
 * @returns [samples, rows', columns', filters]
 */
export function convolve(x: Node, weight: Node, options: ConvolutionOptions = {}): Node {
  const { stride = [1, 1], padding = [0, 0], groups = 1 } = options;
  const [height, width, channels, filters] = weight.shape;
  const ofPixels = height === 1 && width === 1 && groups === 1 && x.shape[3] === channels;
  if (!ofPixels || [...stride, ...padding].join() !== '1,1,0,0') return conv2d(x, weight, options);
  // Each pixel for itself is a matrix product as it lies in memory.
  return matmul(x, reshape(weight, [channels!, filters!]));
}

/** @throws LayerError unless groups divides the channels of the input and of the output */
export function requireGroups(groups: number, channels: number, filters: number): void {
  if (channels % groups > 0 || filters % groups > 0)
    throw new LayerError(
      `groups is ${groups}; expected a divisor of ${channels} channels and ${filters} filters`,
    );
}

export interface TransposedOptions extends WindowOptions {
  /** Rows below and columns right that no window needs, fewer than the stride. Default 0. */
  readonly outputPadding?: Pair;
}

/** Rows and columns of a transposed convolution's result. */
export function transposedExtents(image: Pair, size: Pair, options: TransposedOptions): Pair {
  const { stride = [1, 1], padding = [0, 0], dilation = [1, 1], outputPadding = [0, 0] } = options;
  const extent = (axis: 0 | 1) =>
    (image[axis] - 1) * stride[axis] +
    dilation[axis] * (size[axis] - 1) +
    1 -
    2 * padding[axis] +
    outputPadding[axis];
  return [extent(0), extent(1)];
}

/**
 * Transposed convolution: the adjoint of `convolve` with the same options in its input (Dumoulin and Visin 2016, section 4).
 * @param x [samples, rows, columns, filters]
 * @param weight [height, width, channels, filters]
 * @returns [samples, rows', columns', channels], where rows' = (rows - 1) stride + dilation (height - 1) + 1 - 2 padding + outputPadding
 */
export function convTranspose2d(x: Node, weight: Node, options: TransposedOptions = {}): Node {
  const [rows, columns] = x.shape.slice(1) as [number, number];
  const [height, width] = weight.shape as readonly [number, number];
  return conv2dInputGradient(
    x,
    weight,
    transposedExtents([rows, columns], [height, width], options),
    options,
  );
}

/** Largest element of each window; padding counts as minus infinity. */
export const maxPool2d = (x: Node, size: Pair, options: WindowOptions = {}): Node =>
  maxReduce(windows(x, size, options, Number.NEGATIVE_INFINITY), [2, 4]);

/** Mean of each window; padding counts as zeros. */
export const averagePool2d = (x: Node, size: Pair, options: WindowOptions = {}): Node =>
  mean(windows(x, size, options, 0), [2, 4]);

/** Mean over rows and columns: [samples, rows, columns, channels] to [samples, channels]. */
export const globalAveragePool = (x: Node): Node =>
  sizeOf(x.shape.slice(1, 3)) === 0
    ? fail('globalAveragePool', [x], 'an image has no pixels')
    : mean(x, [1, 2]);
