/** Fully connected: y = x W + b, W stored as [in, units]. */
import { matmul } from '../ops/matmul.ts';
import { add } from '../ops/pointwise.ts';
import { formatShape } from '../shape.ts';
import { weightInitializer } from './initializers.ts';
import { defineLayer, LayerError, type ParameterPlan } from './layer.ts';

export const dense = defineLayer({
  type: 'dense',
  summary: 'Fully connected: y = x W + b, over the last axis.',
  about: {
    explains:
      'Each output is a weighted sum of all inputs plus a bias; the weights are learned. It can combine any features and is the usual last layer, with one output per class. Put an activation such as relu between two dense layers: without one they compute nothing that a single one could not.',
    takes: '[features] or [time, features]',
    gives: '[units] or [time, units]',
    formula: 'y = x W + b',
    paper:
      'Rosenblatt 1958, The Perceptron: A Probabilistic Model for Information Storage and Organization in the Brain',
    example: {
      input: [784],
      output: [10],
      layers: [{ type: 'dense', units: 128 }, { type: 'relu' }, { type: 'dense', units: 10 }],
    },
  },
  options: {
    units: {
      kind: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      describe: 'Number of outputs.',
    },
    bias: { kind: 'boolean', default: true, describe: 'Whether to add a trained bias.' },
  },
  plan: (input, { units, bias }, { followedBy }) => {
    if (input.length !== 1 && input.length !== 2) {
      throw new LayerError(
        `expected samples of shape [features] or [time, features], got ${formatShape(input)}: add a flatten layer before it`,
      );
    }
    const fanIn = input.at(-1)!;
    const initializer = weightInitializer(fanIn, units, followedBy);
    const weight: ParameterPlan = { name: 'weight', shape: [fanIn, units], initializer };
    const offset: ParameterPlan = { name: 'bias', shape: [units], initializer: { kind: 'zeros' } };
    return { outputShape: [...input.slice(0, -1), units], parameters: bias ? [weight, offset] : [weight] };
  },
  forward: (x, { parameters }) => {
    const [weight, bias] = parameters;
    const product = matmul(x, weight!);
    return bias ? add(product, bias) : product;
  },
  onnx: (graph, [x], { parameters }) => {
    const rank = x!.rank;
    const [weight, bias] = parameters.map((parameter) => graph.parameter(parameter)) as [string, string?];
    if (rank === 2)
      return { name: graph.node('Gemm', [graph.plain(x!), weight, ...(bias ? [bias] : [])]), rank };
    const product = graph.node('MatMul', [graph.plain(x!), weight]);
    return { name: bias ? graph.node('Add', [product, bias]) : product, rank };
  },
});
