/** Operations that move numbers or ask for shapes. What they need to know (shapes, axes, places) must be known in advance. */
import type { Node } from '../../../graph.ts';
import { gather as gatherOf, toIndex } from '../../../ops/gather.ts';
import { flip, reshape, transpose } from '../../../ops/movement.ts';
import { concat as concatOf, pad as padOf, sliceAxis, slice as sliceOf } from '../../../ops/parts.ts';
import { broadcastShapes, formatShape, type Shape, sizeOf } from '../../../shape.ts';
import { axisOf, type NodeContext, refuse, refuseSamples, type Translator } from './context.ts';
import { cast as castTo, together } from './pointwise.ts';
import { stretched } from './reductions.ts';
import { axisOfSamples, shapeForOne, shapeFrom } from './shapes.ts';
import {
  arranged,
  type Computed,
  computed,
  image,
  isImageOrder,
  like,
  plainNode,
  shapeOf,
  typeOf,
} from './values.ts';

const isOfSamples = (c: NodeContext, node: Node): boolean =>
  c.home.samples !== undefined && node.shape[0] === c.home.samples;

const reshapeTo: Translator = (c) => {
  const x = c.computed(0);
  const node = plainNode(x);
  const at = axisOfSamples(c, node.shape);
  const single = reshaped(c, shapeForOne(c, node.shape));
  const shape = at < 0 ? single : withSamples(single, node.shape.slice(0, at), c.home.samples!);
  return computed(reshape(node, shape), x.type);
};

/** The shape that a value of this shape gets. */
function reshaped(c: NodeContext, from: Shape): Shape {
  const wanted = [...c.known(1, 'the shape').numbers];
  if (c.number('allowzero', 0) !== 1)
    for (const [i, extent] of wanted.entries()) if (extent === 0) wanted[i] = from[i] ?? 0;
  const open = wanted.indexOf(-1);
  if (open >= 0) {
    const rest = wanted.reduce((product, extent, i) => (i === open ? product : product * extent), 1);
    wanted[open] = rest > 0 ? sizeOf(from) / rest : 0;
  }
  return shapeFrom(wanted);
}

/** A shape for one sample as that for several, which stay where they lie in memory: behind as many numbers as before. */
function withSamples(shape: Shape, before: Shape, samples: number): Shape {
  const at = shape.findIndex((_, axis) => sizeOf(shape.slice(0, axis)) === sizeOf(before));
  // What follows would take such an axis for one of one sample. The outermost one is only counted.
  if (at < 0 || (at > 0 && shape[at] !== 1)) return refuse('merges the sample axis with another');
  return shape.with(at, shape[at]! * samples);
}

const flatten: Translator = (c) => {
  const x = c.computed(0);
  const node = plainNode(x);
  const given = c.number('axis', 1);
  const axis = given < 0 ? given + node.shape.length : given;
  const [front, back] = [node.shape.slice(0, axis), node.shape.slice(axis)];
  return computed(reshape(node, [sizeOf(front), sizeOf(back)]), x.type);
};

const transposed: Translator = (c) => {
  const x = c.computed(0);
  const rank = x.node.shape.length;
  const given = c.numbers('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const perm = given.map((axis) => axisOf(axis, rank));
  const order = perm.map((axis) => x.order?.[axis] ?? axis);
  if (order.every((axis, i) => axis === i)) return computed(x.node, x.type);
  // Of what is not an image yet, whoever takes it says whether it is one.
  if (isImageOrder(order))
    return { ...computed(x.node, x.type), order, ...(x.isImage && { isImage: true as const }) };
  return computed(arranged(x.node, order), x.type);
};

const listed = (c: NodeContext, name: string): readonly number[] | undefined =>
  c.numbers(name) ?? c.knownList(1, name);

const squeeze: Translator = (c) => {
  const x = c.computed(0);
  const node = plainNode(x);
  const rank = node.shape.length;
  const given = listed(c, 'axes')?.map((axis) => axisOf(axis, rank));
  const axes = given ?? node.shape.flatMap((extent, axis) => (extent === 1 ? [axis] : []));
  const wrong = axes.find((axis) => node.shape[axis] !== 1);
  if (wrong !== undefined)
    return refuse(
      isOfSamples(c, node) && wrong === 0
        ? 'removes axis 0, the sample axis'
        : `axis ${wrong} of ${formatShape(node.shape)} has more than one element`,
    );
  return computed(
    reshape(
      node,
      node.shape.filter((_, axis) => !axes.includes(axis)),
    ),
    x.type,
  );
};

const unsqueeze: Translator = (c) => {
  const x = c.computed(0);
  const node = plainNode(x);
  const given = listed(c, 'axes') ?? refuse('has no axes');
  const rank = node.shape.length + given.length;
  const axes = new Set(given.map((axis) => axisOf(axis, rank)));
  if (axes.size < given.length) return refuse('names an axis twice');
  const rest = [...node.shape];
  const shape = Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : rest.shift()!));
  return computed(reshape(node, shape), x.type);
};

