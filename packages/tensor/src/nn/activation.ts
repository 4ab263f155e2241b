/** Activations as layers: every name in the pointwise table's list of activations is a layer type, and those with options. */
import type { OnnxGraph } from '../onnx/graph.ts';
import { composePointwise } from '../onnx/pointwise.ts';
import { constant } from '../ops/leaf.ts';
import { apply } from '../ops/op.ts';
import {
  type ActivationName,
  activations,
  elu as eluOf,
  gt,
  mul,
  pointwiseOps,
  select,
} from '../ops/pointwise.ts';
import { defineLayer, type LayerAbout, type LayerType } from './layer.ts';
import { softmax as softmaxOf } from './losses.ts';

type None = Readonly<Record<never, never>>;

/** Those that ONNX has an operator for; the others are composed from their expression. */
const operators: { readonly [T in ActivationName]?: string } = {
  relu: 'Relu',
  sigmoid: 'Sigmoid',
  tanh: 'Tanh',
  softplus: 'Softplus',
  hardSwish: 'HardSwish',
};

/** Adds the nodes of an activation. */
export function onnxActivation(graph: OnnxGraph, type: ActivationName, x: string): string {
  const operator = operators[type];
  return operator ? graph.node(operator, [x]) : composePointwise(graph, pointwiseOps[type].expression, [x]);
}

/** What there is to say of each; the rest of it is the same for all. */
const abouts: { readonly [T in ActivationName]: Pick<LayerAbout, 'explains' | 'formula' | 'paper'> } = {
  relu: {
    explains:
      'Keeps positive numbers and replaces negative ones by 0. Without such a non-linear function between them, several layers could do no more than one. It is cheap, does not shrink gradients, and is the usual choice; a unit whose inputs are all negative no longer learns (a dead unit).',
    formula: 'y = max(0, x)',
    paper: 'Nair and Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines',
  },
  sigmoid: {
    explains:
      'Squeezes each number into the range from 0 to 1, like a probability. Far from 0 it is nearly flat, so gradients vanish in stacks of many such layers; use relu there. Do not put it before the loss of the binary objective, which takes the scores themselves.',
    formula: 'y = 1 / (1 + exp(-x))',
  },
  tanh: {
    explains:
      'Squeezes each number into the range from -1 to 1. Its outputs are centered around 0, which trains better than sigmoid. Far from 0 it is nearly flat, so gradients vanish in stacks of many such layers.',
    formula: 'y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))',
  },
  softplus: {
    explains:
      'A smooth version of relu, which is positive everywhere. Use it where outputs must be above 0, such as a variance. It has no dead units, but costs more than relu.',
    formula: 'y = log(1 + exp(x))',
    paper: 'Dugas et al. 2001, Incorporating Second-Order Functional Knowledge for Better Option Pricing',
  },
  silu: {
    explains:
      'The number times its sigmoid, also called swish. It is close to relu but smooth, and lets small negative numbers through, so it has no dead units. Deep networks often train a little better with it.',
    formula: 'y = x / (1 + exp(-x))',
    paper: 'Ramachandran et al. 2017, Searching for Activation Functions',
  },
  gelu: {
    explains:
      'The number times the probability that a standard normal number is below it. It is close to relu but smooth, and lets small negative numbers through. Transformers such as BERT use it.',
    formula: 'y = x (1 + erf(x / sqrt(2))) / 2',
    paper: 'Hendrycks and Gimpel 2016, Gaussian Error Linear Units (GELUs)',
  },
  geluTanh: {
    explains:
      'An approximation of gelu by tanh, whose results differ by less than 0.001. Use it only for weights of models that were trained with it, such as GPT-2. For new models, gelu is the definition.',
    formula: 'y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2',
    paper: 'Hendrycks and Gimpel 2016, Gaussian Error Linear Units (GELUs)',
  },
  hardSigmoid: {
    explains:
      'A straight line in place of the curve of sigmoid: 0 up to -3, 1 from 3 on. It costs less than sigmoid and is used for gates in networks for phones. Outside of -3 to 3 it has no gradient.',
    formula: 'y = min(max(x + 3, 0), 6) / 6',
    paper: 'Courbariaux et al. 2015, BinaryConnect: Training Deep Neural Networks with Binary Weights',
  },
  hardSwish: {
    explains:
      'The number times its hardSigmoid: silu made of straight lines, at a fraction of the cost. MobileNetV3 uses it. Below -3 it is 0 and has no gradient.',
    formula: 'y = x min(max(x + 3, 0), 6) / 6',
    paper: 'Howard et al. 2019, Searching for MobileNetV3',
  },
  mish: {
    explains:
      'The number times the tanh of its softplus. It is close to silu: smooth, with small negative outputs. Some networks for images train a little better with it; it costs more than silu.',
    formula: 'y = x tanh(log(1 + exp(x)))',
    paper: 'Misra 2019, Mish: A Self Regularized Non-Monotonic Activation Function',
  },
};

