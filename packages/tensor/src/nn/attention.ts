/** Multi-head self-attention (Vaswani et al. 2017) and the transformer block made of it. */
import type { Node } from '../graph.ts';
import type { NamedTensor } from '../named-tensor.ts';
import type { OnnxGraph } from '../onnx/graph.ts';
import { constant, iota } from '../ops/leaf.ts';
import { matmul } from '../ops/matmul.ts';
import { reshape, transpose } from '../ops/movement.ts';
import { concat, sliceAxis } from '../ops/parts.ts';
import { add, ge, gelu, mul, ne } from '../ops/pointwise.ts';
import { formatShape, type Shape } from '../shape.ts';
import { onnxActivation } from './activation.ts';
import { dropped } from './dropout.ts';
import { xavierUniform } from './initializers.ts';
import { defineLayer, LayerError, type ParameterPlan } from './layer.ts';
import { maskedSoftmax, softmax } from './losses.ts';
import { layerNormalization, onnxLayerNormalization, scaleAndShift } from './norm.ts';

const heads = {
  kind: 'integer',
  minimum: 1,
  maximum: 1024,
  describe: 'Number of heads; must divide the number of features.',
} as const;
const causal = {
  kind: 'boolean',
  default: false,
  describe: 'Whether a step attends only to itself and earlier steps.',
} as const;
const dropout = {
  kind: 'number',
  minimum: 0,
  below: 1,
  default: 0,
  describe: 'Dropout rate during training.',
} as const;

export interface AttentionOptions {
  readonly heads: number;
  readonly causal?: boolean;
  /** [samples, time]: 0 where a step is padding, which nobody then attends to. A step that sees nothing has weights of 0. */
  readonly mask?: Node;
  /** Applied to the weights of attention, of which block `block`, from 0, has some rows. */
  readonly drop?: (weights: Node, block: number) => Node;
}

/** Weight and bias of the four projections: query, key, value, output. */
export type Projections = readonly [Node, Node, Node, Node, Node, Node, Node, Node];

/** softmax(Q K^T / sqrt(d)) V of each head, d being features / heads. x is [samples, time, features]. */
export function multiHeadAttention(x: Node, projections: Projections, options: AttentionOptions): Node {
  const { heads } = options;
  const [samples, time, features] = x.shape as readonly [number, number, number];
  const size = features / heads;
  const project = (from: Node, at: 0 | 2 | 4 | 6) => add(matmul(from, projections[at]), projections[at + 1]!);
  const split = (projected: Node) =>
    transpose(reshape(projected, [samples, time, heads, size]), [0, 2, 1, 3]);
  const [query, key, value] = [split(project(x, 0)), split(project(x, 2)), split(project(x, 4))];
  const mixed = attend(query, key, value, options);
  return project(reshape(transpose(mixed, [0, 2, 1, 3]), [samples, time, features]), 6);
}

/** Steps of a block of causal attention, and blocks at most. Fewer steps would make products that are too small to be fast. */
const BLOCK = 32;
const MOST_BLOCKS = 8;

/**
 * softmax(Q K^T / sqrt(d)) V; each is [samples, heads, time, size]. Causal attention is computed in blocks of steps, none of which
 * looks at keys behind its last step: of n blocks' scores only (n + 1) / 2n are ever there.
 */
function attend(query: Node, key: Node, value: Node, options: Omit<AttentionOptions, 'heads'>): Node {
  const { causal = false, mask, drop = (weights) => weights } = options;
  const [samples, , time, size] = query.shape as readonly [number, number, number, number];
  const rows = causal ? BLOCK * Math.ceil(time / BLOCK / MOST_BLOCKS) : time;
  const steps = (x: Node, axis: number, from: number, to: number) =>
    to - from === time ? x : sliceAxis(x, axis, from, to - from);
  const blocks = Array.from({ length: Math.ceil(time / rows) }, (_, block) => {
    const start = block * rows;
    const end = Math.min(time, start + rows);
    const product = matmul(steps(query, 2, start, end), steps(key, 2, 0, end), false, true);
    const scores = mul(product, constant(1 / Math.sqrt(size)));
    const conditions = [
      causal && ge(add(iota([end - start, 1], 0), constant(start)), iota([1, end], 1)),
      mask && ne(steps(reshape(mask, [samples, 1, 1, time]), 3, 0, end), constant(0)),
    ].filter((condition) => condition instanceof Object);
    const weights = conditions.length > 0 ? maskedSoftmax(scores, conditions) : softmax(scores);
    return matmul(drop(weights, block), steps(value, 2, 0, end));
  });
  return blocks.length === 1 ? blocks[0]! : concat(blocks, 2);
}

/** x W + b */
const onnxProjection = (graph: OnnxGraph, x: string, [weight, bias]: readonly NamedTensor[]): string =>
  graph.node('Add', [graph.node('MatMul', [x, graph.parameter(weight!)]), graph.parameter(bias!)]);

