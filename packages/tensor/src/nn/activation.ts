/** Activations as layers: every name in the pointwise table's list of activations is a layer type, and those with options. */
import type { OnnxGraph } from '../onnx/graph.ts';
import { composePointwise } from '../onnx/pointwise.ts';
import { constant } from '../ops/leaf.ts';
import { apply } from '../ops/op.ts';
import { type ActivationName, activations, gt, mul, pointwiseOps, select } from '../ops/pointwise.ts';
import { defineLayer, type LayerType } from './layer.ts';
import { softmax as softmaxOf } from './losses.ts';

type None = Readonly<Record<never, never>>;

/** Those that ONNX has an operator for; the others are composed from their expression. */
const operators: { readonly [T in ActivationName]?: string } = {
  relu: 'Relu',
  sigmoid: 'Sigmoid',
  tanh: 'Tanh',
  softplus: 'Softplus',
};

/** Adds the nodes of an activation. */
export function onnxActivation(graph: OnnxGraph, type: ActivationName, x: string): string {
  const operator = operators[type];
  return operator ? graph.node(operator, [x]) : composePointwise(graph, pointwiseOps[type].expression, [x]);
}

const activation = <T extends ActivationName>(type: T): LayerType<T, None> =>
  defineLayer<T, None>({
    type,
    summary: `Applies ${type} to each number.`,
    options: {},
    plan: (input) => ({ outputShape: input, parameters: [] }),
    forward: (x) => apply(pointwiseOps[type], [x], {}),
    onnx: (graph, [x]) => ({ ...x!, name: onnxActivation(graph, type, x!.name) }),
  });

export const activationLayers = Object.fromEntries(activations.map((name) => [name, activation(name)])) as {
  readonly [T in ActivationName]: LayerType<T, None>;
};

export const leakyRelu = defineLayer({
  type: 'leakyRelu',
  summary: 'x where it is positive, slope times x elsewhere (Maas et al. 2013).',
  options: {
    slope: { kind: 'number', minimum: 0, below: 1, default: 0.01, describe: 'Slope for negative numbers.' },
  },
  plan: (input) => ({ outputShape: input, parameters: [] }),
  forward: (x, { options }) => select(gt(x, constant(0)), x, mul(x, constant(options.slope))),
  onnx: (graph, [x], { options }) => ({
    ...x!,
    name: graph.node('LeakyRelu', [x!.name], { alpha: { float: options.slope } }),
  }),
});

export const softmax = defineLayer({
  type: 'softmax',
  summary:
    'exp(x) / sum exp(x) over the last axis. Do not use it before a cross-entropy loss, which takes the scores themselves.',
  options: {},
  plan: (input) => ({ outputShape: input, parameters: [] }),
  forward: (x) => softmaxOf(x),
  onnx: (graph, [x]) => ({ name: graph.node('Softmax', [graph.plain(x!)], { axis: -1 }), rank: x!.rank }),
});
