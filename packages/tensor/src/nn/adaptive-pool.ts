/** Mean of windows that are as large as the image needs for an output of a given size. */
import type { Node } from '../graph.ts';
import { channelsFirst } from '../onnx/graph.ts';
import { concat, sliceAxis } from '../ops/parts.ts';
import { mean } from '../ops/reduce.ts';
import { averagePool2d } from './convolution.ts';
import { imageOf } from './image.ts';
import { defineLayer, LayerError, pairOf } from './layer.ts';

/** Where the windows of an axis start, and how long they are: they cover it, and those of an axis that cannot be divided overlap. */
const windowsOf = (extent: number, count: number): readonly { start: number; size: number }[] =>
  Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * extent) / count);
    return { start, size: Math.ceil(((i + 1) * extent) / count) - start };
  });

/** Means of the windows of one axis. */
function pooled(x: Node, axis: number, count: number): Node {
  const extent = x.shape[axis]!;
  if (count === extent) return x;
  const means = windowsOf(extent, count).map(({ start, size }) =>
    mean(sliceAxis(x, axis, start, size), [axis], true),
  );
  return concat(means, axis);
}

/** The matrix [extent, count] that takes these means. */
function matrixOf(extent: number, count: number): number[] {
  const windows = windowsOf(extent, count);
  return Array.from({ length: extent * count }, (_, i) => {
    const { start, size } = windows[i % count]!;
    const at = Math.floor(i / count);
    return at >= start && at < start + size ? 1 / size : 0;
  });
}

export const adaptiveAveragePool = defineLayer({
  type: 'adaptiveAveragePool',
  summary: 'Mean of windows of an image, as large as it takes to get an output of a given size.',
  about: {
    explains:
      'Reduces an image to a given number of rows and columns by taking means, whatever its size, so that the layers behind it need not change with the size of the images. Where rows or columns cannot be divided evenly, windows overlap. To reduce each channel to one number use globalAveragePool.',
    takes: '[rows, columns, channels]',
    gives: '[size, size, channels]',
    formula:
      'y[i, j, c] = mean of x[u, v, c] over u from floor(i rows / size) to ceil((i + 1) rows / size) - 1, and v likewise',
    example: {
      input: [28, 28, 1],
      output: [7, 7, 8],
      layers: [
        { type: 'conv2d', filters: 8, size: 3 },
        { type: 'adaptiveAveragePool', size: 7 },
      ],
    },
  },
  options: {
    size: { kind: 'pair', minimum: 1, maximum: 256, describe: 'Rows and columns of the output.' },
  },
  plan: (input, options) => {
    const [rows, columns, channels] = imageOf(input);
    const size = pairOf(options.size);
    if (size[0] > rows || size[1] > columns) {
      throw new LayerError(
        `size is ${size.join(' x ')}; expected at most that of the image, ${rows} x ${columns}. To make images larger use upsample`,
      );
    }
    return { outputShape: [...size, channels], parameters: [] };
  },
  forward: (x, { options }) => {
    const [rows, columns] = pairOf(options.size);
    const [tall, wide] = [x.shape[1]! / rows, x.shape[2]! / columns];
    if (Number.isInteger(tall) && Number.isInteger(wide))
      return averagePool2d(x, [tall, wide], { stride: [tall, wide] });
    return pooled(pooled(x, 1, rows), 2, columns);
  },
  onnx: (graph, [x], { options, inputShapes }) => {
    const order = channelsFirst(4);
    const own = graph.inOrder(x!, order);
    const [rows, columns] = pairOf(options.size);
    const [tall, wide] = inputShapes[0] as readonly [number, number];
    if (tall % rows === 0 && wide % columns === 0) {
      const window = [tall / rows, wide / columns];
      const name = graph.node('AveragePool', [own], { kernel_shape: window, strides: window });
      return { name, rank: 4, order };
    }
    // Means are products with matrices: of the rows from the left, of the columns from the right.
    const ofRows = matrixOf(tall, rows);
    const left = Array.from(
      { length: ofRows.length },
      (_, i) => ofRows[(i % tall) * rows + Math.floor(i / tall)]!,
    );
    const means = graph.node('MatMul', [own, graph.constant([wide, columns], matrixOf(wide, columns))]);
    return { name: graph.node('MatMul', [graph.constant([rows, tall], left), means]), rank: 4, order };
  },
});