/** Softmax of the scores for which every condition holds. @param bare whether there may be steps that see nothing */
function onnxWeights(graph: OnnxGraph, scores: string, conditions: readonly string[], bare: boolean): string {
  if (conditions.length === 0) return graph.node('Softmax', [scores], { axis: -1 });
  const seen = conditions.reduce((all, condition) => graph.node('And', [all, condition]));
  const hidden = graph.constant([], [Number.NEGATIVE_INFINITY], 'attention hidden');
  const weights = graph.node('Softmax', [graph.node('Where', [seen, scores, hidden])], { axis: -1 });
  // Of a step that sees nothing the softmax is no number.
  return bare ? graph.node('Where', [seen, weights, graph.constant([], [0], 'attention nothing')]) : weights;
}

interface OnnxAttention {
  readonly heads: number;
  readonly causal: boolean;
  /** Of x, without the samples. */
  readonly shape: Shape;
  /** See AttentionOptions. */
  readonly mask?: string;
}

/** The same as ONNX nodes; `projections` as in Projections. */
function onnxAttention(
  graph: OnnxGraph,
  x: string,
  projections: readonly NamedTensor[],
  { heads, causal, shape, mask }: OnnxAttention,
): string {
  const [time, features] = shape as readonly [number, number];
  const size = features / heads;
  const split = (at: 0 | 2 | 4, perm: readonly number[]) => {
    const projected = onnxProjection(graph, x, projections.slice(at, at + 2));
    return graph.node('Transpose', [graph.reshape(projected, [time, heads, size])], { perm });
  };
  const [query, key, value] = [split(0, [0, 2, 1, 3]), split(2, [0, 2, 3, 1]), split(4, [0, 2, 1, 3])];
  const scale = graph.constant([], [1 / Math.sqrt(size)], `attention scale ${size}`);
  const scores = graph.node('Mul', [graph.node('MatMul', [query, key]), scale]);
  const conditions: string[] = [];
  if (causal) {
    const pairs = Array.from({ length: time * time }, (_, i) => Math.floor(i / time) >= i % time);
    conditions.push(graph.booleans([time, time], pairs, `attention causal ${time}`));
  }
  if (mask !== undefined) conditions.push(graph.cast(graph.reshape(mask, [1, 1, time]), 'bool'));
  const weights = onnxWeights(graph, scores, conditions, mask !== undefined);
  const mixed = graph.node('Transpose', [graph.node('MatMul', [weights, value])], { perm: [0, 2, 1, 3] });
  return onnxProjection(graph, graph.reshape(mixed, [time, features]), projections.slice(6, 8));
}

function checkSequence(input: Shape, heads: number): number {
  if (input.length !== 2)
    throw new LayerError(`expected sequences [time, features], got ${formatShape(input)}`);
  const features = input[1]!;
  if (features % heads > 0)
    throw new LayerError(`heads is ${heads}; expected a divisor of ${features} features`);
  return features;
}

const projectionPlans = (features: number): ParameterPlan[] =>
  ['query', 'key', 'value', 'output'].flatMap((name) => [
    { name: `${name}.weight`, shape: [features, features], initializer: xavierUniform(features, features) },
    { name: `${name}.bias`, shape: [features], initializer: { kind: 'zeros' } } as const,
  ]);

export const selfAttention = defineLayer({
  type: 'selfAttention',
  summary:
    'Self-attention over a sequence [time, features]. A second input [time] marks the steps that are not padding (1).',
  about: {
    explains:
      'Lets each step of a sequence read from all others: it compares its query with their keys and takes a mean of their values, weighted by how well they match. Each head learns a relation of its own, such as the previous word or the subject of a verb. It does not see the order of the steps, so add a positionalEncoding before it.',
    takes: '[time, features], and optionally a mask [time]',
    gives: '[time, features]',
    formula:
      'softmax(Q K^T / sqrt(d)) V for each head, d = features / heads; Q = x Wq + bq, and K and V likewise; y = the heads side by side, times Wo + bo',
    paper: 'Vaswani et al. 2017, Attention Is All You Need',
    example: {
      input: [20, 32],
      output: [20, 32],
      layers: [{ type: 'positionalEncoding' }, { type: 'selfAttention', heads: 4 }],
    },
  },
  options: { heads, causal, dropout },
  inputs: { least: 1, most: 2 },
  plan: (input, { heads }, { inputs }) => {
    const features = checkSequence(input, heads);
    const mask = inputs[1];
    if (mask && (mask.length !== 1 || mask[0] !== input[0])) {
      throw new LayerError(`the mask is ${formatShape(mask)}; expected [${input[0]}], one number per step`);
    }
    return { outputShape: input, parameters: projectionPlans(features) };
  },
  forward: (x, context) => {
    const { options, parameters, inputs } = context;
    return multiHeadAttention(x, parameters as unknown as Projections, {
      heads: options.heads,
      causal: options.causal,
      drop: (weights, block) => dropped(weights, options.dropout, context, block),
      ...(inputs[1] && { mask: inputs[1] }),
    });
  },
  onnx: (graph, [x, mask], { options, parameters, outputShape }) => ({
    name: onnxAttention(graph, graph.plain(x!), parameters, {
      ...options,
      shape: outputShape,
      ...(mask && { mask: graph.plain(mask) }),
    }),
    rank: 3,
  }),
});

