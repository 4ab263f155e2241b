/** Convolutions, pools and what changes the size of images. Channels are last in memory, as everywhere here; ONNX counts them first. */
import type { Node } from '../../../graph.ts';
import { averagePool2d, convolve, maxPool2d } from '../../../nn/convolution.ts';
import { conv2dInputGradient, type Pair } from '../../../ops/conv2d.ts';
import { constant } from '../../../ops/leaf.ts';
import { matmul } from '../../../ops/matmul.ts';
import { broadcast, reshape, transpose } from '../../../ops/movement.ts';
import { pad, slice } from '../../../ops/parts.ts';
import * as p from '../../../ops/pointwise.ts';
import { maxReduce, mean } from '../../../ops/reduce.ts';
import { formatShape } from '../../../shape.ts';
import { axisOf, type NodeContext, refuse, type Translator } from './context.ts';
import { alongLast } from './reductions.ts';
import { type Computed, image, known, like, permute, plainNode, shapeOf } from './values.ts';

/** Rows and columns; a sequence has one row. */
interface Places {
  readonly size: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly before: Pair;
  readonly after: Pair;
}

/** Two numbers of an attribute that has one for each axis of space. */
function pairOf(list: readonly number[] | undefined, axes: number, otherwise: number, least: number): Pair {
  const found = list ?? new Array<number>(axes).fill(otherwise);
  if (
    found.length !== axes ||
    !found.every((each) => Number.isSafeInteger(each) && each >= least && each < 2 ** 24)
  )
    return refuse(`has ${formatShape(found)} where ${axes} whole numbers from ${least} were expected`);
  return axes === 1 ? [otherwise, found[0]!] : [found[0]!, found[1]!];
}

/** Rows of one for a sequence [samples, time, channels]. */
function asImage(x: Node): Node {
  if (x.shape.length === 4) return x;
  if (x.shape.length !== 3)
    return refuse(`of ${x.shape.length - 2} spatial axes is not supported; 1 and 2 are`);
  return reshape(x, [x.shape[0]!, 1, ...x.shape.slice(1)]);
}

/** The result for an input that was made an image of. */
const asGiven = (y: Node, given: Node): Computed =>
  image(given.shape.length === 4 ? y : reshape(y, [y.shape[0]!, ...y.shape.slice(2)]));

function placesOf(c: NodeContext, x: Node, window: readonly number[] | undefined): Places {
  const axes = x.shape.length - 2;
  const shape = c.numbers('kernel_shape') ?? window;
  if (!shape) return refuse('has no kernel_shape');
  const size = pairOf(shape, axes, 1, 1);
  const stride = pairOf(c.numbers('strides'), axes, 1, 1);
  const dilation = pairOf(c.numbers('dilations'), axes, 1, 1);
  const auto = c.text('auto_pad', 'NOTSET');
  if (auto === 'NOTSET' || auto === '' || auto === 'VALID') {
    const pads = auto === 'VALID' ? undefined : c.numbers('pads');
    return {
      ...{ size, stride, dilation },
      before: pairOf(pads?.slice(0, axes), axes, 0, 0),
      after: pairOf(pads?.slice(axes), axes, 0, 0),
    };
  }
  if (auto !== 'SAME_UPPER' && auto !== 'SAME_LOWER') return refuse(`auto_pad is ${auto}`);
  const extents = asImage(x).shape.slice(1, 3);
  const missing = [0, 1].map((axis) => {
    const places = Math.ceil(extents[axis]! / stride[axis]!);
    return Math.max(
      0,
      (places - 1) * stride[axis]! + dilation[axis]! * (size[axis]! - 1) + 1 - extents[axis]!,
    );
  });
  const less = missing.map((all) => Math.floor(all / 2)) as unknown as Pair;
  const more = missing.map((all) => Math.ceil(all / 2)) as unknown as Pair;
  return auto === 'SAME_UPPER'
    ? { size, stride, dilation, before: less, after: more }
    : { size, stride, dilation, before: more, after: less };
}

const isEven = ({ before, after }: Places): boolean => before[0] === after[0] && before[1] === after[1];

