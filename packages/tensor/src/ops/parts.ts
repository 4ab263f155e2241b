/** Parts of tensors: slices, and what puts them together again, padding and concatenation. */
import type { Node } from '../graph.ts';
import { formatShape } from '../shape.ts';
import { constant } from './leaf.ts';
import { apply, attributesOf, expectInputs, fail, type Op } from './op.ts';
import { add } from './pointwise.ts';

type SliceAttributes = {
  readonly start: readonly number[];
  readonly size: readonly number[];
  readonly step: readonly number[];
};
type PadAttributes = {
  /** Elements in front of each axis. */
  readonly low: readonly number[];
  /** Elements behind each axis. */
  readonly high: readonly number[];
  /** Elements between neighbours of each axis. */
  readonly interior: readonly number[];
  readonly value: number;
};
type ConcatAttributes = { readonly axis: number };

/** Every step[i]-th element of axis i from start[i] on, size[i] of them. */
export const sliceOp: Op<SliceAttributes> = {
  name: 'slice',
  signature: (inputs, { start, size, step }) => {
    expectInputs('slice', inputs, ['f32']);
    const { shape } = inputs[0]!;
    const fits = shape.every((extent, axis) => {
      const [from, count, by] = [start[axis]!, size[axis]!, step[axis]!];
      if (![from, count, by].every(Number.isSafeInteger) || from < 0 || count < 0 || by < 1) return false;
      return count === 0 ? from <= extent : from + (count - 1) * by < extent;
    });
    if (!fits || [start, size, step].some((list) => list.length !== shape.length)) {
      const asked = [start, size, step]
        .map(formatShape)
        .join(', size ')
        .replace(/, size (\S+)$/, ', step $1');
      fail('slice', inputs, `start ${asked} must lie within the input, with one number per axis`);
    }
    return { shape: size, dtype: 'f32' };
  },
  gradient: (node, g) => {
    const { start, step, size } = attributesOf(sliceOp, node);
    const end = node.inputs[0]!.shape.map((extent, axis) => {
      const covered = size[axis] === 0 ? 0 : (size[axis]! - 1) * step[axis]! + 1;
      return extent - start[axis]! - covered;
    });
    return [pad(g, start, end, { interior: step.map((by) => by - 1) })];
  },
  cases: [
    {
      label: 'inner part',
      inputs: [{ shape: [4, 7] }],
      attributes: { start: [1, 2], size: [2, 5], step: [1, 1] },
    },
    {
      label: 'every second',
      inputs: [{ shape: [5, 9] }],
      attributes: { start: [0, 1], size: [3, 4], step: [2, 2] },
    },
    {
      label: 'one row of 3-D',
      inputs: [{ shape: [2, 3, 5] }],
      attributes: { start: [0, 2, 0], size: [2, 1, 5], step: [1, 1, 1] },
    },
    {
      label: 'nothing',
      inputs: [{ shape: [4, 3] }],
      attributes: { start: [4, 0], size: [0, 3], step: [1, 1] },
    },
  ],
};

/** The input with `value` around it and between its elements. */
export const padOp: Op<PadAttributes> = {
  name: 'pad',
  signature: (inputs, { low, high, interior }) => {
    expectInputs('pad', inputs, ['f32']);
    const { shape } = inputs[0]!;
    const lists = [low, high, interior];
    const sound = lists.every(
      (list) => list.length === shape.length && list.every((n) => Number.isSafeInteger(n) && n >= 0),
    );
    if (!sound) {
      const asked = lists.map(formatShape).join(', ');
      fail('pad', inputs, `low, high and interior ${asked} must be non-negative integers, one per axis`);
    }
    const padded = shape.map(
      (extent, axis) => low[axis]! + extent + Math.max(0, extent - 1) * interior[axis]! + high[axis]!,
    );
    return { shape: padded, dtype: 'f32' };
  },
  gradient: (node, g) => {
    const { low, interior } = attributesOf(padOp, node);
    const step = interior.map((gap) => gap + 1);
    return [slice(g, low, node.inputs[0]!.shape, step)];
  },
  cases: [
    {
      label: 'around a matrix',
      inputs: [{ shape: [3, 5] }],
      attributes: { low: [1, 2], high: [0, 3], interior: [0, 0], value: 0 },
    },
    {
      label: 'between elements',
      inputs: [{ shape: [3, 4] }],
      attributes: { low: [0, 1], high: [2, 0], interior: [2, 1], value: -1.5 },
    },
    {
      label: 'inner axis untouched',
      inputs: [{ shape: [2, 3, 2, 7] }],
      attributes: { low: [0, 1, 1, 0], high: [0, 1, 2, 0], interior: [0, 0, 0, 0], value: 0 },
    },
    {
      label: 'nothing to pad',
      inputs: [{ shape: [0, 3] }],
      attributes: { low: [2, 0], high: [1, 0], interior: [0, 0], value: 3 },
    },
  ],
};