export const transformerBlock = defineLayer({
  type: 'transformerBlock',
  summary: 'Self-attention and a two-layer network, each with layer norm and a residual connection.',
  about: {
    explains:
      'Self-attention, which mixes the steps of a sequence, followed by a two-layer network that works on each step, both with layer norm and a residual connection. GPT and BERT are stacks of such blocks. Set causal for models that predict the next token.',
    takes: '[time, features]',
    gives: 'the same',
    formula:
      'h = x + attention(norm(x)), y = h + W2 gelu(W1 norm(h) + b1) + b2; without normFirst: h = norm(x + attention(x)), y = norm(h + W2 gelu(W1 h + b1) + b2)',
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
  options: {
    heads,
    causal,
    dropout,
    hidden: {
      kind: 'integer',
      minimum: 0,
      maximum: 1_000_000,
      default: 0,
      describe: 'Width of the inner network; 0 means four times the features.',
    },
    normFirst: {
      kind: 'boolean',
      default: true,
      describe: 'Layer norm before each part (as in GPT-2), or after its residual sum (as in BERT).',
    },
  },
  plan: (input, { heads, hidden }) => {
    const features = checkSequence(input, heads);
    const width = hidden || 4 * features;
    return {
      outputShape: input,
      parameters: [
        ...projectionPlans(features),
        ...scaleAndShift(features, 'norm1.'),
        { name: 'expand.weight', shape: [features, width], initializer: xavierUniform(features, width) },
        { name: 'expand.bias', shape: [width], initializer: { kind: 'zeros' } },
        { name: 'contract.weight', shape: [width, features], initializer: xavierUniform(width, features) },
        { name: 'contract.bias', shape: [features], initializer: { kind: 'zeros' } },
        ...scaleAndShift(features, 'norm2.'),
      ],
    };
  },
  forward: (x, context) => {
    const { options, parameters } = context;
    const projections = parameters.slice(0, 8) as unknown as Projections;
    const [scale1, shift1, expand, expandBias, contract, contractBias, scale2, shift2] = parameters.slice(
      8,
    ) as [Node, Node, Node, Node, Node, Node, Node, Node];
    const attend = (from: Node) =>
      multiHeadAttention(from, projections, {
        heads: options.heads,
        causal: options.causal,
        // Streams 1 and 2 are taken below.
        drop: (weights, block) => dropped(weights, options.dropout, context, block && block + 2),
      });
    const network = (from: Node) =>
      add(matmul(gelu(add(matmul(from, expand), expandBias)), contract), contractBias);
    const norm1 = (from: Node) => layerNormalization(from, scale1, shift1, 1e-5);
    const norm2 = (from: Node) => layerNormalization(from, scale2, shift2, 1e-5);
    const drop = (from: Node, stream: number) => dropped(from, options.dropout, context, stream);
    if (options.normFirst) {
      const middle = add(x, drop(attend(norm1(x)), 1));
      return add(middle, drop(network(norm2(middle)), 2));
    }
    const middle = norm1(add(x, drop(attend(x), 1)));
    return norm2(add(middle, drop(network(middle), 2)));
  },
  onnx: (graph, [value], { options, parameters, outputShape }) => {
    const own = (at: number) =>
      parameters.slice(at, at + 2) as unknown as readonly [NamedTensor, NamedTensor];
    const attend = (from: string) =>
      onnxAttention(graph, from, parameters.slice(0, 8), { ...options, shape: outputShape });
    const norm1 = (from: string) => onnxLayerNormalization(graph, from, own(8), 1e-5);
    const norm2 = (from: string) => onnxLayerNormalization(graph, from, own(14), 1e-5);
    const network = (from: string) =>
      onnxProjection(graph, onnxActivation(graph, 'gelu', onnxProjection(graph, from, own(10))), own(12));
    const sum = (a: string, b: string) => graph.node('Add', [a, b]);
    const x = graph.plain(value!);
    if (options.normFirst) {
      const middle = sum(x, attend(norm1(x)));
      return { name: sum(middle, network(norm2(middle))), rank: 3 };
    }
    const middle = norm1(sum(x, attend(x)));
    return { name: norm2(sum(middle, network(middle))), rank: 3 };
  },
});
