/** Layer normalisation, that by the root of the mean square, and batch normalisation. */
import type { Node } from '../graph.ts';
import type { NamedTensor } from '../named-tensor.ts';
import { channelsFirst, type OnnxGraph } from '../onnx/graph.ts';
import { constant } from '../ops/leaf.ts';
import { detach, reshape } from '../ops/movement.ts';
import { add, div, mul, relu, sqrt, sub } from '../ops/pointwise.ts';
import { mean } from '../ops/reduce.ts';
import { sizeOf } from '../shape.ts';
import { defineLayer, type ParameterPlan } from './layer.ts';

export const epsilon = {
  kind: 'number',
  minimum: 1e-12,
  below: 1,
  default: 1e-5,
  describe: 'Added to the variance, to avoid division by zero.',
} as const;

/** What a norm learns; `prefix` is in front of the names. */
export const scaleAndShift = (features: number, prefix = ''): ParameterPlan[] => [
  { name: `${prefix}scale`, shape: [features], initializer: { kind: 'ones' } },
  { name: `${prefix}shift`, shape: [features], initializer: { kind: 'zeros' } },
];

/** What a tensor is normalised by, along axes that stay with size 1. */
interface Moments {
  /** The mean. */
  readonly mean: Node;
  /** The (biased) variance. */
  readonly variance: Node;
}

/** Moments, and how far each number is from the mean. */
interface FoundMoments extends Moments {
  readonly away: Node;
}

/**
 * Mean and variance over axes, about a mean that is known but for its last digits: what is left of the numbers then is small, and so
 * is what rounding takes from it, however large the mean. Where all numbers are the same the distances and the variance are exactly 0.
 * The gradients are those of the plain formulas, in which the first mean cancels out.
 */
export function moments(x: Node, axes: readonly number[]): FoundMoments {
  const near = detach(mean(x, axes, true));
  const from = sub(x, near);
  const correction = mean(from, axes, true);
  // The correction is some last digits of the mean. Below 0, by rounding, is only what is 0.
  const variance = relu(sub(mean(mul(from, from), axes, true), mul(correction, correction)));
  return { mean: add(near, correction), away: sub(from, correction), variance };
}

/** (x - mean) / sqrt(variance + epsilon) * scale + shift, of a distance from the mean. */
function scaled(away: Node, variance: Node, scale: Node, shift: Node, epsilon: number): Node {
  return add(mul(div(away, sqrt(add(variance, constant(epsilon)))), scale), shift);
}

/** The same by moments that are given. */
export const normalize = (
  x: Node,
  { mean, variance }: Moments,
  scale: Node,
  shift: Node,
  epsilon: number,
): Node => scaled(sub(x, mean), variance, scale, shift, epsilon);

/** The same by moments that were found of the tensor itself. */
export const normalizeFound = (
  { away, variance }: FoundMoments,
  scale: Node,
  shift: Node,
  epsilon: number,
): Node => scaled(away, variance, scale, shift, epsilon);

/** Over the last axis (Ba et al. 2016). */
export const layerNormalization = (x: Node, scale: Node, shift: Node, epsilon: number): Node =>
  normalizeFound(moments(x, [-1]), scale, shift, epsilon);

/** The same as an ONNX node. */
export const onnxLayerNormalization = (
  graph: OnnxGraph,
  x: string,
  [scale, shift]: readonly [NamedTensor, NamedTensor],
  epsilon: number,
): string =>
  graph.node('LayerNormalization', [x, graph.parameter(scale), graph.parameter(shift)], {
    axis: -1,
    epsilon: { float: epsilon },
  });

export const layerNorm = defineLayer({
  type: 'layerNorm',
  summary: 'Normalizes the last axis to mean 0 and variance 1, then scales and shifts it.',
  about: {
    explains:
      'Brings the features of each sample (each step of a sequence) to mean 0 and variance 1, then applies a learned scale and shift. It keeps the numbers in a range that trains well, whatever the layers before do. It does not depend on the batch, so it is the usual normalization in transformers.',
    takes: '[..., features]',
    gives: 'the same',
    formula: 'y = (x - mean(x)) / sqrt(variance(x) + epsilon) scale + shift, over the last axis',
    paper: 'Ba et al. 2016, Layer Normalization',
    example: {
      input: [16],
      output: [2],
      layers: [
        { type: 'dense', units: 32 },
        { type: 'layerNorm' },
        { type: 'relu' },
        { type: 'dense', units: 2 },
      ],
    },
  },
  options: { epsilon },
  plan: (input) => ({ outputShape: input, parameters: scaleAndShift(input.at(-1)!) }),
  forward: (x, { options, parameters }) =>
    layerNormalization(x, parameters[0]!, parameters[1]!, options.epsilon),
  onnx: (graph, [x], { options, parameters }) => {
    const [scale, shift] = parameters as readonly [NamedTensor, NamedTensor];
    const name = onnxLayerNormalization(graph, graph.plain(x!), [scale, shift], options.epsilon);
    return { name, rank: x!.rank };
  },
});

/** x / sqrt(mean(x^2) + epsilon) * scale, over the last axis (Zhang and Sennrich 2019). */
export const rmsNormalization = (x: Node, scale: Node, epsilon: number): Node =>
  mul(div(x, sqrt(add(mean(mul(x, x), [-1], true), constant(epsilon)))), scale);