/** The inputs one after another along an axis. */
export const concatOp: Op<ConcatAttributes> = {
  name: 'concat',
  signature: (inputs, { axis }) => {
    expectInputs(
      'concat',
      inputs,
      inputs.map(() => 'f32'),
    );
    const shapes = inputs.map((node) => node.shape);
    const [first] = shapes;
    if (!first) return fail('concat', inputs, 'expected at least one input');
    if (!Number.isInteger(axis) || axis < 0 || axis >= first.length) {
      fail('concat', inputs, `axis ${axis} does not exist: expected 0 to ${first.length - 1}`);
    }
    const fits = (shape: readonly number[]) =>
      shape.length === first.length && shape.every((extent, i) => i === axis || extent === first[i]);
    if (!shapes.every(fits)) fail('concat', inputs, `shapes must be equal except for axis ${axis}`);
    const extent = shapes.reduce((sum, shape) => sum + shape[axis]!, 0);
    return { shape: first.map((own, i) => (i === axis ? extent : own)), dtype: 'f32' };
  },
  gradient: (node, g) => {
    const { axis } = attributesOf(concatOp, node);
    let before = 0;
    return node.inputs.map((input) => {
      const start = input.shape.map((_, i) => (i === axis ? before : 0));
      before += input.shape[axis]!;
      return slice(g, start, input.shape);
    });
  },
  cases: [
    { label: 'rows', inputs: [{ shape: [2, 3] }, { shape: [1, 3] }], attributes: { axis: 0 } },
    {
      label: 'columns of three',
      inputs: [{ shape: [3, 5] }, { shape: [3, 2] }, { shape: [3, 1] }],
      attributes: { axis: 1 },
    },
    { label: 'middle axis', inputs: [{ shape: [2, 1, 6] }, { shape: [2, 3, 6] }], attributes: { axis: 1 } },
    { label: 'one is empty', inputs: [{ shape: [2, 0] }, { shape: [2, 5] }], attributes: { axis: 1 } },
    { label: 'one input', inputs: [{ shape: [4] }], attributes: { axis: 0 } },
  ],
};

/**
 * Part of a tensor.
 * @param size elements an axis
 * @param step distance of neighbours, 1 without it
 */
export const slice = (
  x: Node,
  start: readonly number[],
  size: readonly number[],
  step: readonly number[] = start.map(() => 1),
): Node => apply(sliceOp, [x], { start, size, step });
/** Elements [start, start + size) of one axis. */
export const sliceAxis = (x: Node, axis: number, start: number, size: number): Node =>
  slice(
    x,
    x.shape.map((_, i) => (i === axis ? start : 0)),
    x.shape.map((extent, i) => (i === axis ? size : extent)),
  );
/** Puts `value` (default 0) in front of, behind and, with `interior`, between the elements of each axis. */
export function pad(
  x: Node,
  low: readonly number[],
  high: readonly number[],
  { interior, value = 0 }: { readonly interior?: readonly number[]; readonly value?: number } = {},
): Node {
  return apply(padOp, [x], { low, high, interior: interior ?? low.map(() => 0), value });
}

/** Joins tensors along an axis; a negative axis counts from the end. */
export function concat(inputs: readonly Node[], axis: number): Node {
  return apply(concatOp, inputs, { axis: axis < 0 ? axis + (inputs[0]?.shape.length ?? 0) : axis });
}

/**
 * The sum of tensors of one shape. Those that are zeros but for a part along one axis (what the gradients of slices are) are
 * put side by side where their parts do not meet, instead of being added at full size.
 */
export function sumOfParts(tensors: readonly Node[]): Node {
  const parts = tensors.map((tensor) => ({ tensor, part: partAlongAxis(tensor) }));
  const axes = new Set(parts.flatMap(({ part }) => (part ? [part.axis] : [])));
  let rest = tensors;
  const joined: Node[] = [];
  for (const axis of axes) {
    const own = parts
      .filter(({ tensor, part }) => part?.axis === axis && rest.includes(tensor))
      .sort((a, b) => a.part!.start - b.part!.start);
    const apart = own.every(({ part }, i) => i === 0 || part!.start >= own[i - 1]!.part!.end);
    if (own.length < 2 || !apart) continue;
    rest = rest.filter((tensor) => !own.some((other) => other.tensor === tensor));
    joined.push(sideBySide(own.map(({ part }) => part!)));
  }
  return [...rest, ...joined].reduce((a, b) => add(a, b));
}

interface Part {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly extent: number;
  readonly content: Node;
}

/** Where a tensor that is padded with zeros along exactly one axis has its content. */
function partAlongAxis(tensor: Node): Part | undefined {
  if (tensor.op !== 'pad') return undefined;
  const { low, high, interior, value } = attributesOf(padOp, tensor);
  const padded = low.flatMap((before, axis) => (before + high[axis]! > 0 ? [axis] : []));
  const [axis] = padded;
  if (axis === undefined || padded.length > 1 || value !== 0 || interior.some((gap) => gap > 0))
    return undefined;
  const content = tensor.inputs[0]!;
  const start = low[axis]!;
  return { axis, start, end: start + content.shape[axis]!, extent: tensor.shape[axis]!, content };
}

function sideBySide(parts: readonly Part[]): Node {
  const { axis, extent, content } = parts[0]!;
  const zeros = (size: number) =>
    constant(
      0,
      content.shape.map((own, i) => (i === axis ? size : own)),
    );
  const pieces: Node[] = [];
  let reached = 0;
  for (const part of parts) {
    if (part.start > reached) pieces.push(zeros(part.start - reached));
    pieces.push(part.content);
    reached = part.end;
  }
  if (reached < extent) pieces.push(zeros(extent - reached));
  return concat(pieces, axis);
}
