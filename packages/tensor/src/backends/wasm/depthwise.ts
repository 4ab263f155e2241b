/**
 * Convolution of each channel for itself, and its adjoints. There is no sum over channels that a matrix product could take, so the
 * elements of the window are gone through one after the other, each a product of whole tensors: neighbouring channels lie in
 * one vector. Places where the window reaches beyond the image are left out.
 */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { type ConvolutionSizes, convolutionSizes } from '../../ops/conv2d.ts';
import { levelsOf } from '../../ops/summation.ts';
import { add, input, mul } from '../../scalar/expression.ts';
import { sizeOf, stridesOf } from '../../shape.ts';
import { type Address, behind } from './address.ts';
import { type Cut, cutOf, emitParts, ofPart, onThread, type Team } from './cut.ts';
import { emitFill, emitPointwise, emitZeros, nest } from './emit-loops.ts';
import { emitRuns } from './emit-runs.ts';

/** Vectors of channels that are summed at a time in a weight's gradient. */
const WIDEST = 8;

/** Most places of a sample that are one run of the sum in a weight's gradient. */
const LONGEST_RUN = 256;

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
export function depthwiseKernel(
  node: Node,
  [first, second]: readonly number[],
  to: number,
  team: Team | undefined,
): FunctionBuilder {
  const f = new FunctionBuilder();
  const sizes = convolutionSizes(node);
  if (node.op === 'conv2dWeightGradient') {
    emitZeros(f, to, sizeOf(node.shape), team);
    for (const reach of reachesOf(sizes)) weightGradient(f, reach, first!, second!, to, team);
    return f;
  }
  const { samples } = sizes;
  const images = (count: number, cut?: Cut) => {
    const [from, into] = [node.inputs[0]!, node].map(({ shape }, i): Address => {
      const at = i === 0 ? first! : to;
      return cut ? ofPart(f, cut, at, (4 * sizeOf(shape)) / samples) : at;
    });
    emitFill(f, into!, (sizeOf(node.shape) / samples) * count, 0);
    alongImages(f, { ...sizes, samples: count }, node.op === 'conv2d', from!, second!, into!);
  };
  if (team) {
    const cut = cutOf(samples, team.threads);
    emitParts(f, cut, team.threads, (count) => images(count, cut));
  } else images(samples);
  return f;
}

/** Of each element of the window that reaches any pixel. */
const reachesOf = (sizes: ConvolutionSizes): Reach[] => {
  const [rows, columns] = sizes.window;
  return Array.from({ length: rows * columns }, (_, index) =>
    reachOf(sizes, Math.floor(index / columns), index % columns),
  ).filter((reach) => reach !== undefined);
};

/** Adds the products with one element of the window after the other, forwards or as the gradient of the image. */
function alongImages(
  f: FunctionBuilder,
  sizes: ConvolutionSizes,
  forwards: boolean,
  source: Address,
  weights: number,
  target: Address,
): void {
  const reaches = reachesOf(sizes);
  // In the order in which `ops/conv2d.ts` defines the sums.
  for (const { image, result, weight, shape } of forwards ? reaches : reaches.reverse()) {
    const [from, into] = forwards ? [image, result] : [result, image];
    const to = behind(target, 4 * into.first);
    emitPointwise(
      f,
      shape,
      [add(input(0), mul(input(1), input(2)))],
      [to, behind(source, 4 * from.first), weights + 4 * weight],
      [into.strides, from.strides, [0, 0, 0, 1]],
      [to],
      { strides: [into.strides] },
    );
  }
}

/**
 * The sum over all places of one element of the window. A run is what lies in one sample where that is not long, and a row of it
 * otherwise, whose sums are then added sample by sample.
 */
function weightGradient(
  f: FunctionBuilder,
  { shape, image, result, weight }: Reach,
  first: number,
  second: number,
  all: number,
  team: Team | undefined,
): void {
  const [x, g, to] = [first + 4 * image.first, second + 4 * result.first, all + 4 * weight];
  const [samples, rows, columns, channels] = shape as [number, number, number, number];
  const pointers = [f.local('i32'), f.local('i32')] as const;
  const [fromImage, fromResult] = pointers;
  const along = (axis: number, extent: number) => ({
    extent,
    strides: [image.strides[axis]!, result.strides[axis]!],
  });
  const inSample = [along(1, rows), along(2, columns)];
  const whole = rows * columns <= LONGEST_RUN;
  const sums = (count: number) => Array.from({ length: count }, () => f.local('v128'));
  const clear = (of: readonly Local[]) => {
    for (const sum of of) f.f32x4(0).set(sum);
  };
  const join = (from: readonly Local[], into: readonly Local[]) => {
    for (const [i, sum] of into.entries()) f.get(sum).get(from[i]!).op('f32x4Add').set(sum);
  };
  const levels = levelsOf(samples, 1);
  /** So many vectors of channels, or one channel in a vector. */
  const part = (channel: number, vectors: number, isWhole: boolean) => {
    const load = isWhole ? 'v128Load' : 'v128Load32Zero';
    const [run, sample] = [sums(vectors), sums(vectors)];
    const waiting = Array.from({ length: levels + 1 }, () => sums(vectors));
    f.i32(x + 4 * channel)
      .set(fromImage)
      .i32(g + 4 * channel)
      .set(fromResult);
    const add = () => {
      for (const [i, sum] of run.entries()) {
        f.get(sum)
          .get(fromImage)
          .memory(load, 16 * i)
          .get(fromResult)
          .memory(load, 16 * i)
          .op('f32x4Mul', 'f32x4Add')
          .set(sum);
      }
    };
    emitRuns(f, samples, 1, {
      run: (_, level, fresh) => {
        if (fresh) clear(waiting[level]!);
        if (whole) {
          clear(run);
          nest(f, inSample, pointers, add);
          join(run, waiting[level]!);
        } else {
          clear(sample);
          nest(f, inSample.slice(0, 1), pointers, () => {
            clear(run);
            nest(f, inSample.slice(1), pointers, add);
            join(run, sample);
          });
          join(sample, waiting[level]!);
        }
        f.advance(fromImage, 4 * image.strides[0]!).advance(fromResult, 4 * result.strides[0]!);
      },
      join: (level) => join(waiting[level]!, waiting[level - 1]!),
    });
    for (const [i, sum] of waiting[0]!.entries()) {
      f.i32(to + 4 * channel).get(sum);
      if (isWhole) f.memory('v128Store', 16 * i);
      else f.store32Lane0();
    }
  };
  const threads = team?.threads ?? 1;
  const most = Math.min(WIDEST, Math.max(1, Math.ceil(channels / 4 / threads)));
  for (let channel = 0, index = 0; channel < channels; index++) {
    const vectors = Math.min(most, Math.floor((channels - channel) / 4));
    const from = channel;
    const take = () => part(from, Math.max(1, vectors), vectors > 0);
    if (team) onThread(f, index % threads, take);
    else take();
    channel += Math.max(1, 4 * vectors);
  }
}
