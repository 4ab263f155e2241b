/**
 * The definition of every operation: plain loops in float64, slow and obviously right. The table is typed over the list of
 * operations, so one without an entry does not compile.
 */
import type { Node } from '../../graph.ts';
import { dropoutMaskOp, dropoutScale, dropoutThreshold } from '../../ops/dropout-mask.ts';
import { IndexError, rowsOf } from '../../ops/gather.ts';
import type { KernelOpName } from '../../ops/index.ts';
import { checkLabelsOp, LabelError, labelsPerSample } from '../../ops/labels.ts';
import { iotaOp } from '../../ops/leaf.ts';
import { matmulOp, matmulSizes } from '../../ops/matmul.ts';
import { flipOp, transposeOp } from '../../ops/movement.ts';
import { attributesOf } from '../../ops/op.ts';
import { concatOp, padOp, sliceOp } from '../../ops/parts.ts';
import type { PointwiseOp } from '../../ops/pointwise.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import { foldOp, windowOp } from '../../ops/window.ts';
import { philox4x32 } from '../../random.ts';
import { compileScalar } from '../../scalar/evaluate.ts';
import { broadcastStrides, type Shape, sizeOf, stridesOf } from '../../shape.ts';
import { convolutionInputGradient, convolutionWeightGradient, convolve } from './convolution.ts';

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