const expand: Translator = (c) => {
  const x = c.computed(0);
  const node = plainNode(x);
  const target = shapeFrom([...c.known(1, 'the shape').numbers]);
  const joint = broadcastShapes([node.shape, target]);
  if (!joint) return refuse(`${formatShape(node.shape)} cannot be stretched to ${formatShape(target)}`);
  return computed(stretched(node, joint), x.type);
};

const concat: Translator = (c) => {
  const first = c.value(0);
  const rank = shapeOf(first).length;
  const axis = axisOf(c.number('axis', 0), rank);
  const { nodes, frame } = together(c);
  const own = frame.order?.[axis] ?? axis;
  for (const node of nodes) refuseSamples(c, node, [own]);
  const most = Math.max(...nodes.map(({ shape }) => shape[0] ?? 1));
  // What is the same for each sample is there once in a file for one sample.
  const isStretched = c.home.isSingle && own !== 0 && most === c.home.samples;
  const all = nodes.map((node) =>
    isStretched && node.shape[0] === 1 ? stretched(node, [most, ...node.shape.slice(1)]) : node,
  );
  return like(frame, concatOf(all, own), first.type);
};

const split: Translator = (c) => {
  const x = c.computed(0);
  const rank = x.node.shape.length;
  const axis = axisOf(c.number('axis', 0), rank);
  const own = x.order?.[axis] ?? axis;
  const extent = x.node.shape[own]!;
  if (isOfSamples(c, x.node) && own === 0) return refuse('splits the samples');
  refuseSamples(c, x.node, [own]);
  const each = Math.ceil(extent / c.outputs);
  const sizes =
    listed(c, 'split') ??
    Array.from({ length: c.outputs }, (_, i) => Math.max(0, Math.min(each, extent - i * each)));
  let start = 0;
  return sizes.map((size) => {
    const part = sliceAxis(x.node, own, start, size);
    start += size;
    return like(x, part);
  });
};

const slice: Translator = (c) => {
  const x = c.computed(0);
  const rank = x.node.shape.length;
  const starts = c.knownList(1, 'starts') ?? refuse('has no starts');
  const ends = c.knownList(2, 'ends') ?? refuse('has no ends');
  const axes = c.knownList(3, 'axes') ?? starts.map((_, i) => i);
  const steps = c.knownList(4, 'steps') ?? starts.map(() => 1);
  return axes.reduce<Computed>((value, given, i) => {
    const axis = axisOf(given, rank);
    const own = x.order?.[axis] ?? axis;
    return like(value, sliced(c, value.node, own, { start: starts[i]!, end: ends[i]!, step: steps[i]! }));
  }, x);
};