/** The same as ONNX nodes: its operator came with a later version of the standard. */
export function onnxRmsNormalization(
  graph: OnnxGraph,
  x: string,
  scale: NamedTensor,
  epsilon: number,
): string {
  const square = graph.node('ReduceMean', [graph.node('Mul', [x, x])], { axes: [-1], keepdims: 1 });
  const small = graph.constant([], [epsilon], `rms epsilon ${epsilon}`);
  const root = graph.node('Sqrt', [graph.node('Add', [square, small])]);
  return graph.node('Mul', [graph.node('Div', [x, root]), graph.parameter(scale)]);
}

export const rmsNorm = defineLayer({
  type: 'rmsNorm',
  summary: 'Divides the last axis by the root of its mean square, then scales it.',
  about: {
    explains:
      'Brings the features of each sample (each step of a sequence) to a mean square of 1, then applies a learned scale. It is layerNorm without the mean and the shift: about as good, and cheaper. Language models such as Llama use it.',
    takes: '[..., features]',
    gives: 'the same',
    formula: 'y = x / sqrt(mean(x^2) + epsilon) scale, over the last axis',
    paper: 'Zhang and Sennrich 2019, Root Mean Square Layer Normalization',
    example: {
      input: [16],
      output: [2],
      layers: [
        { type: 'dense', units: 32 },
        { type: 'rmsNorm' },
        { type: 'silu' },
        { type: 'dense', units: 2 },
      ],
    },
  },
  options: {
    epsilon: { ...epsilon, describe: 'Added to the mean square, to avoid division by zero.' },
  },
  plan: (input) => ({
    outputShape: input,
    parameters: [{ name: 'scale', shape: [input.at(-1)!], initializer: { kind: 'ones' } }],
  }),
  forward: (x, { options, parameters }) => rmsNormalization(x, parameters[0]!, options.epsilon),
  onnx: (graph, [x], { options, parameters }) => ({
    name: onnxRmsNormalization(graph, graph.plain(x!), parameters[0]!, options.epsilon),
    rank: x!.rank,
  }),
});

/**
 * Ioffe and Szegedy 2015. While training, mean and variance are those of the shard, over everything but the channel; the
 * running ones, which evaluation uses, follow the average over the shards (the variance without bias, n / (n - 1)).
 */
export const batchNorm = defineLayer({
  type: 'batchNorm',
  summary: 'Normalizes each channel to mean 0 and variance 1 over the batch, then scales and shifts it.',
  about: {
    explains:
      'Brings each channel to mean 0 and variance 1 over the samples of a batch, then applies a learned scale and shift. Deep convolutional networks train faster with it and take higher learning rates. Statistics are those of a shard during training, and running averages in evaluation, so shards of only a few samples make it inaccurate: use groupNorm there.',
    takes: '[..., channels]',
    gives: 'the same',
    formula: 'y = (x - mean(x)) / sqrt(variance(x) + epsilon) scale + shift, for each channel',
    paper:
      'Ioffe and Szegedy 2015, Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift',
    example: {
      input: [28, 28, 1],
      output: [28, 28, 32],
      layers: [
        { type: 'conv2d', filters: 32, size: 3, padding: 1, bias: false },
        { type: 'batchNorm' },
        { type: 'relu' },
      ],
    },
  },
  transparent: true,
  options: {
    epsilon,
    momentum: {
      kind: 'number',
      minimum: 0,
      below: 1,
      default: 0.1,
      describe: 'Weight of each batch in the running mean and variance.',
    },
  },
  plan: (input, { momentum }) => {
    const channels = input.at(-1)!;
    const statistic = { rate: momentum };
    return {
      outputShape: input,
      parameters: [
        ...scaleAndShift(channels),
        { name: 'runningMean', shape: [channels], initializer: { kind: 'zeros' }, statistic },
        { name: 'runningVariance', shape: [channels], initializer: { kind: 'ones' }, statistic },
      ],
    };
  },
  forward: (x, { options, parameters, random, report }) => {
    const [scale, shift, runningMean, runningVariance] = parameters as readonly [Node, Node, Node, Node];
    if (!random) {
      return normalize(x, { mean: runningMean, variance: runningVariance }, scale, shift, options.epsilon);
    }
    const channels = x.shape.at(-1)!;
    const found = moments(
      x,
      x.shape.slice(0, -1).map((_, axis) => axis),
    );
    const count = sizeOf(x.shape) / channels;
    const unbiased = constant(count > 1 ? count / (count - 1) : 1);
    report(2, reshape(found.mean, [channels]));
    report(3, mul(reshape(found.variance, [channels]), unbiased));
    return normalizeFound(found, scale, shift, options.epsilon);
  },
  onnx: (graph, [x], { options, parameters }) => {
    const order = channelsFirst(x!.rank);
    const inputs = [graph.inOrder(x!, order), ...parameters.map((parameter) => graph.parameter(parameter))];
    const name = graph.node('BatchNormalization', inputs, { epsilon: { float: options.epsilon } });
    return { name, rank: x!.rank, order };
  },
});