const around = (x: Node, before: Pair, after: Pair, value = 0): Node =>
  [...before, ...after].every((each) => each === 0)
    ? x
    : pad(x, [0, ...before, 0], [0, ...after, 0], { value });

/**
 * The weight of a convolution as [height, width, ...]: in the file these two are behind the channels.
 * @param axes of space
 */
function windowWeight(c: NodeContext, axes: number): Node {
  const value = c.value(1);
  const order = [...Array.from({ length: axes }, (_, i) => i + 2), 1, 0];
  if (shapeOf(value).length !== axes + 2)
    return refuse(`has a weight ${formatShape(shapeOf(value))} for ${axes} spatial axes`);
  const weight =
    value.kind === 'known'
      ? c.home.lift(permute(value, order), 'weight', true)
      : transpose(plainNode(value), order);
  return axes === 1 ? reshape(weight, [1, ...weight.shape]) : weight;
}

const biased = (c: NodeContext, y: Node): Node => (c.has(2) ? p.add(y, c.node(2, 'bias', true)) : y);

/** As a layer, which job files say in one line. */
function convLayer(c: NodeContext, x: Node, { size, stride, dilation, before }: Places): Node | undefined {
  const [weight, bias] = [c.weight(1), c.weight(2)];
  if (!weight) return undefined;
  const usual = { stride: 1, dilation: 1, padding: 0 };
  const pairs = { stride, dilation, padding: before };
  const stated = Object.entries(pairs).flatMap(([name, [rows, columns]]) =>
    rows === columns && rows === usual[name as keyof typeof usual]
      ? []
      : [[name, rows === columns ? rows : [rows, columns]] as const],
  );
  const groups = c.number('group', 1);
  return c.home.layer(
    {
      type: 'conv2d',
      options: {
        filters: weight.shape[0]!,
        size: size[0] === size[1] ? size[0] : [...size],
        ...Object.fromEntries(stated),
        ...(groups !== 1 && { groups }),
        ...(!c.has(2) && { bias: false }),
      },
      weights: { weight: permute(weight, [2, 3, 1, 0]), ...(c.has(2) && { bias }) },
    },
    x,
  );
}

const conv: Translator = (c) => {
  const given = c.image(0);
  const x = asImage(given);
  const places = placesOf(c, given, shapeOf(c.value(1)).slice(2));
  const { stride, dilation, before, after } = places;
  const options = { stride, dilation, groups: c.number('group', 1) };
  const layer = given.shape.length === 4 && isEven(places) ? convLayer(c, given, places) : undefined;
  if (layer) return image(layer);
  const weight = windowWeight(c, given.shape.length - 2);
  const y = isEven(places)
    ? convolve(x, weight, { ...options, padding: before })
    : convolve(around(x, before, after), weight, options);
  return asGiven(biased(c, y), given);
};

const convTranspose: Translator = (c) => {
  const given = c.image(0);
  const x = asImage(given);
  const axes = given.shape.length - 2;
  const weight = windowWeight(c, axes);
  const { size, stride, dilation, before, after } = placesOf(c, given, shapeOf(c.value(1)).slice(2));
  const auto = c.text('auto_pad', 'NOTSET');
  const more = pairOf(c.numbers('output_padding'), axes, 0, 0);
  const wanted = c.numbers('output_shape');
  const isSame = auto.startsWith('SAME');
  const reach = ([0, 1] as const).map(
    (axis) => (x.shape[axis + 1]! - 1) * stride[axis] + dilation[axis] * (size[axis] - 1) + 1 + more[axis],
  );
  const [target, low]: [number[], number[]] = [[], []];
  for (const axis of [0, 1] as const) {
    const asked = wanted && (axes === 1 ? (axis === 0 ? 1 : wanted[0]!) : wanted[axis]!);
    const extent = asked ?? (isSame ? x.shape[axis + 1]! * stride[axis] : undefined);
    const cut = reach[axis]! - (extent ?? 0);
    target.push(extent ?? reach[axis]! - before[axis] - after[axis]);
    low.push(
      extent === undefined ? before[axis] : auto === 'SAME_UPPER' ? Math.floor(cut / 2) : Math.ceil(cut / 2),
    );
  }
  const options = { stride, dilation, groups: c.number('group', 1) };
  const isCentered = low.every((own, axis) => own >= 0 && target[axis] === reach[axis]! - 2 * own);
  const y = isCentered
    ? conv2dInputGradient(x, weight, target as unknown as Pair, {
        ...options,
        padding: low as unknown as Pair,
      })
    : cropped(conv2dInputGradient(x, weight, reach as unknown as Pair, options), low, target);
  return asGiven(biased(c, y), given);
};