interface Range {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Part of an axis as Python counts it. */
function sliced(c: NodeContext, x: Node, axis: number, { start, end, step }: Range): Node {
  const extent = x.shape[axis]!;
  const fromEnd = (at: number) => (at < 0 ? at + extent : at);
  const clamped = (at: number, low: number, high: number) => Math.min(high, Math.max(low, at));
  if (!Number.isSafeInteger(step) || step === 0) return refuse(`steps by ${step}`);
  if (step > 0) {
    const [from, to] = [clamped(fromEnd(start), 0, extent), clamped(fromEnd(end), 0, extent)];
    const size = Math.max(0, Math.ceil((to - from) / step));
    if (size === extent) return x;
    refuseSamples(c, x, [axis]);
    if (isOfSamples(c, x) && axis === 0) return refuse('takes some of the samples');
    return sliceOf(x, ...at(x.shape, axis, size === 0 ? 0 : from, size, step));
  }
  if (isOfSamples(c, x) && axis === 0) return refuse('turns the samples round');
  refuseSamples(c, x, [axis]);
  const [from, to] = [clamped(fromEnd(start), -1, extent - 1), clamped(fromEnd(end), -1, extent - 1)];
  const size = Math.max(0, Math.ceil((from - to) / -step));
  const back = flip(x, [axis]);
  return sliceOf(back, ...at(x.shape, axis, size === 0 ? 0 : extent - 1 - from, size, -step));
}

function at(shape: Shape, axis: number, start: number, size: number, step: number) {
  return [
    shape.map((_, i) => (i === axis ? start : 0)),
    shape.map((extent, i) => (i === axis ? size : extent)),
    shape.map((_, i) => (i === axis ? step : 1)),
  ] as const;
}

/** So many places are slices side by side; more are looked up. */
const MOST_SLICES = 64;

const gather: Translator = (c) => {
  const table = c.value(0);
  const rank = shapeOf(table).length;
  if (rank === 0) return refuse('expects a table');
  const axis = axisOf(c.number('axis', 0), rank);
  const places = c.value(1);
  const x = c.node(0, 'table');
  if (isOfSamples(c, x) && axis === 0) return refuse('takes some of the samples');
  refuseSamples(c, x, [axis]);
  if (places.kind === 'known') {
    const extent = x.shape[axis]!;
    const wrong = places.numbers.find((place) => !(place >= -extent && place < extent));
    if (wrong !== undefined) return refuse(`index ${wrong} is out of range for size ${extent}`);
    if (isOfSamples(c, x) && axis === 0) return refuse('removes axis 0, the sample axis');
    const list = [...places.numbers].map((place) => (place < 0 ? place + extent : place));
    const shape = [...x.shape.slice(0, axis), ...places.shape, ...x.shape.slice(axis + 1)];
    if (list.length > 0 && list.length <= MOST_SLICES)
      return computed(reshape(takenParts(x, axis, list), shape), table.type);
  }
  const indices = toIndex(places.kind === 'known' ? c.node(1, 'places', false) : plainNode(places));
  const order = [axis, ...x.shape.map((_, i) => i).filter((i) => i !== axis)];
  const found = gatherOf(axis === 0 ? x : transpose(x, order), indices);
  // The places come first; they belong where the axis was.
  const width = indices.shape.length;
  const back = [
    ...Array.from({ length: axis }, (_, i) => width + i),
    ...Array.from({ length: width }, (_, i) => i),
    ...Array.from({ length: rank - axis - 1 }, (_, i) => width + axis + i),
  ];
  return computed(arranged(found, back), table.type);
};

/** Parts of an axis one after another; those that follow one another are one slice. */
function takenParts(x: Node, axis: number, list: readonly number[]): Node {
  const runs: { start: number; size: number }[] = [];
  for (const place of list) {
    const last = runs.at(-1);
    if (last && last.start + last.size === place) last.size++;
    else runs.push({ start: place, size: 1 });
  }
  const parts = runs.map(({ start, size }) => sliceAxis(x, axis, start, size));
  return parts.length === 1 ? parts[0]! : concatOf(parts, axis);
}

const pad: Translator = (c) => {
  const x = c.computed(0);
  const rank = x.node.shape.length;
  const pads = c.knownList(1, 'pads') ?? refuse('has no pads');
  const axes = (c.knownList(3, 'axes') ?? x.node.shape.map((_, i) => i)).map((axis) => axisOf(axis, rank));
  const mode = c.text('mode', 'constant');
  const [value = 0] = mode === 'constant' ? (c.knownList(2, 'the value') ?? []) : [];
  if (pads.length !== 2 * axes.length) return refuse(`has ${pads.length} pads for ${axes.length} axes`);
  const [low, high] = [new Array<number>(rank).fill(0), new Array<number>(rank).fill(0)];
  for (const [i, axis] of axes.entries()) {
    const own = x.order?.[axis] ?? axis;
    [low[own], high[own]] = [pads[i]!, pads[axes.length + i]!];
  }
  if (isOfSamples(c, x.node) && (low[0] !== 0 || high[0] !== 0)) return refuse('adds samples');
  if ([...low, ...high].some((each) => each < 0)) return refuse('has negative pads');
  if (mode === 'constant') return like(x, padOf(x.node, low, high, { value }));
  if (mode !== 'reflect' && mode !== 'edge') return refuse(`mode is ${mode}`);
  return like(
    x,
    low.reduce((node, before, axis) => mirrored(node, axis, before, high[axis]!, mode), x.node),
  );
};

function mirrored(x: Node, axis: number, before: number, after: number, mode: 'reflect' | 'edge'): Node {
  if (before + after === 0) return x;
  const extent = x.shape[axis]!;
  const part = (start: number, size: number) => sliceAxis(x, axis, start, size);
  if (mode === 'reflect' && Math.max(before, after) >= extent) return refuse('pads by more than there is');
  const edge = (start: number, size: number) =>
    stretched(
      part(start, 1),
      x.shape.map((own, i) => (i === axis ? size : own)),
    );
  const left = mode === 'edge' ? () => edge(0, before) : () => flip(part(1, before), [axis]);
  const right =
    mode === 'edge' ? () => edge(extent - 1, after) : () => flip(part(extent - 1 - after, after), [axis]);
  return concatOf([...(before > 0 ? [left()] : []), x, ...(after > 0 ? [right()] : [])], axis);
}

const tile: Translator = (c) => {
  const x = c.computed(0);
  const node = plainNode(x);
  const repeats = shapeFrom([...c.known(1, 'repeats').numbers]);
  if (repeats.length !== node.shape.length)
    return refuse(`has ${repeats.length} repeats for ${formatShape(node.shape)}`);
  if (isOfSamples(c, node) && repeats[0] !== 1) return refuse('repeats the samples');
  const apart = node.shape.flatMap((extent) => [1, extent]);
  const copies = node.shape.flatMap((extent, i) => [repeats[i]!, extent]);
  const whole = node.shape.map((extent, i) => extent * repeats[i]!);
  if (apart.length > 16) return refuse('has too many axes');
  return computed(reshape(stretched(reshape(node, apart), copies), whole), x.type);
};

/** Blocks of channels become blocks of pixels, or the other way round. */
const blocks =
  (toSpace: boolean): Translator =>
  (c) => {
    const [n, rows, columns, channels] = c.image(0).shape as [number, number, number, number];
    const x = c.image(0);
    const b = c.number('blocksize', 0);
    const sound = x.shape.length === 4 && Number.isInteger(b) && b >= 1;
    if (!sound || (toSpace ? channels % (b * b) : (rows % b) + (columns % b)) > 0)
      return refuse(`blocks of ${b} do not fit ${formatShape(x.shape)}`);
    if (!toSpace) {
      const apart = reshape(x, [n, rows / b, b, columns / b, b, channels]);
      return image(
        reshape(transpose(apart, [0, 1, 3, 2, 4, 5]), [n, rows / b, columns / b, b * b * channels]),
      );
    }
    const depth = channels / (b * b);
    const isCrd = c.text('mode', 'DCR') === 'CRD';
    const apart = reshape(x, [n, rows, columns, ...(isCrd ? [depth, b, b] : [b, b, depth])]);
    const moved = transpose(apart, isCrd ? [0, 1, 4, 2, 5, 3] : [0, 1, 3, 2, 4, 5]);
    return image(reshape(moved, [n, rows * b, columns * b, depth]));
  };

const dropout: Translator = (c) => {
  const x = c.value(0);
  const [rate = 0.5] = c.knownList(1, 'the ratio') ?? [c.number('ratio', 0.5)];
  const [isTraining = 0] = c.knownList(2, 'the mode') ?? [];
  if (isTraining !== 0) return refuse('is in training mode: export the model for inference (model.eval())');
  // Of a node whose first axis is not the samples there would be no mask for each.
  if (x.kind === 'known' || !isOfSamples(c, x.node) || !(rate > 0 && rate < 1)) return x;
  return like(x, c.home.dropout(x.node, rate));
};

const cast: Translator = (c) => castTo(c.computed(0), typeOf(c.number('to', 0)));

export const movementTranslators = {
  Identity: (c) => c.value(0),
  Dropout: dropout,
  Cast: cast,
  CastLike: (c) => castTo(c.computed(0), c.value(1).type),
  Reshape: reshapeTo,
  Flatten: flatten,
  Transpose: transposed,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Expand: expand,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  Pad: pad,
  Tile: tile,
  DepthToSpace: blocks(true),
  SpaceToDepth: blocks(false),
} as const satisfies Readonly<Record<string, Translator>>;
