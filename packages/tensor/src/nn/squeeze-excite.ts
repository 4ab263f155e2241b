/** Squeeze and excitation (Hu et al. 2018): each channel times a factor that a small network finds from the means of all channels. */
import { channelsFirst } from '../onnx/graph.ts';
import { matmul } from '../ops/matmul.ts';
import { reshape } from '../ops/movement.ts';
import { add, hardSigmoid, mul, relu, sigmoid } from '../ops/pointwise.ts';
import { mean } from '../ops/reduce.ts';
import { formatShape } from '../shape.ts';
import { onnxActivation } from './activation.ts';
import { heUniform, xavierUniform } from './initializers.ts';
import { defineLayer, LayerError } from './layer.ts';

export const squeezeExcite = defineLayer({
  type: 'squeezeExcite',
  summary: 'Multiplies each channel by a factor from 0 to 1 that depends on the means of all channels.',
  about: {
    explains:
      'Takes the mean of each channel over the whole image, finds from these means a factor from 0 to 1 for each channel by a small network, and multiplies the channels by their factors. It lets a network turn channels off that do not matter for an image, which improves convolutional networks at little cost. It goes after the last convolution of a block, before the residual sum.',
    takes: '[rows, columns, channels] or [time, channels]',
    gives: 'the same',
    formula: 'y = x gate(W2 relu(W1 m + b1) + b2), where m[c] is the mean of channel c over all positions',
    paper: 'Hu et al. 2018, Squeeze-and-Excitation Networks',
    example: {
      input: [28, 28, 1],
      output: [28, 28, 32],
      layers: [
        { type: 'conv2d', filters: 32, size: 3, padding: 1 },
        { type: 'relu' },
        { type: 'squeezeExcite', reduction: 8 },
      ],
    },
  },
  options: {
    reduction: {
      kind: 'integer',
      minimum: 1,
      maximum: 65536,
      default: 16,
      describe: 'Channels for each unit of the inner layer, which has at least one unit.',
    },
    gate: {
      kind: 'choice',
      choices: ['sigmoid', 'hardSigmoid'],
      default: 'sigmoid',
      describe: 'What makes factors of scores: sigmoid, or hardSigmoid as in MobileNetV3.',
    },
  },
  plan: (input, { reduction }) => {
    if (input.length < 2) {
      throw new LayerError(
        `expected samples with positions, [rows, columns, channels] or [time, channels], got ${formatShape(input)}`,
      );
    }
    const channels = input.at(-1)!;
    const units = Math.max(1, Math.floor(channels / reduction));
    return {
      outputShape: input,
      parameters: [
        { name: 'squeeze.weight', shape: [channels, units], initializer: heUniform(channels) },
        { name: 'squeeze.bias', shape: [units], initializer: { kind: 'zeros' } },
        { name: 'excite.weight', shape: [units, channels], initializer: xavierUniform(units, channels) },
        { name: 'excite.bias', shape: [channels], initializer: { kind: 'zeros' } },
      ],
    };
  },
  forward: (x, { options, parameters: [squeeze, squeezeBias, excite, exciteBias] }) => {
    const positions = x.shape.slice(1, -1).map((_, axis) => axis + 1);
    const inner = relu(add(matmul(mean(x, positions), squeeze!), squeezeBias!));
    const scores = add(matmul(inner, excite!), exciteBias!);
    const factors = options.gate === 'sigmoid' ? sigmoid(scores) : hardSigmoid(scores);
    const [samples, channels] = [x.shape[0]!, x.shape.at(-1)!];
    return mul(x, reshape(factors, [samples, ...positions.map(() => 1), channels]));
  },
  onnx: (graph, [x], { options, parameters, outputShape }) => {
    const order = channelsFirst(x!.rank);
    const own = graph.inOrder(x!, order);
    const [squeeze, squeezeBias, excite, exciteBias] = parameters.map((each) => graph.parameter(each)) as [
      string,
      string,
      string,
      string,
    ];
    const means = graph.node('Flatten', [graph.node('GlobalAveragePool', [own])]);
    const inner = graph.node('Relu', [graph.node('Gemm', [means, squeeze, squeezeBias])]);
    const factors = onnxActivation(graph, options.gate, graph.node('Gemm', [inner, excite, exciteBias]));
    const wide = graph.reshape(factors, [outputShape.at(-1)!, ...outputShape.slice(0, -1).map(() => 1)]);
    return { name: graph.node('Mul', [own, wide]), rank: x!.rank, order };
  },
});
