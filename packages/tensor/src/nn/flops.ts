/** What operations cost, and initial values. */
import type { Node } from '../graph.ts';
import { convolutionSizes } from '../ops/conv2d.ts';
import { pointwiseNamed } from '../ops/index.ts';
import { matmulSizes } from '../ops/matmul.ts';
import { type Shape, sizeOf } from '../shape.ts';
import type { Initializer } from './layer.ts';

/** Floating-point operations of a node: products and sums apart, other functions as one. */
export function flopsOf(node: Node): number {
  if (node.op === 'matmul') {
    const { batch, m, n, k } = matmulSizes(node);
    return 2 * batch * m * n * k;
  }
  if (node.op.startsWith('conv2d')) {
    const { samples, places, window, groups, channels, filters } = convolutionSizes(node);
    return 2 * samples * places[0] * places[1] * window[0] * window[1] * groups * channels * filters;
  }
  if (pointwiseNamed(node.op)) return sizeOf(node.shape);
  return ['sum', 'maxReduce', 'fold', 'scatterAdd'].includes(node.op) ? sizeOf(node.inputs[0]!.shape) : 0;
}

/** What drawing initial values takes, in numbers that are drawn: each column of a block is made orthogonal to those before it. */
export function drawingWork(initializer: Initializer, shape: Shape): number {
  const size = sizeOf(shape);
  return initializer.kind === 'orthogonal' ? size + (size * (initializer.columns ?? shape[1]!)) / 4 : size;
}
