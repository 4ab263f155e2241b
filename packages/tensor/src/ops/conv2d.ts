/**
 * Convolution of images [samples, rows, columns, channels], and its two adjoints. Each of the three is linear in both inputs, and
 * the gradients of each are the other two, so that derivatives of any order are made of the same three kernels.
 *
 * The order of their sums, which decides the bits on the wasm backend:
 * - conv2d: rows of the window from the first, in each its columns, in each the channels of the group.
 * - conv2dInputGradient: rows of the window from the last, in each its columns from the last, in each the filters of the
 *   group: the gradient is read in the order in which it lies in memory. Only places that the stride reaches are summed.
 * - conv2dWeightGradient: samples, in each the rows and in each the columns of the gradient.
 * `summation.ts` says how such a sum is cut into runs. The first two: at most 288 products a run, whole rows of the window, pixels or
 * parts of a pixel's channels (`patchBlocks` in `backends/wasm/patches.ts`), one run after the other. The third: 256 places a run, in
 * levels. Depthwise: the first two have one run; in the third a sample is a run, or each of its rows if it has more than 256 places.
 * Where `usesWinograd` says so the sums are Winograd's instead: of mapped tiles of 4 x 4 or 2 x 2 results, over the channels, 256 a run,
 * or in a weight's gradient over samples, rows and columns of tiles, runs in levels; `backends/wasm/winograd.ts` has maps and lengths.
 * Padding counts as zeros. Products are rounded before they are added, unless the job asks for fast arithmetic.
 */
import type { Node } from '../graph.ts';
import type { Shape } from '../shape.ts';
import { apply, attributesOf, expectInputs, fail, type Op, type OpCase } from './op.ts';

export type Pair = readonly [rows: number, columns: number];

type Geometry = {
  /** From one window to the next: rows, columns. */
  readonly stride: readonly number[];
  /** Zeros above and below, left and right. */
  readonly padding: readonly number[];
  /** From one element of a window to the next. */
  readonly dilation: readonly number[];
  /** Parts that the channels and the filters are cut into; each is convolved for itself. */
  readonly groups: number;
};
/** Adds the rows and columns of the image whose gradient this is. */
type InputGradientAttributes = Geometry & { readonly image: readonly number[] };
/** Adds the rows and columns of the window. */
type WeightGradientAttributes = Geometry & { readonly window: readonly number[] };

/** Every size of one convolution, whichever of the three operations it comes from. */
export interface ConvolutionSizes {
  readonly samples: number;
  /** Rows and columns of the image. */
  readonly image: Pair;
  /** Rows and columns of the windows' places: those of the result. */
  readonly places: Pair;
  readonly window: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;
  /** Of one group. */
  readonly channels: number;
  /** Of one group. */
  readonly filters: number;
}

/** Places of a window along rows and columns of an image; below 1 where it does not fit. */
export function windowPlaces(
  image: readonly number[],
  window: readonly number[],
  { stride, padding, dilation }: Omit<Geometry, 'groups'>,
): Pair {
  const along = (axis: 0 | 1) =>
    Math.floor(
      (image[axis]! + 2 * padding[axis]! - dilation[axis]! * (window[axis]! - 1) - 1) / stride[axis]!,
    ) + 1;
  return [along(0), along(1)];
}

