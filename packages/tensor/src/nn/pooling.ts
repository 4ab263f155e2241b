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
import { defineLayer, type LayerAbout, LayerError, type LayerType, pairOf } from './layer.ts';
import { noneOrMore, windowSize } from './window-options.ts';

const poolLayer = <const T extends string>(
  type: T,
  { summary, ...about }: Pick<LayerType, 'summary'> & Pick<LayerAbout, 'explains' | 'formula' | 'paper'>,
  pool: (x: Node, size: Pair, options: WindowOptions) => Node,
  operator: { readonly op: string; readonly attributes?: Readonly<Record<string, Attribute>> },
) =>
  defineLayer({
    type,
    summary,
    about: {
      ...about,
      takes: '[rows, columns, channels]',
      gives:
        '[rows out, columns out, channels], where rows out = floor((rows + 2 padding - size) / stride) + 1',
      example: {
        input: [28, 28, 1],
        output: [14, 14, 8],
        layers: [{ type: 'conv2d', filters: 8, size: 3, padding: 1 }, { type: 'relu' }, { type, size: 2 }],
      },
    },
    options: {
      size: windowSize,
      stride: noneOrMore(
        'pair',
        'Distance from one window to the next; 0 means the size of the window, so that windows do not overlap.',
      ),
      padding: noneOrMore('pair', 'Rows above and below, columns left and right; at most half the size.'),
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

export const maxPool = poolLayer(
  'maxPool',
  {
    summary: 'Maximum of each window, per channel.',
    explains:
      'Makes an image smaller by keeping only the largest number of each window. What remains says whether a pattern was found in the window and no longer exactly where, so small shifts of the image change little. Later layers have less to compute and see a larger part of the image.',
    formula: 'y[i, j, c] = max over u, v of x[stride i + u - padding, stride j + v - padding, c]',
    paper: 'Riesenhuber and Poggio 1999, Hierarchical Models of Object Recognition in Cortex',
  },
  maxPool2d,
  {
    op: 'MaxPool',
  },
);
export const averagePool = poolLayer(
  'averagePool',
  {
    summary: 'Mean of each window, per channel.',
    explains:
      'Makes an image smaller by taking the mean of each window. It keeps how strong a pattern is on average, where maxPool keeps its strongest occurrence. Padding counts as zeros.',
    formula: 'y[i, j, c] = mean over u, v of x[stride i + u - padding, stride j + v - padding, c]',
    paper: 'LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition',
  },
  averagePool2d,
  {
    op: 'AveragePool',
    attributes: { count_include_pad: 1 },
  },
);

export const globalAveragePool = defineLayer({
  type: 'globalAveragePool',
  summary: 'Mean of each channel over the whole image.',
  about: {
    explains:
      'Reduces each channel of an image to one number, its mean. It comes after the last convolution, so that the classifier behind it needs few parameters and takes images of any size. It has no parameters itself.',
    takes: '[rows, columns, channels]',
    gives: '[channels]',
    formula: 'y[c] = mean over i, j of x[i, j, c]',
    paper: 'Lin et al. 2014, Network In Network',
    example: {
      input: [28, 28, 1],
      output: [10],
      layers: [
        { type: 'conv2d', filters: 32, size: 3 },
        { type: 'relu' },
        { type: 'globalAveragePool' },
        { type: 'dense', units: 10 },
      ],
    },
  },
  options: {},
  plan: (input) => ({ outputShape: [imageOf(input)[2]], parameters: [] }),
  forward: (x) => globalMean(x),
  onnx: (graph, [x]) => {
    const means = graph.node('GlobalAveragePool', [graph.inOrder(x!, channelsFirst(4))]);
    return { name: graph.node('Flatten', [means]), rank: 2 };
  },
});
