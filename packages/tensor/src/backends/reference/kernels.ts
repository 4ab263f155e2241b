/**
 * The definition of every operation: plain loops in float64, slow and obviously right. The table is typed over the list of
 * operations, so one without an entry does not compile.
 */
import type { Node } from '../../graph.ts';
import { dropoutMaskOp, dropoutScale, dropoutThreshold } from '../../ops/dropout-mask.ts';
import type { KernelOpName } from '../../ops/index.ts';
import { matmulOp, matmulSizes } from '../../ops/matmul.ts';
import { transposeOp } from '../../ops/movement.ts';
import { attributesOf } from '../../ops/op.ts';
import type { PointwiseOp } from '../../ops/pointwise.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import { philox4x32 } from '../../random.ts';
import { compileScalar } from '../../scalar/evaluate.ts';
import { broadcastStrides, type Shape, sizeOf, stridesOf } from '../../shape.ts';

/** Elements of an input or output, row-major; integers too are held as float64. */
export type Values = Float64Array;
export type ReferenceKernel = (node: Node, inputs: readonly Values[]) => Values;

/** Calls `visit` for each element of `shape` in row-major order, with the place where a tensor with `strides` has it. */
function walk(
  shape: Shape,
  strides: readonly number[],
  visit: (element: number, place: number) => void,
): void {
  const size = sizeOf(shape);
  const own = stridesOf(shape);
  for (let element = 0; element < size; element++) {
    let place = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      place += (Math.floor(element / own[axis]!) % shape[axis]!) * strides[axis]!;
    }
    visit(element, place);
  }
}

/** The input as if it had the shape. */
function stretched(values: Values, from: Shape, to: Shape): Values {
  const result = new Float64Array(sizeOf(to));
  walk(to, broadcastStrides(from, to), (element, place) => {
    result[element] = values[place]!;
  });
  return result;
}

/** Any pointwise operation, from its expression. */
export function pointwise(op: PointwiseOp, node: Node, inputs: readonly Values[]): Values {
  const f = compileScalar(op.expression);
  const operands = inputs.map((values, i) => stretched(values, node.inputs[i]!.shape, node.shape));
  return Float64Array.from({ length: sizeOf(node.shape) }, (_, e) => f(operands.map((values) => values[e]!)));
}

/** Combines the elements that the reduction maps to the same place, in row-major order of the input. */
function reduced(
  node: Node,
  values: Values,
  axes: readonly number[],
  start: number,
  combine: (a: number, b: number) => number,
): Values {
  const { shape } = node.inputs[0]!;
  const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const result = new Float64Array(sizeOf(kept)).fill(start);
  walk(shape, broadcastStrides(kept, shape), (element, place) => {
    result[place] = combine(result[place]!, values[element]!);
  });
  return result;
}

export const referenceKernels: Readonly<Record<KernelOpName, ReferenceKernel>> = {
  matmul: (node, inputs) => {
    const [a, b] = inputs as readonly [Values, Values];
    const { transposeA, transposeB } = attributesOf(matmulOp, node);
    const { m, n, k } = matmulSizes(node);
    const result = new Float64Array(m * n);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let total = 0;
        for (let p = 0; p < k; p++) {
          total += a[transposeA ? p * m + i : i * k + p]! * b[transposeB ? j * k + p : p * n + j]!;
        }
        result[i * n + j] = total;
      }
    }
    return result;
  },

  sum: (node, [x]) => reduced(node, x!, attributesOf(sumOp, node).axes, 0, (a, b) => a + b),

  maxReduce: (node, [x]) => reduced(node, x!, attributesOf(maxReduceOp, node).axes, -Infinity, Math.max),

  broadcast: (node, [x]) => stretched(x!, node.inputs[0]!.shape, node.shape),

  transpose: (node, [x]) => {
    const strides = stridesOf(node.inputs[0]!.shape);
    const { permutation } = attributesOf(transposeOp, node);
    const result = new Float64Array(sizeOf(node.shape));
    walk(
      node.shape,
      permutation.map((axis) => strides[axis]!),
      (element, place) => {
        result[element] = x![place]!;
      },
    );
    return result;
  },

  oneHot: (node, [labels]) => {
    const classes = node.shape.at(-1)!;
    const result = new Float64Array(sizeOf(node.shape));
    labels!.forEach((label, i) => {
      if (label >= 0 && label < classes) result[i * classes + label] = 1;
    });
    return result;
  },

  argmaxEquals: (node, inputs) => {
    const [scores, labels] = inputs as readonly [Values, Values];
    const classes = node.inputs[0]!.shape.at(-1)!;
    return labels.map((label, i) => {
      let best = 0;
      for (let c = 1; c < classes; c++) if (scores[i * classes + c]! > scores[i * classes + best]!) best = c;
      return best === label ? 1 : 0;
    });
  },

  dropoutMask: (node, inputs) => {
    const [ids, key] = inputs as readonly [Values, Values];
    const { layer, rate, shape } = attributesOf(dropoutMaskOp, node);
    const [seedLow, seedHigh, epoch] = key as unknown as [number, number, number, number];
    const [size, threshold, scale] = [sizeOf(shape), dropoutThreshold(rate), dropoutScale(rate)];
    const result = new Float64Array(sizeOf(node.shape));
    ids.forEach((id, sample) => {
      for (let e = 0; e < size; e++) {
        const word = philox4x32([e >> 2, id, epoch, layer], [seedLow, seedHigh])[e & 3]!;
        result[sample * size + e] = word >>> 8 >= threshold ? scale : 0;
      }
    });
    return result;
  },
};
