/** The axes of a reduction, as its loops go over them. */
import type { Node } from '../../graph.ts';
import { collapse, type LoopAxis } from '../../plan/access.ts';
import { stridesOf } from '../../shape.ts';

export interface ReducedAxes {
  /** Those that stay, with the strides of input and output. */
  readonly kept: readonly LoopAxis[];
  /** Those that do not, with the input's. */
  readonly reduced: readonly LoopAxis[];
}

export function reducedAxes(node: Node, axes: readonly number[]): ReducedAxes {
  const { shape } = node.inputs[0]!;
  const strides = stridesOf(shape);
  const keptAxes = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const keptShape = keptAxes.map((axis) => shape[axis]!);
  return {
    kept: collapse(keptShape, [keptAxes.map((axis) => strides[axis]!), stridesOf(keptShape)]),
    reduced: collapse(
      axes.map((axis) => shape[axis]!),
      [axes.map((axis) => strides[axis]!)],
    ),
  };
}
