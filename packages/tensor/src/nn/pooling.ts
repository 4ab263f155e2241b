/** Pooling layers: the largest or the mean of windows over images. */
import type { Node } from '../graph.ts';
import { channelsFirst } from '../onnx/graph.ts';
import type { Attribute } from '../onnx/messages.ts';
import type { Pair } from '../ops/conv2d.ts';
import {
  averagePool2d,
  globalAveragePool as globalMean,
  maxPool2d,
  type WindowOptions,
  windowedExtents,
} from './convolution.ts';
import { imageOf } from './image.ts';
import { defineLayer, LayerError, pairOf } from './layer.ts';

const MOST = 4096;

const poolLayer = <const T extends string>(
  type: T,
  summary: string,
  pool: (x: Node, size: Pair, options: WindowOptions) => Node,
  operator: { readonly op: string; readonly attributes?: Readonly<Record<string, Attribute>> },
) =>
  defineLayer({
    type,
    summary,
    options: {
      size: { kind: 'pair', minimum: 1, maximum: MOST, describe: 'Height and width of the window.' },
      stride: {
        kind: 'pair',
        minimum: 0,
        maximum: MOST,
        default: 0,
        describe:
          'Distance from one window to the next; 0 means the size of the window, so that windows do not overlap.',
      },
      padding: {
        kind: 'pair',
        minimum: 0,
        maximum: MOST,
        default: 0,
        describe: 'Rows above and below, columns left and right; at most half the size.',
      },
    },
    plan: (input, options) => {
      const [rows, columns, channels] = imageOf(input);
      const size = pairOf(options.size);
      const padding = pairOf(options.padding);
      if (padding[0] > size[0] / 2 || padding[1] > size[1] / 2) {
        throw new LayerError(
          `padding is ${padding.join(' x ')}; expected at most half the size, ${size.join(' x ')}`,
        );
      }
      const [tall, wide] = windowedExtents([rows, columns], size, windowOptions(options));
      if (tall < 1 || wide < 1) {
        throw new LayerError(`a window of ${size.join(' x ')} does not fit an image of ${rows} x ${columns}`);
      }
      return { outputShape: [tall, wide, channels], parameters: [] };
    },
    forward: (x, { options }) => pool(x, pairOf(options.size), windowOptions(options)),
    onnx: (graph, [x], { options }) => {
      const order = channelsFirst(4);
      const { stride, padding } = windowOptions(options);
      const name = graph.node(operator.op, [graph.inOrder(x!, order)], {
        ...operator.attributes,
        kernel_shape: pairOf(options.size),
        strides: stride,
        pads: [...padding, ...padding],
      });
      return { name, rank: 4, order };
    },
  });

type PairOption = number | readonly [number, number];

function windowOptions({ size, stride, padding }: Record<'size' | 'stride' | 'padding', PairOption>): {
  readonly stride: Pair;
  readonly padding: Pair;
} {
  const [own, step] = [pairOf(size), pairOf(stride)];
  return { stride: [step[0] || own[0], step[1] || own[1]], padding: pairOf(padding) };
}

export const maxPool = poolLayer('maxPool', 'Maximum of each window, per channel.', maxPool2d, {
  op: 'MaxPool',
});
export const averagePool = poolLayer('averagePool', 'Mean of each window, per channel.', averagePool2d, {
  op: 'AveragePool',
  attributes: { count_include_pad: 1 },
});

export const globalAveragePool = defineLayer({
  type: 'globalAveragePool',
  summary: 'Mean of each channel over the whole image.',
  options: {},
  plan: (input) => ({ outputShape: [imageOf(input)[2]], parameters: [] }),
  forward: (x) => globalMean(x),
  onnx: (graph, [x]) => {
    const means = graph.node('GlobalAveragePool', [graph.inOrder(x!, channelsFirst(4))]);
    return { name: graph.node('Flatten', [means]), rank: 2 };
  },
});