/** The elements that the strides lead to. */
function picked(node: Node, values: Values, strides: readonly number[], offset = 0): Values {
  const result = new Float64Array(sizeOf(node.shape));
  walk(node.shape, strides, (element, place) => {
    result[element] = values[offset + place]!;
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

/** The class with the highest score of a row, the first of equals; NaN is higher than all. */
function highest(scores: Values, row: number, classes: number): number {
  let best = 0;
  for (let c = 1; c < classes; c++) {
    const [score, most] = [scores[row * classes + c]!, scores[row * classes + best]!];
    if (score > most || (Number.isNaN(score) && !Number.isNaN(most))) best = c;
  }
  return best;
}

export const referenceKernels: Readonly<Record<KernelOpName, ReferenceKernel>> = {
  matmul: (node, inputs) => {
    const [a, b] = inputs as readonly [Values, Values];
    const { transposeA, transposeB } = attributesOf(matmulOp, node);
    const { batch, m, n, k } = matmulSizes(node);
    const result = new Float64Array(batch * m * n);
    for (let matrix = 0; matrix < batch; matrix++) {
      const [atA, atB, at] = [matrix * m * k, matrix * k * n, matrix * m * n];
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let total = 0;
          for (let p = 0; p < k; p++) {
            total +=
              a[atA + (transposeA ? p * m + i : i * k + p)]! * b[atB + (transposeB ? j * k + p : p * n + j)]!;
          }
          result[at + i * n + j] = total;
        }
      }
    }
    return result;
  },

  conv2d: convolve,
  conv2dInputGradient: convolutionInputGradient,
  conv2dWeightGradient: convolutionWeightGradient,

  sum: (node, [x]) => reduced(node, x!, attributesOf(sumOp, node).axes, 0, (a, b) => a + b),

  maxReduce: (node, [x]) => reduced(node, x!, attributesOf(maxReduceOp, node).axes, -Infinity, Math.max),

  broadcast: (node, [x]) => stretched(x!, node.inputs[0]!.shape, node.shape),

  transpose: (node, [x]) => {
    const strides = stridesOf(node.inputs[0]!.shape);
    const { permutation } = attributesOf(transposeOp, node);
    return picked(
      node,
      x!,
      permutation.map((axis) => strides[axis]!),
    );
  },

  slice: (node, [x]) => {
    const strides = stridesOf(node.inputs[0]!.shape);
    const { start, step } = attributesOf(sliceOp, node);
    const offset = start.reduce((sum, first, axis) => sum + first * strides[axis]!, 0);
    return picked(
      node,
      x!,
      strides.map((stride, axis) => stride * step[axis]!),
      offset,
    );
  },

  flip: (node, [x]) => {
    const strides = stridesOf(node.shape);
    const { axes } = attributesOf(flipOp, node);
    const offset = axes.reduce((sum, axis) => sum + (node.shape[axis]! - 1) * strides[axis]!, 0);
    return picked(
      node,
      x!,
      strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride)),
      offset,
    );
  },

  window: (node, [x]) => {
    const strides = stridesOf(node.inputs[0]!.shape);
    const { axis, stride, dilation } = attributesOf(windowOp, node);
    const own = strides[axis]!;
    return picked(node, x!, [
      ...strides.slice(0, axis),
      own * stride,
      own * dilation,
      ...strides.slice(axis + 1),
    ]);
  },

  fold: (node, [x]) => {
    const { axis, size, stride, dilation } = attributesOf(foldOp, node);
    const windows = node.inputs[0]!.shape[axis]!;
    const outer = sizeOf(node.shape.slice(0, axis));
    const inner = sizeOf(node.shape.slice(axis + 1));
    const extent = node.shape[axis]!;
    const result = new Float64Array(sizeOf(node.shape));
    for (let o = 0; o < outer; o++) {
      for (let place = 0; place < size; place++) {
        for (let w = 0; w < windows; w++) {
          for (let i = 0; i < inner; i++) {
            const to = (o * extent + w * stride + place * dilation) * inner + i;
            result[to]! += x![((o * windows + w) * size + place) * inner + i]!;
          }
        }
      }
    }
    return result;
  },

  pad: (node, [x]) => {
    const { low, interior, value } = attributesOf(padOp, node);
    const strides = stridesOf(node.shape);
    const offset = low.reduce((sum, before, axis) => sum + before * strides[axis]!, 0);
    const result = new Float64Array(sizeOf(node.shape)).fill(value);
    walk(
      node.inputs[0]!.shape,
      strides.map((stride, axis) => stride * (interior[axis]! + 1)),
      (element, place) => {
        result[offset + place] = x![element]!;
      },
    );
    return result;
  },

  concat: (node, inputs) => {
    const { axis } = attributesOf(concatOp, node);
    const strides = stridesOf(node.shape);
    const result = new Float64Array(sizeOf(node.shape));
    let offset = 0;
    inputs.forEach((values, i) => {
      const { shape } = node.inputs[i]!;
      walk(shape, strides, (element, place) => {
        result[offset + place] = values[element]!;
      });
      offset += shape[axis]! * strides[axis]!;
    });
    return result;
  },

  iota: (node) => {
    const { axis } = attributesOf(iotaOp, node);
    const stride = stridesOf(node.shape)[axis]!;
    return Float64Array.from(
      { length: sizeOf(node.shape) },
      (_, e) => Math.floor(e / stride) % node.shape[axis]!,
    );
  },

  gather: (node, inputs) => {
    const [table, indices] = inputs as readonly [Values, Values];
    const rows = rowsOf(node);
    const row = sizeOf(node.inputs[0]!.shape.slice(1));
    const result = new Float64Array(sizeOf(node.shape));
    indices.forEach((index, i) => {
      if (!(index >= 0 && index < rows)) throw new IndexError(index, rows);
      result.set(table.subarray(index * row, (index + 1) * row), i * row);
    });
    return result;
  },

  scatterAdd: (node, inputs) => {
    const [values, indices] = inputs as readonly [Values, Values];
    const rows = rowsOf(node);
    const row = sizeOf(node.shape.slice(1));
    const result = new Float64Array(sizeOf(node.shape));
    indices.forEach((index, i) => {
      if (!(index >= 0 && index < rows)) throw new IndexError(index, rows);
      for (let e = 0; e < row; e++) result[index * row + e]! += values[i * row + e]!;
    });
    return result;
  },

  toIndex: (_, [x]) => x!.map((value) => (Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? value : -1)),

  checkLabels: (node, [labels]) => {
    const { classes } = attributesOf(checkLabelsOp, node);
    const place = labels!.findIndex((label) => !(label >= 0 && label < classes));
    if (place >= 0) throw new LabelError(labels![place]!, classes, place, labelsPerSample(node));
    return labels!;
  },

  argmax: (node, [scores]) => {
    const classes = node.inputs[0]!.shape.at(-1)!;
    return Float64Array.from({ length: sizeOf(node.shape) }, (_, i) => highest(scores!, i, classes));
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
      const best = highest(scores, i, classes);
      return best === label && !Number.isNaN(scores[i * classes + best]) ? 1 : 0;
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