/** Checks an image, a weight and what lies between them; says how many places there are. */
function check(
  name: string,
  inputs: readonly Node[],
  image: Shape,
  weight: Shape,
  { stride, padding, dilation, groups }: Geometry,
): Pair {
  const whole = (list: readonly number[], least: number) =>
    list.length === 2 && list.every((n) => Number.isSafeInteger(n) && n >= least);
  if (
    !whole(stride, 1) ||
    !whole(dilation, 1) ||
    !whole(padding, 0) ||
    !Number.isSafeInteger(groups) ||
    groups < 1
  ) {
    fail(
      name,
      inputs,
      `stride [${stride}], dilation [${dilation}] and groups ${groups} must be positive integers, and padding [${padding}] must not be negative`,
    );
  }
  if (image.length !== 4 || weight.length !== 4) {
    fail(
      name,
      inputs,
      'expected images with 4 axes and a weight [height, width, channels / groups, filters]',
    );
  }
  if (image[3] !== weight[2]! * groups || weight[3]! % groups > 0) {
    fail(
      name,
      inputs,
      `the image has ${image[3]} channels; expected ${groups} groups of ${weight[2]}, and a number of filters divisible by the groups`,
    );
  }
  const places = windowPlaces(image.slice(1, 3), weight, { stride, padding, dilation });
  return [Math.max(0, places[0]), Math.max(0, places[1])];
}

function expectPlaces(name: string, inputs: readonly Node[], gradient: Shape, places: Pair): void {
  if (gradient[1] !== places[0] || gradient[2] !== places[1]) {
    fail(
      name,
      inputs,
      `the gradient must have the ${places[0]} x ${places[1]} places of the window in the image`,
    );
  }
}

/** y[s, r, q, f] = sum of x[s, r stride + i dilation - padding, .., c] w[i, j, c, f] over i, j, c: cross-correlation. */
export const conv2dOp: Op<Geometry> = {
  name: 'conv2d',
  signature: (inputs, attributes) => {
    expectInputs('conv2d', inputs, ['f32', 'f32']);
    const [x, weight] = inputs.map(({ shape }) => shape) as [Shape, Shape];
    const places = check('conv2d', inputs, x, weight, attributes);
    return { shape: [x[0]!, ...places, weight[3]!], dtype: 'f32' };
  },
  gradient: (node, g) => {
    const [x, weight] = node.inputs as readonly [Node, Node];
    const geometry = attributesOf(conv2dOp, node);
    return [
      apply(conv2dInputGradientOp, [g, weight], { ...geometry, image: x.shape.slice(1, 3) }),
      apply(conv2dWeightGradientOp, [x, g], { ...geometry, window: weight.shape.slice(0, 2) }),
    ];
  },
  cases: casesOf(({ x, weight, geometry, domain }) => ({
    inputs: [
      { shape: x, domain },
      { shape: weight, domain },
    ],
    attributes: geometry,
  })),
};

/** The adjoint of conv2d in its first input: from the gradient of the result and the weight, the gradient of the image. */
export const conv2dInputGradientOp: Op<InputGradientAttributes> = {
  name: 'conv2dInputGradient',
  signature: (inputs, attributes) => {
    expectInputs('conv2dInputGradient', inputs, ['f32', 'f32']);
    const [g, weight] = inputs.map(({ shape }) => shape) as [Shape, Shape];
    const shape = [g[0]!, ...attributes.image, weight[2]! * attributes.groups];
    const places = check('conv2dInputGradient', inputs, shape, weight, attributes);
    if (g.length !== 4 || g[3] !== weight[3]) {
      fail('conv2dInputGradient', inputs, 'expected a gradient [samples, rows, columns, filters]');
    }
    expectPlaces('conv2dInputGradient', inputs, g, places);
    return { shape, dtype: 'f32' };
  },
  gradient: (node, upstream) => {
    const [g, weight] = node.inputs as readonly [Node, Node];
    const { image: _, ...geometry } = attributesOf(conv2dInputGradientOp, node);
    return [
      apply(conv2dOp, [upstream, weight], geometry),
      apply(conv2dWeightGradientOp, [upstream, g], { ...geometry, window: weight.shape.slice(0, 2) }),
    ];
  },
  cases: casesOf(({ x, weight, result, geometry, domain }) => ({
    inputs: [
      { shape: result, domain },
      { shape: weight, domain },
    ],
    attributes: { ...geometry, image: x.slice(1, 3) },
  })),
};

