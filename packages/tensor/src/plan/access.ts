/** Where the elements of a node are found: most movement operations need no copy, only other strides. */
import type { Node } from '../graph.ts';
import type { AliasOpName, ViewOpName } from '../ops/index.ts';
import { constantOp } from '../ops/leaf.ts';
import { flipOp, transposeOp } from '../ops/movement.ts';
import { attributesOf } from '../ops/op.ts';
import { sliceOp } from '../ops/parts.ts';
import { windowOp } from '../ops/window.ts';
import { type Shape, stridesOf } from '../shape.ts';

/** Elements of `base`'s memory. Offset and strides are in elements, one stride an axis of the node. */
export interface Place {
  readonly base: Node;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Where the elements are, or that they are the same number everywhere. */
export type Access = Place | { readonly constant: number };

/** How the elements of a node are reached, through operations that only move, from a node that is in memory. */
export function accessOf(node: Node): Access {
  const moved: Node[] = [];
  let base = node;
  for (; Object.hasOwn(moves, base.op); base = base.inputs[0]!) moved.push(base);
  if (base.op === 'constant') return { constant: attributesOf(constantOp, base).value };
  // Thousands of moves may follow one another: more than calls can be nested.
  return moved.reduceRight<Place>((inner, move) => moves[move.op as keyof typeof moves](move, inner), {
    base,
    offset: 0,
    strides: stridesOf(base.shape),
  });
}

/** Of each operation that only moves: where its elements are, when those of its input are at `inner`. */
const moves: Readonly<Record<AliasOpName | ViewOpName, (node: Node, inner: Place) => Place>> = {
  detach: (_, inner) => inner,

  reshape: (node, inner) => {
    const input = node.inputs[0]!;
    if (isContiguous(inner.strides, input.shape)) return { ...inner, strides: stridesOf(node.shape) };
    return (
      withoutOnes(node.shape, input.shape, inner) ?? {
        base: input,
        offset: 0,
        strides: stridesOf(node.shape),
      }
    );
  },

  broadcast: (node, inner) => ({
    ...inner,
    strides: stretch(inner.strides, node.inputs[0]!.shape, node.shape),
  }),

  transpose: (node, inner) => {
    const { permutation } = attributesOf(transposeOp, node);
    return { ...inner, strides: permutation.map((axis) => inner.strides[axis]!) };
  },

  slice: (node, { base, offset, strides }) => {
    const { start, step } = attributesOf(sliceOp, node);
    return {
      base,
      offset: start.reduce((sum, first, axis) => sum + first * strides[axis]!, offset),
      strides: strides.map((stride, axis) => stride * step[axis]!),
    };
  },

  flip: (node, { base, offset, strides }) => {
    const { axes } = attributesOf(flipOp, node);
    const last = (axis: number) => Math.max(0, node.shape[axis]! - 1) * strides[axis]!;
    return {
      base,
      offset: axes.reduce((sum, axis) => sum + last(axis), offset),
      strides: strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride)),
    };
  },

  window: (node, { base, offset, strides }) => {
    const { axis, stride, dilation } = attributesOf(windowOp, node);
    const own = strides[axis]!;
    return {
      base,
      offset,
      strides: [...strides.slice(0, axis), own * stride, own * dilation, ...strides.slice(axis + 1)],
    };
  },
};

/** The same place under a shape that differs by axes of size one only; undefined for others. */
function withoutOnes(to: Shape, from: Shape, place: Place): Place | undefined {
  const kept = place.strides.filter((_, axis) => from[axis] !== 1);
  const longer = (shape: Shape) => shape.filter((extent) => extent !== 1);
  if (longer(to).join() !== longer(from).join()) return undefined;
  let next = 0;
  return { ...place, strides: to.map((extent) => (extent === 1 ? 0 : kept[next++]!)) };
}

/** Strides of a tensor seen in a larger shape: 0 along the axes that are stretched or new. */
export function stretch(strides: readonly number[], shape: Shape, to: Shape): number[] {
  const ahead = to.length - shape.length;
  return to.map((extent, axis) => {
    if (axis < ahead) return 0;
    return shape[axis - ahead] === 1 && extent !== 1 ? 0 : strides[axis - ahead]!;
  });
}

/** Row-major without gaps; strides of axes of size one do not matter. */
export function isContiguous(strides: readonly number[], shape: Shape): boolean {
  const own = stridesOf(shape);
  return shape.includes(0) || strides.every((stride, axis) => shape[axis] === 1 || stride === own[axis]);
}

/** One axis of a loop nest: its extent, and for each tensor the distance of neighbours along it. */
export interface LoopAxis {
  readonly extent: number;
  readonly strides: readonly number[];
}

/** Loops over a shape with as few axes as the strides of all tensors allow, outermost first. */
export function collapse(shape: Shape, strides: readonly (readonly number[])[]): LoopAxis[] {
  const axes: { extent: number; strides: number[] }[] = [];
  for (const [axis, extent] of shape.entries()) {
    if (extent === 1) continue;
    const inner = { extent, strides: strides.map((of) => of[axis]!) };
    const outer = axes.at(-1);
    if (outer?.strides.every((stride, i) => stride === inner.strides[i]! * extent)) {
      axes[axes.length - 1] = { extent: outer.extent * extent, strides: inner.strides };
    } else {
      axes.push(inner);
    }
  }
  return axes;
}
