/** The transformer block: self-attention and a network of each step (Vaswani et al. 2017), as GPT-2, BERT and Llama have them. */
import type { Node } from '../graph.ts';
import type { NamedTensor } from '../named-tensor.ts';
import type { OnnxGraph } from '../onnx/graph.ts';
import { add, gelu, mul, silu } from '../ops/pointwise.ts';
import { onnxActivation } from './activation.ts';
import {
  attentionRules,
  checkSequence,
  matrixPlans,
  multiHeadAttention,
  named,
  onnxAttention,
  onnxProjection,
  project,
  projectionPlans,
  projectionsOf,
} from './attention.ts';
import { dropped } from './dropout.ts';
import { defineLayer, type OptionValues, type ParameterPlan } from './layer.ts';
import {
  layerNormalization,
  onnxLayerNormalization,
  onnxRmsNormalization,
  rmsNormalization,
  scaleAndShift,
} from './norm.ts';

const EPSILON = 1e-5;

const options = {
  ...attentionRules,
  hidden: {
    kind: 'integer',
    minimum: 0,
    maximum: 1_000_000,
    default: 0,
    describe:
      'Width of the inner network; 0 means four times the features, or of swiglu 8 / 3 times, rounded up to a multiple of 8: about as many parameters.',
  },
  normFirst: {
    kind: 'boolean',
    default: true,
    describe: 'Norm before each part (as in GPT-2), or after its residual sum (as in BERT).',
  },
  norm: {
    kind: 'choice',
    choices: ['layer', 'rms'],
    default: 'layer',
    describe: 'layerNorm, or rmsNorm (as in Llama).',
  },
  feedForward: {
    kind: 'choice',
    choices: ['gelu', 'swiglu'],
    default: 'gelu',
    describe: 'Inner network: of two layers with gelu between them, or gated by silu (Shazeer 2020).',
  },
} as const;

type BlockOptions = OptionValues<typeof options>;

/** In the order of their initial values; `norm1` is that of attention. */
function plansOf(features: number, block: BlockOptions): ParameterPlan[] {
  const { hidden, norm, feedForward, bias } = block;
  const gated = feedForward === 'swiglu';
  const width = hidden || (gated ? 8 * Math.ceil(features / 3) : 4 * features);
  const normPlans = (prefix: string) =>
    scaleAndShift(features, prefix).slice(0, norm === 'rms' ? 1 : undefined);
  return [
    ...projectionPlans(features, block),
    ...normPlans('norm1.'),
    ...(gated ? matrixPlans('gate', features, width, bias) : []),
    ...matrixPlans('expand', features, width, bias),
    ...matrixPlans('contract', width, features, bias),
    ...normPlans('norm2.'),
  ];
}

type Own<T> = (name: string) => T | undefined;

const normOf = (own: Own<Node>, prefix: string) => (x: Node) => {
  const [scale, shift] = [own(`${prefix}.scale`)!, own(`${prefix}.shift`)];
  return shift ? layerNormalization(x, scale, shift, EPSILON) : rmsNormalization(x, scale, EPSILON);
};

function networkOf(own: Own<Node>) {
  const layer = (x: Node, name: string) => project(x, own(`${name}.weight`)!, own(`${name}.bias`));
  return (x: Node) => {
    const expanded = layer(x, 'expand');
    const inner = own('gate.weight') ? mul(silu(layer(x, 'gate')), expanded) : gelu(expanded);
    return layer(inner, 'contract');
  };
}

const onnxNormOf = (graph: OnnxGraph, own: Own<NamedTensor>, prefix: string) => (x: string) => {
  const [scale, shift] = [own(`${prefix}.scale`)!, own(`${prefix}.shift`)];
  return shift
    ? onnxLayerNormalization(graph, x, [scale, shift], EPSILON)
    : onnxRmsNormalization(graph, x, scale, EPSILON);
};

function onnxNetworkOf(graph: OnnxGraph, own: Own<NamedTensor>) {
  const layer = (x: string, name: string) =>
    onnxProjection(graph, x, own(`${name}.weight`)!, own(`${name}.bias`));
  return (x: string) => {
    const expanded = layer(x, 'expand');
    const inner = own('gate.weight')
      ? graph.node('Mul', [onnxActivation(graph, 'silu', layer(x, 'gate')), expanded])
      : onnxActivation(graph, 'gelu', expanded);
    return layer(inner, 'contract');
  };
}

export const transformerBlock = defineLayer({
  type: 'transformerBlock',
  summary: 'Self-attention and a two-layer network, each with a norm and a residual connection.',
  about: {
    explains:
      'Self-attention, which mixes the steps of a sequence, followed by a two-layer network that works on each step, both with a norm and a residual connection. GPT and BERT are stacks of such blocks. Set causal for models that predict the next token. Llama has the options rotary: true, norm: rms, feedForward: swiglu, bias: false, and fewer keyValueHeads than heads.',
    takes: '[time, features]',
    gives: 'the same',
    formula:
      'h = x + attention(norm(x)), y = h + network(norm(h)); without normFirst: h = norm(x + attention(x)), y = norm(h + network(h)); network(h) = W2 gelu(W1 h + b1) + b2, or of swiglu W2 (silu(Wg h + bg) (W1 h + b1)) + b2',
    paper: 'Vaswani et al. 2017, Attention Is All You Need',
    example: {
      input: [64],
      output: [64, 100],
      layers: [
        { type: 'embedding', tokens: 100, units: 32 },
        { type: 'positionalEncoding' },
        { type: 'transformerBlock', heads: 4, causal: true },
        { type: 'dense', units: 100 },
      ],
    },
  },
  options,
  plan: (input, block) => ({
    outputShape: input,
    parameters: plansOf(checkSequence(input, block), block),
  }),
  forward: (x, context) => {
    const { options: block, parameters } = context;
    const own = named(plansOf(x.shape[2]!, block), parameters);
    const attend = (from: Node) =>
      multiHeadAttention(from, projectionsOf(own), {
        ...block,
        // Streams 1 and 2 are taken below.
        drop: (weights, part) => dropped(weights, block.dropout, context, part && part + 2),
      });
    const network = networkOf(own);
    const [norm1, norm2] = [normOf(own, 'norm1'), normOf(own, 'norm2')];
    const drop = (from: Node, stream: number) => dropped(from, block.dropout, context, stream);
    if (block.normFirst) {
      const middle = add(x, drop(attend(norm1(x)), 1));
      return add(middle, drop(network(norm2(middle)), 2));
    }
    const middle = norm1(add(x, drop(attend(x), 1)));
    return norm2(add(middle, drop(network(middle), 2)));
  },
  onnx: async (graph, [value], { options: block, parameters, outputShape }) => {
    const own = named(plansOf(outputShape[1]!, block), parameters);
    const attend = (from: string) =>
      onnxAttention(graph, from, projectionsOf(own), { ...block, shape: outputShape });
    const network = onnxNetworkOf(graph, own);
    const [norm1, norm2] = [onnxNormOf(graph, own, 'norm1'), onnxNormOf(graph, own, 'norm2')];
    const sum = (a: string, b: string) => graph.node('Add', [a, b]);
    const x = graph.plain(value!);
    if (block.normFirst) {
      const middle = sum(x, await attend(norm1(x)));
      return { name: sum(middle, network(norm2(middle))), rank: 3 };
    }
    const middle = norm1(sum(x, await attend(x)));
    return { name: norm2(sum(middle, network(middle))), rank: 3 };
  },
});
