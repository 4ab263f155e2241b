/**
 * Convolution and pooling over images [samples, rows, columns, channels]: windows over the rows and the columns, then one
 * matrix product or one reduction.
 */
import type { Node } from '../graph.ts';
import { matmul } from '../ops/matmul.ts';
import { reshape, transpose } from '../ops/movement.ts';
import { fail } from '../ops/op.ts';
import { pad, slice } from '../ops/parts.ts';
import { maxReduce, mean } from '../ops/reduce.ts';
import { fold, window } from '../ops/window.ts';
import { sizeOf } from '../shape.ts';

export type Pair = readonly [rows: number, columns: number];

export interface WindowOptions {
  /** Default 1. */
  readonly stride?: Pair;
  /** Rows above and below, columns left and right. Default 0. */
  readonly padding?: Pair;
  /** Default 1. */
  readonly dilation?: Pair;
}

export interface ConvolutionOptions extends WindowOptions {
  /** Parts that the channels are cut into; each is convolved for itself. As many as there are channels: depthwise. Default 1. */
  readonly groups?: number;
}

/** Shape of the result along rows and columns; a number below 1 means that the window does not fit. */
export function windowedExtents(image: Pair, size: Pair, options: WindowOptions): Pair {
  const { stride = [1, 1], padding = [0, 0], dilation = [1, 1] } = options;
  const along = (axis: 0 | 1) =>
    Math.floor((image[axis] + 2 * padding[axis] - dilation[axis] * (size[axis] - 1) - 1) / stride[axis]) + 1;
  return [along(0), along(1)];
}

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
export function conv2d(x: Node, weight: Node, options: ConvolutionOptions = {}): Node {
  const { groups = 1 } = options;
  const channels = x.shape[3]!;
  const [height, width, depth, filters] = weight.shape as readonly [number, number, number, number];
  if (
    x.shape.length !== 4 ||
    weight.shape.length !== 4 ||
    channels !== depth * groups ||
    filters % groups > 0
  ) {
    const wanted =
      'expected x [samples, rows, columns, channels], weight [height, width, channels / groups, filters]';
    fail('conv2d', [x, weight], `${wanted} and filters that ${groups} groups divide`);
  }
  const view = windows(x, [height, width], options, 0);
  const [samples, rows, , columns] = view.shape as readonly [number, number, number, number];
  const places = samples * rows * columns;
  const taps = height * width * depth;
  if (groups === 1) {
    const patches = reshape(transpose(view, [0, 1, 3, 2, 4, 5]), [places, taps]);
    return reshape(matmul(patches, reshape(weight, [taps, filters])), [samples, rows, columns, filters]);
  }
  const each = filters / groups;
  const split = reshape(view, [samples, rows, height, columns, width, groups, depth]);
  const patches = reshape(transpose(split, [5, 0, 1, 3, 2, 4, 6]), [groups, places, taps]);
  const kernels = transpose(reshape(weight, [taps, groups, each]), [1, 0, 2]);
  const product = transpose(matmul(patches, kernels), [1, 0, 2]);
  return reshape(product, [samples, rows, columns, filters]);
}

/**
 * Transposed convolution: the adjoint of `conv2d` with the same options in its input (Dumoulin and Visin 2016, section 4).
 * @param x [samples, rows, columns, filters]
 * @param weight [height, width, channels, filters]
 * @returns [samples, rows', columns', channels], where rows' = (rows - 1) stride + dilation (height - 1) + 1 - 2 padding
 */
export function convTranspose2d(x: Node, weight: Node, options: WindowOptions = {}): Node {
  const { stride = [1, 1], padding = [0, 0], dilation = [1, 1] } = options;
  if (x.shape.length !== 4 || weight.shape.length !== 4 || x.shape[3] !== weight.shape[3]) {
    fail(
      'convTranspose2d',
      [x, weight],
      'expected x [samples, rows, columns, filters], weight [height, width, channels, filters]',
    );
  }
  const [samples, rows, columns, filters] = x.shape as readonly [number, number, number, number];
  const [height, width, channels] = weight.shape as readonly [number, number, number, number];
  const patches = matmul(
    reshape(x, [samples * rows * columns, filters]),
    reshape(weight, [height * width * channels, filters]),
    false,
    true,
  );
  const split = reshape(patches, [samples, rows, columns, height, width, channels]);
  const extent = (count: number, axis: 0 | 1) =>
    (count - 1) * stride[axis] + dilation[axis] * ((axis === 0 ? height : width) - 1) + 1;
  const [tall, wide] = [extent(rows, 0), extent(columns, 1)];
  const across = fold(transpose(split, [0, 1, 3, 2, 4, 5]), 3, wide, {
    stride: stride[1],
    dilation: dilation[1],
  });
  const whole = fold(across, 1, tall, { stride: stride[0], dilation: dilation[0] });
  const size = [samples, tall - 2 * padding[0], wide - 2 * padding[1], channels];
  return slice(whole, [0, padding[0], padding[1], 0], size);
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
