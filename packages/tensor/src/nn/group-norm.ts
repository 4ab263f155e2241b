/** Normalisation of groups of channels of each sample (Wu and He 2018), of which each channel may be one (Ulyanov et al. 2016). */
import type { Node } from '../graph.ts';
import type { NamedTensor } from '../named-tensor.ts';
import { channelsFirst, type OnnxGraph, type OnnxValue } from '../onnx/graph.ts';
import { constant } from '../ops/leaf.ts';
import { reshape } from '../ops/movement.ts';
import { add, div, mul, sqrt } from '../ops/pointwise.ts';
import { formatShape, type Shape, sizeOf } from '../shape.ts';
import { defineLayer, LayerError } from './layer.ts';
import { epsilon, moments, scaleAndShift } from './norm.ts';

/** Over the positions and the channels of each group. x is [samples, ..., channels]. */
function groupNormalization(
  x: Node,
  [scale, shift]: readonly [Node, Node],
  groups: number,
  epsilon: number,
): Node {
  const channels = x.shape.at(-1)!;
  const positions = sizeOf(x.shape.slice(1, -1));
  const { away, variance } = moments(reshape(x, [x.shape[0]!, positions, groups, channels / groups]), [1, 3]);
  const even = div(away, sqrt(add(variance, constant(epsilon))));
  return add(mul(reshape(even, x.shape), scale), shift);
}

/** The same as ONNX nodes: each group is an instance of many positions; the operator for groups came with a later version of the standard. */
function onnxGroupNormalization(
  graph: OnnxGraph,
  x: OnnxValue,
  [scale, shift]: readonly [NamedTensor, NamedTensor],
  { groups, epsilon, shape }: { readonly groups: number; readonly epsilon: number; readonly shape: Shape },
): OnnxValue {
  const order = channelsFirst(x.rank);
  const channels = shape.at(-1)!;
  const grouped = graph.reshape(graph.inOrder(x, order), [groups, sizeOf(shape) / groups]);
  const [ones, zeros] = [1, 0].map((value) =>
    graph.constant([groups], Array<number>(groups).fill(value), `${groups} times ${value}`),
  ) as [string, string];
  const even = graph.node('InstanceNormalization', [grouped, ones, zeros], {
    epsilon: { float: epsilon },
  });
  const back = graph.reshape(even, [channels, ...shape.slice(0, -1)]);
  // The channels stand in front of the positions.
  const wide = (parameter: NamedTensor) =>
    graph.parameter({ ...parameter, shape: [channels, ...shape.slice(0, -1).map(() => 1)] });
  return {
    name: graph.node('Add', [graph.node('Mul', [back, wide(scale)]), wide(shift)]),
    rank: x.rank,
    order,
  };
}

export const groupNorm = defineLayer({
  type: 'groupNorm',
  summary:
    'Normalizes each group of channels of a sample to mean 0 and variance 1, then scales and shifts each channel.',
  about: {
    explains:
      'Cuts the channels into groups and brings each group of each sample to mean 0 and variance 1, over all its positions, then applies a learned scale and shift for each channel. It does what batchNorm does for convolutional networks, but does not depend on the batch: it is the same in training and evaluation, and works with batches of a few samples.',
    takes: '[..., channels]',
    gives: 'the same',
    formula:
      'y = (x - mean(x)) / sqrt(variance(x) + epsilon) scale + shift, over the positions and channels of each group',
    paper: 'Wu and He 2018, Group Normalization',
    example: {
      input: [28, 28, 1],
      output: [28, 28, 32],
      layers: [
        { type: 'conv2d', filters: 32, size: 3, padding: 1, bias: false },
        { type: 'groupNorm', groups: 8 },
        { type: 'relu' },
      ],
    },
  },
  transparent: true,
  options: {
    groups: {
      kind: 'integer',
      minimum: 1,
      maximum: 65536,
      default: 32,
      describe: 'Number of groups; must divide the number of channels.',
    },
    epsilon,
  },
  plan: (input, { groups }) => {
    const channels = input.at(-1)!;
    if (channels % groups > 0) {
      throw new LayerError(`groups is ${groups}; expected a divisor of ${channels} channels`);
    }
    if (sizeOf(input) === groups) {
      throw new LayerError(
        `a group is a single number of ${formatShape(input)}, which would always become 0: use fewer than ${groups} groups`,
      );
    }
    return { outputShape: input, parameters: scaleAndShift(channels) };
  },
  forward: (x, { options, parameters }) =>
    groupNormalization(x, parameters as unknown as readonly [Node, Node], options.groups, options.epsilon),
  onnx: (graph, [x], { options, parameters, outputShape }) =>
    onnxGroupNormalization(graph, x!, parameters as unknown as readonly [NamedTensor, NamedTensor], {
      ...options,
      shape: outputShape,
    }),
});

export const instanceNorm = defineLayer({
  type: 'instanceNorm',
  summary:
    'Normalizes each channel of a sample to mean 0 and variance 1 over its positions, then scales and shifts it.',
  about: {
    explains:
      'Brings each channel of each sample to mean 0 and variance 1 over its positions, then applies a learned scale and shift. It takes the contrast out of an image, which helps networks that change the style of images. Use groupNorm or batchNorm for classifiers: how strong a channel is over the whole image, which they keep, matters there.',
    takes: '[rows, columns, channels] or [time, channels]',
    gives: 'the same',
    formula:
      'y = (x - mean(x)) / sqrt(variance(x) + epsilon) scale + shift, over the positions of each channel',
    paper: 'Ulyanov et al. 2016, Instance Normalization: The Missing Ingredient for Fast Stylization',
    example: {
      input: [28, 28, 1],
      output: [28, 28, 8],
      layers: [
        { type: 'conv2d', filters: 8, size: 3, padding: 1, bias: false },
        { type: 'instanceNorm' },
        { type: 'relu' },
      ],
    },
  },
  transparent: true,
  options: { epsilon },
  plan: (input) => {
    const channels = input.at(-1)!;
    if (sizeOf(input) === channels) {
      throw new LayerError(
        `expected samples with several positions, [rows, columns, channels] or [time, channels], got ${formatShape(input)}: each channel is a single number, which would always become 0. Use layerNorm`,
      );
    }
    return { outputShape: input, parameters: scaleAndShift(channels) };
  },
  forward: (x, { options, parameters }) =>
    groupNormalization(x, parameters as unknown as readonly [Node, Node], x.shape.at(-1)!, options.epsilon),
  onnx: (graph, [x], { options, parameters, outputShape }) =>
    onnxGroupNormalization(graph, x!, parameters as unknown as readonly [NamedTensor, NamedTensor], {
      groups: outputShape.at(-1)!,
      epsilon: options.epsilon,
      shape: outputShape,
    }),
});