/** The adjoint of conv2d in its second input: from the image and the gradient of the result, the gradient of the weight. */
export const conv2dWeightGradientOp: Op<WeightGradientAttributes> = {
  name: 'conv2dWeightGradient',
  signature: (inputs, attributes) => {
    expectInputs('conv2dWeightGradient', inputs, ['f32', 'f32']);
    const [x, g] = inputs.map(({ shape }) => shape) as [Shape, Shape];
    if (x.length !== 4 || g.length !== 4 || x[0] !== g[0] || x[3]! % attributes.groups > 0) {
      fail(
        'conv2dWeightGradient',
        inputs,
        'expected equal numbers of samples, and a number of channels divisible by the groups',
      );
    }
    const shape = [...attributes.window, x[3]! / attributes.groups, g[3]!];
    expectPlaces(
      'conv2dWeightGradient',
      inputs,
      g,
      check('conv2dWeightGradient', inputs, x, shape, attributes),
    );
    return { shape, dtype: 'f32' };
  },
  gradient: (node, upstream) => {
    const [x, g] = node.inputs as readonly [Node, Node];
    const { window: _, ...geometry } = attributesOf(conv2dWeightGradientOp, node);
    return [
      apply(conv2dInputGradientOp, [g, upstream], { ...geometry, image: x.shape.slice(1, 3) }),
      apply(conv2dOp, [x, upstream], geometry),
    ];
  },
  cases: casesOf(({ x, weight, result, geometry, domain }) => ({
    inputs: [
      { shape: x, domain },
      { shape: result, domain },
    ],
    attributes: { ...geometry, window: weight.slice(0, 2) },
  })),
};

interface Example {
  /** Of all inputs. */
  readonly domain: readonly [number, number];
  readonly x: Shape;
  readonly weight: Shape;
  readonly result: Shape;
  readonly geometry: Geometry;
}

/** The same examples for all three: full tiles and edges, one to many blocks of a sum, and every attribute. */
function casesOf<A extends Geometry>(make: (example: Example) => Omit<OpCase<A>, 'label'>): OpCase<A>[] {
  const plain: Geometry = { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 };
  const example = (
    label: string,
    x: Shape,
    weight: Shape,
    options: Partial<Geometry> = {},
    domain: readonly [number, number] = [-1, 1],
  ): OpCase<A> => {
    const geometry = { ...plain, ...options };
    const result = [x[0]!, ...windowPlaces(x.slice(1, 3), weight, geometry), weight[3]!];
    return { label, ...make({ x, weight, result, geometry, domain }) };
  };
  return [
    example('one channel', [2, 7, 6, 1], [3, 3, 1, 5]),
    example('three channels, padded', [1, 6, 9, 3], [3, 3, 3, 17], { padding: [1, 1] }),
    example('even window, uneven stride', [2, 7, 8, 3], [2, 4, 3, 4], { stride: [2, 1], padding: [0, 2] }),
    example('stride beyond the window', [1, 8, 9, 2], [1, 2, 2, 3], { stride: [3, 4] }),
    example('stride with a rest', [1, 8, 8, 4], [3, 3, 4, 6], { stride: [2, 2], padding: [1, 1] }),
    example('dilated', [1, 9, 8, 4], [3, 2, 4, 3], { dilation: [2, 3], padding: [2, 1] }),
    example('padded beyond the window', [1, 3, 4, 2], [2, 2, 2, 2], { padding: [3, 2] }),
    example('groups', [2, 5, 5, 6], [3, 3, 2, 9], { padding: [1, 1], groups: 3 }),
    example('depthwise', [1, 6, 5, 9], [3, 3, 1, 9], { stride: [2, 1], padding: [1, 1], groups: 9 }),
    example('depthwise, dilated', [2, 9, 8, 37], [2, 3, 1, 37], {
      dilation: [2, 1],
      padding: [0, 2],
      groups: 37,
    }),
    example('a pixel of many channels', [1, 3, 2, 300], [1, 1, 300, 2]),
    example('many channels', [2, 7, 6, 20], [3, 3, 20, 24], { padding: [1, 1] }),
    example('many tiles', [1, 34, 32, 16], [3, 3, 16, 20], { padding: [0, 2] }, [-0.25, 0.25]),
    example('sums of several blocks', [1, 18, 17, 4], [3, 3, 4, 2], { padding: [1, 1] }),
  ];
}