/** The part of an image from there on. */
function cropped(y: Node, low: readonly number[], target: readonly number[]): Node {
  if (low.some((own, axis) => own < 0 || own + target[axis]! > y.shape[axis + 1]!))
    return refuse(`an output larger than what is computed is not supported: ${formatShape(target)}`);
  const [n, , , channels] = y.shape;
  return slice(y, [0, ...low, 0], [n!, ...target, channels!]);
}

/** What windows at the end reach beyond the padding, when places are counted upwards. */
function beyond(c: NodeContext, x: Node, places: Places): Pair {
  if (c.number('ceil_mode', 0) !== 1) return [0, 0];
  return ([0, 1] as const).map((axis) => {
    const extent = x.shape[axis + 1]! + places.before[axis] + places.after[axis];
    const span = places.dilation[axis] * (places.size[axis] - 1) + 1;
    let count = Math.ceil((extent - span) / places.stride[axis]) + 1;
    // A window must begin inside.
    if ((count - 1) * places.stride[axis] >= x.shape[axis + 1]! + places.before[axis]) count--;
    return Math.max(0, (count - 1) * places.stride[axis] + span - extent);
  }) as unknown as Pair;
}

const further = (after: Pair, more: Pair): Pair => [after[0] + more[0], after[1] + more[1]];

const maxPool: Translator = (c) => {
  const given = c.image(0);
  const x = asImage(given);
  const places = placesOf(c, given, undefined);
  const { size, stride, dilation, before, after } = places;
  const all = around(x, before, further(after, beyond(c, x, places)), Number.NEGATIVE_INFINITY);
  return { ...asGiven(maxPool2d(all, size, { stride, dilation }), given), type: c.value(0).type };
};

const averagePool: Translator = (c) => {
  const given = c.image(0);
  const x = asImage(given);
  const places = placesOf(c, given, undefined);
  const { size, stride, dilation, before, after } = places;
  const more = beyond(c, x, places);
  const all = further(after, more);
  const y = averagePool2d(around(x, before, all), size, { stride, dilation });
  const countsPadding = c.number('count_include_pad', 0) === 1;
  const isWhole = [...more, ...(countsPadding ? [] : [...before, ...after])].every((each) => each === 0);
  if (isWhole) return asGiven(y, given);
  // The part of each window that counts.
  const ones = countsPadding
    ? around(around(constant(1, [1, ...x.shape.slice(1, 3), 1]), before, after, 1), [0, 0], more)
    : around(constant(1, [1, ...x.shape.slice(1, 3), 1]), before, all);
  return asGiven(p.div(y, averagePool2d(ones, size, { stride, dilation })), given);
};

const overImage =
  (f: (x: Node, axes: readonly number[], keepDims: boolean) => Node): Translator =>
  (c) => {
    const x = c.image(0);
    const axes = x.shape.map((_, axis) => axis).slice(1, -1);
    return image(f(x, axes, true));
  };

/** Places of new pixels between the old ones. */
interface Grid {
  readonly from: number;
  readonly to: number;
  /** How many times larger it is said to get. */
  readonly scale: number;
}

function coordinate(mode: string, at: number, { from, to, scale }: Grid): number {
  switch (mode) {
    case 'asymmetric':
      return at / scale;
    case 'align_corners':
      return to === 1 ? 0 : (at * (from - 1)) / (to - 1);
    case 'half_pixel':
      return (at + 0.5) / scale - 0.5;
    case 'half_pixel_symmetric': {
      const exact = from * scale;
      return (from / 2) * (1 - to / exact) + (at + 0.5) / scale - 0.5;
    }
    case 'pytorch_half_pixel':
      return to > 1 ? (at + 0.5) / scale - 0.5 : 0;
    default:
      return refuse(`coordinate_transformation_mode is ${mode}`);
  }
}

