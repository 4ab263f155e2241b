/**
 * Convolution of each channel for itself, and its adjoints. There is no sum over channels that a matrix product could take, so the
 * elements of the window are gone through one after the other, each a product of whole tensors: neighbouring channels lie in
 * one vector. Places where the window reaches beyond the image are left out.
 */
import type { Node } from '../../graph.ts';
import { type ConvolutionSizes, convolutionSizes } from '../../ops/conv2d.ts';
import { collapse } from '../../plan/access.ts';
import { add, input, mul } from '../../scalar/expression.ts';
import { sizeOf, stridesOf } from '../../shape.ts';
import { FunctionBuilder } from './assembler.ts';
import { emitFill, emitPointwise, nest } from './emit-loops.ts';

/** Vectors of channels that are summed at a time in a weight's gradient. */
const WIDEST = 8;

/** Whether a convolution is computed here. */
export const isDepthwise = ({ groups, channels, filters }: ConvolutionSizes): boolean =>
  groups > 1 && channels === 1 && filters === 1;

/** The places of all samples at which an element of the window lies in the image, channels last. */
interface Reach {
  /** [samples, rows, columns, channels] */
  readonly shape: readonly number[];
  /** First element, and strides along the shape, in the image and in the result. */
  readonly image: { readonly first: number; readonly strides: readonly number[] };
  readonly result: { readonly first: number; readonly strides: readonly number[] };
  /** First element in the weight. */
  readonly weight: number;
}

function reachOf(sizes: ConvolutionSizes, i: number, j: number): Reach | undefined {
  const { samples, image, places, window, stride, padding, dilation, groups } = sizes;
  const along = (axis: 0 | 1, at: number) => {
    const shift = at * dilation[axis] - padding[axis];
    const from = Math.max(0, Math.ceil(-shift / stride[axis]));
    const to = Math.min(places[axis], Math.floor((image[axis] - 1 - shift) / stride[axis]) + 1);
    return { from, count: to - from, pixel: from * stride[axis] + shift };
  };
  const [rows, columns] = [along(0, i), along(1, j)];
  if (rows.count <= 0 || columns.count <= 0) return undefined;
  const ofImage = stridesOf([samples, ...image, groups]);
  const ofResult = stridesOf([samples, ...places, groups]);
  return {
    shape: [samples, rows.count, columns.count, groups],
    image: {
      first: rows.pixel * ofImage[1]! + columns.pixel * ofImage[2]!,
      strides: ofImage.map((own, axis) => (axis === 1 || axis === 2 ? own * stride[axis - 1]! : own)),
    },
    result: { first: rows.from * ofResult[1]! + columns.from * ofResult[2]!, strides: ofResult },
    weight: (i * window[1] + j) * groups,
  };
}

/** A function that computes a convolution node of as many groups as channels and filters. */
export function depthwiseKernel(node: Node, [first, second]: readonly number[], to: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const sizes = convolutionSizes(node);
  const { window } = sizes;
  emitFill(f, to, sizeOf(node.shape), 0);
  const elements = Array.from({ length: window[0] * window[1] }, (_, index) => index);
  // In the order in which `ops/conv2d.ts` defines the sums.
  for (const index of node.op === 'conv2dInputGradient' ? elements.reverse() : elements) {
    const reach = reachOf(sizes, Math.floor(index / window[1]), index % window[1]);
    if (!reach) continue;
    const { image, result, weight, shape } = reach;
    const addresses = (inImage: number, inResult: number) =>
      [inImage + 4 * image.first, inResult + 4 * result.first] as const;
    if (node.op === 'conv2dWeightGradient') {
      const [x, g] = addresses(first!, second!);
      weightGradient(f, reach, x, g, to + 4 * weight);
      continue;
    }
    const forwards = node.op === 'conv2d';
    const [x, y] = forwards ? addresses(first!, to) : addresses(to, first!);
    const [from, into] = forwards ? [image.strides, result.strides] : [result.strides, image.strides];
    const [source, target] = forwards ? [x, y] : [y, x];
    emitPointwise(
      f,
      shape,
      [add(input(0), mul(input(1), input(2)))],
      [target, source, second! + 4 * weight],
      [into, from, [0, 0, 0, 1]],
      [target],
      { strides: [into] },
    );
  }
  return f;
}

/** The sum over all places of one element of the window. */
function weightGradient(
  f: FunctionBuilder,
  { shape, image, result }: Reach,
  x: number,
  g: number,
  to: number,
): void {
  const channels = shape[3]!;
  const places = collapse(shape.slice(0, 3), [image.strides.slice(0, 3), result.strides.slice(0, 3)]);
  const pointers = [f.local('i32'), f.local('i32')] as const;
  const [fromImage, fromResult] = pointers;
  const single = f.local('f32');
  const sums = Array.from({ length: WIDEST }, () => f.local('v128'));
  for (let channel = 0; channel < channels; ) {
    const vectors = Math.min(WIDEST, Math.floor((channels - channel) / 4));
    f.i32(x + 4 * channel)
      .set(fromImage)
      .i32(g + 4 * channel)
      .set(fromResult);
    if (vectors === 0) {
      f.f32(0).set(single);
      nest(f, places, pointers, () => {
        f.get(single).get(fromImage).memory('f32Load').get(fromResult).memory('f32Load');
        f.op('f32Mul', 'f32Add').set(single);
      });
      f.i32(to + 4 * channel)
        .get(single)
        .memory('f32Store');
      channel++;
      continue;
    }
    const own = sums.slice(0, vectors);
    for (const sum of own) f.f32x4(0).set(sum);
    nest(f, places, pointers, () => {
      for (const [i, sum] of own.entries()) {
        f.get(sum)
          .get(fromImage)
          .memory('v128Load', 16 * i)
          .get(fromResult)
          .memory('v128Load', 16 * i)
          .op('f32x4Mul', 'f32x4Add')
          .set(sum);
      }
    });
    for (const [i, sum] of own.entries())
      f.i32(to + 4 * channel)
        .get(sum)
        .memory('v128Store', 16 * i);
    channel += 4 * vectors;
  }
}