/** The sizes of a node of any of the three operations. */
export function convolutionSizes(node: Node): ConvolutionSizes {
  const [first, second] = node.inputs as readonly [Node, Node];
  const [x, weight, y] =
    node.op === conv2dOp.name
      ? [first, second, node]
      : node.op === conv2dInputGradientOp.name
        ? [node, second, first]
        : [first, node, second];
  const { groups, ...geometry } = node.attributes as Geometry;
  const pair = (list: readonly number[]): Pair => [list[0]!, list[1]!];
  return {
    samples: x.shape[0]!,
    image: pair(x.shape.slice(1)),
    places: pair(y.shape.slice(1)),
    window: pair(weight.shape),
    stride: pair(geometry.stride),
    padding: pair(geometry.padding),
    dilation: pair(geometry.dilation),
    groups,
    channels: weight.shape[2]!,
    filters: weight.shape[3]! / groups,
  };
}

/**
 * Whether the products are Winograd's. By shape alone, since other sums are other bits: windows of 3 x 3 at stride 1, and enough
 * channels and filters that the maps cost less than what they save.
 */
export function usesWinograd({
  window,
  stride,
  dilation,
  padding,
  groups,
  channels,
  filters,
  samples,
  places,
}: ConvolutionSizes): boolean {
  const plain =
    [...window, ...stride, ...dilation].join() === '3,3,1,1,1,1' && padding.every((own) => own <= 2);
  const whole = channels % 4 === 0 && filters % 4 === 0 && samples * places[0] * places[1] > 0;
  return plain && whole && groups === 1 && channels >= 16 && filters >= 16;
}

/**
 * Side of the tiles that Winograd's products make: 4 where that takes fewer products than 2, at the edges included. Undefined where
 * the products are not his. By shape alone, as `usesWinograd`.
 */
export function winogradTile(sizes: ConvolutionSizes): 2 | 4 | undefined {
  if (!usesWinograd(sizes)) return undefined;
  const products = (tile: number) =>
    (tile + 2) ** 2 * sizes.places.reduce((count, extent) => count * Math.ceil(extent / tile), 1);
  return products(4) < products(2) ? 4 : 2;
}

export interface ConvolutionOptions {
  /** Default 1. */
  readonly stride?: Pair;
  /** Zeros above and below, left and right. Default 0. */
  readonly padding?: Pair;
  /** Default 1. */
  readonly dilation?: Pair;
  /** Parts that the channels are cut into; each is convolved for itself. As many as there are channels: depthwise. Default 1. */
  readonly groups?: number;
}

const geometryOf = (options: ConvolutionOptions): Geometry => {
  const { stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1 } = options;
  return { stride, padding, dilation, groups };
};

/**
 * Cross-correlation, as the field calls convolution.
 * @param x [samples, rows, columns, channels]
 * @param weight [height, width, channels / groups, filters]
 * @returns [samples, rows', columns', filters]
 */
export const conv2d = (x: Node, weight: Node, options: ConvolutionOptions = {}): Node =>
  apply(conv2dOp, [x, weight], geometryOf(options));

/** The adjoint of `conv2d` in its first input, for images of so many rows and columns. */
export const conv2dInputGradient = (
  g: Node,
  weight: Node,
  image: Pair,
  options: ConvolutionOptions = {},
): Node => apply(conv2dInputGradientOp, [g, weight], { ...geometryOf(options), image });