/** Between two dense layers, where every activation may stand. */
const between = (layer: LayerAbout['example']['layers'][number]): LayerAbout['example'] => ({
  input: [784],
  output: [10],
  layers: [{ type: 'dense', units: 64 }, layer, { type: 'dense', units: 10 }],
});

const activation = <T extends ActivationName>(type: T): LayerType<T, None> =>
  defineLayer<T, None>({
    type,
    summary: `Applies ${type} to each number: ${abouts[type].formula}.`,
    about: { ...abouts[type], takes: 'any', gives: 'the same', example: between({ type }) },
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
  about: {
    explains:
      'Keeps positive numbers and multiplies negative ones by a small slope. Unlike relu it has a gradient everywhere, so no unit is dead for good. Use it if many units of a relu network are dead.',
    takes: 'any',
    gives: 'the same',
    formula: 'y = x if x > 0, otherwise slope x',
    paper: 'Maas et al. 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models',
    example: between({ type: 'leakyRelu', slope: 0.1 }),
  },
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

export const prelu = defineLayer({
  type: 'prelu',
  summary: 'x where it is positive, elsewhere x times a slope that is learned for each channel.',
  about: {
    explains:
      'A leakyRelu that learns its slopes, one for each channel. It fits a little better than relu at the cost of one number per channel. Weight decay pulls the slopes to 0, where it is relu.',
    takes: '[..., channels]',
    gives: 'the same',
    formula: 'y = x if x > 0, otherwise slope[c] x, for each channel c',
    paper:
      'He et al. 2015, Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet Classification',
    example: between({ type: 'prelu' }),
  },
  options: {
    slope: {
      kind: 'number',
      minimum: 0,
      below: 1,
      default: 0.25,
      describe: 'What the slopes for negative numbers start as.',
    },
  },
  plan: (input, { slope }) => ({
    outputShape: input,
    parameters: [{ name: 'slope', shape: [input.at(-1)!], initializer: { kind: 'constant', value: slope } }],
  }),
  forward: (x, { parameters: [slope] }) => select(gt(x, constant(0)), x, mul(x, slope!)),
  onnx: (graph, [x], { parameters: [slope] }) => {
    // The channels of images that are channels first lie in front of rows and columns.
    const behind = x!.order ? x!.rank - 1 - x!.order.indexOf(x!.rank - 1) : 0;
    const shape = [...slope!.shape, ...Array<number>(behind).fill(1)];
    return { ...x!, name: graph.node('PRelu', [x!.name, graph.parameter({ ...slope!, shape })]) };
  },
});

export const elu = defineLayer({
  type: 'elu',
  summary: 'x where it is positive, alpha (exp(x) - 1) elsewhere.',
  about: {
    explains:
      'Keeps positive numbers and lets negative ones approach -alpha smoothly. Its outputs are closer to mean 0 than those of relu, and no unit is dead for good. It costs more than relu, since it takes an exponential.',
    takes: 'any',
    gives: 'the same',
    formula: 'y = x if x > 0, otherwise alpha (exp(x) - 1)',
    paper: 'Clevert et al. 2015, Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs)',
    example: between({ type: 'elu' }),
  },
  options: {
    alpha: {
      kind: 'number',
      minimum: 0,
      below: 100,
      default: 1,
      describe: 'Very negative numbers become -alpha.',
    },
  },
  plan: (input) => ({ outputShape: input, parameters: [] }),
  forward: (x, { options: { alpha } }) => {
    const y = eluOf(x);
    return alpha === 1 ? y : select(gt(x, constant(0)), x, mul(y, constant(alpha)));
  },
  onnx: (graph, [x], { options }) => ({
    ...x!,
    name: graph.node('Elu', [x!.name], { alpha: { float: options.alpha } }),
  }),
});

export const softmax = defineLayer({
  type: 'softmax',
  summary:
    'exp(x) / sum exp(x) over the last axis. Do not use it before a cross-entropy loss, which takes the scores themselves.',
  about: {
    explains:
      'Turns scores into positive numbers whose sum is 1, like the probabilities of classes. Use it inside a network, to weight things. Leave it out at the end of a classifier: the loss includes it and takes the scores themselves.',
    takes: '[..., features]',
    gives: 'the same',
    formula: 'y[i] = exp(x[i]) / sum over j of exp(x[j]), over the last axis',
    paper: 'Bridle 1990, Probabilistic Interpretation of Feedforward Classification Network Outputs',
    example: between({ type: 'softmax' }),
  },
  options: {},
  plan: (input) => ({ outputShape: input, parameters: [] }),
  forward: (x) => softmaxOf(x),
  onnx: (graph, [x]) => ({ name: graph.node('Softmax', [graph.plain(x!)], { axis: -1 }), rank: x!.rank }),
});