function nearest(mode: string, place: number): number {
  switch (mode) {
    case 'round_prefer_floor':
      return Math.ceil(place - 0.5);
    case 'round_prefer_ceil':
      return Math.floor(place + 0.5);
    case 'floor':
      return Math.floor(place);
    case 'ceil':
      return Math.ceil(place);
    default:
      return refuse(`nearest_mode is ${mode}`);
  }
}

/** Numbers of the table that makes an axis longer. */
const MOST_TABLE = 1 << 22;

/** Weights [from, to] of old pixels in new ones. */
function tableOf(c: NodeContext, grid: Grid): Float64Array {
  const { from, to } = grid;
  if (from * to > MOST_TABLE) return refuse(`would resize an axis from ${from} to ${to}, which is too much`);
  const isLinear = c.text('mode', 'nearest') === 'linear';
  const transformation = c.text('coordinate_transformation_mode', 'half_pixel');
  const rounding = c.text('nearest_mode', 'round_prefer_floor');
  const table = new Float64Array(from * to);
  const inside = (place: number) => Math.min(from - 1, Math.max(0, place));
  for (let at = 0; at < to; at++) {
    const place = coordinate(transformation, at, grid);
    if (isLinear) {
      const below = Math.floor(place);
      table[inside(below) * to + at]! += 1 - (place - below);
      table[inside(below + 1) * to + at]! += place - below;
    } else table[inside(nearest(rounding, place)) * to + at] = 1;
  }
  return table;
}

/** Whether each old pixel is there the same number of times, in order. */
function isRepeated(table: Float64Array, { from, to }: Grid): boolean {
  const times = to / from;
  if (!Number.isInteger(times)) return false;
  return Array.from({ length: to }, (_, at) => table[Math.floor(at / times) * to + at] === 1).every(Boolean);
}

function resized(c: NodeContext, x: Node, axis: number, grid: Grid): Node {
  const { from, to } = grid;
  const table = tableOf(c, grid);
  if (isRepeated(table, grid)) {
    const [front, back] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
    const copies = broadcast(reshape(x, [...front, from, 1, ...back]), [...front, from, to / from, ...back]);
    return reshape(copies, [...front, to, ...back]);
  }
  const weights = c.home.lift(known('float', [from, to], table), 'table', false);
  return alongLast(x, axis, (node) => matmul(node, weights));
}

const resize: Translator = (c) => {
  const x = c.computed(0);
  const rank = x.node.shape.length;
  const mode = c.text('mode', 'nearest');
  if (mode !== 'nearest' && mode !== 'linear')
    return refuse(`mode is ${mode}; nearest and linear are supported`);
  if (c.number('antialias', 0) !== 0) return refuse('with antialias is not supported');
  if (c.text('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    return refuse('keep_aspect_ratio_policy is not supported');
  const axes = (c.numbers('axes') ?? x.node.shape.map((_, i) => i)).map((axis) => axisOf(axis, rank));
  const scales = c.knownList(2, 'scales') ?? [];
  const sizes = c.knownList(3, 'sizes') ?? [];
  const given = sizes.length > 0 ? sizes : scales;
  if (given.length !== axes.length) return refuse(`has ${given.length} scales for ${axes.length} axes`);
  return axes.reduce<Computed>((value, axis, i) => {
    const own = value.order?.[axis] ?? axis;
    const from = value.node.shape[own]!;
    const to = sizes.length > 0 ? given[i]! : Math.floor(from * given[i]! + 1e-6);
    const scale = sizes.length > 0 ? to / from : given[i]!;
    const isOfSamples = own === 0 && c.home.samples !== undefined;
    if ((sizes.length === 0 && scale === 1) || to === from || (isOfSamples && c.home.isSingle && to === 1))
      return value;
    if (isOfSamples) return refuse('changes the number of samples');
    if (!(to >= 1 && Number.isInteger(to))) return refuse(`makes ${to} elements of an axis of ${from}`);
    return like(value, resized(c, value.node, own, { from, to, scale }));
  }, x);
};

export const imageTranslators = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: overImage(mean),
  GlobalMaxPool: overImage(maxReduce),
  Resize: resize,
} as const satisfies Readonly<Record<string, Translator>>;
