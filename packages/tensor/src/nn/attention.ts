/** Multi-head self-attention (Vaswani et al. 2017), also with fewer heads of keys and values than of queries (Ainslie et al. 2023). */
import type { Node } from '../graph.ts';
import type { NamedTensor } from '../named-tensor.ts';
import type { OnnxGraph } from '../onnx/graph.ts';
import { constant, iota } from '../ops/leaf.ts';
import { matmul } from '../ops/matmul.ts';
import { reshape, transpose } from '../ops/movement.ts';
import { concat, sliceAxis } from '../ops/parts.ts';
import { add, ge, mul, ne } from '../ops/pointwise.ts';
import { formatShape, type Shape } from '../shape.ts';
import { dropped } from './dropout.ts';
import { xavierUniform } from './initializers.ts';
import { defineLayer, LayerError, type ParameterPlan } from './layer.ts';
import { maskedSoftmax, softmax } from './losses.ts';
import { onnxTurning, turned, turnsOf } from './rotary.ts';

/** Options of every layer that attends. */
export const attentionRules = {
  heads: {
    kind: 'integer',
    minimum: 1,
    maximum: 1024,
    describe: 'Number of heads; must divide the number of features.',
  },
  keyValueHeads: {
    kind: 'integer',
    minimum: 0,
    maximum: 1024,
    default: 0,
    describe:
      'Heads of keys and values, each of which serves heads / keyValueHeads queries (grouped-query attention, Ainslie et al. 2023); must divide heads. 0 means as many as heads.',
  },
  rotary: {
    kind: 'boolean',
    default: false,
    describe:
      'Whether to turn queries and keys by their position (RoFormer, Su et al. 2021; base 10000), in place of a positional encoding.',
  },
  causal: {
    kind: 'boolean',
    default: false,
    describe: 'Whether a step attends only to itself and earlier steps.',
  },
  dropout: {
    kind: 'number',
    minimum: 0,
    below: 1,
    default: 0,
    describe: 'Dropout rate during training.',
  },
  bias: { kind: 'boolean', default: true, describe: 'Whether to add trained biases.' },
} as const;

/** How queries, keys and values are cut into heads. */
export interface Heads {
  readonly heads: number;
  /** 0 or none: as many as heads. */
  readonly keyValueHeads?: number;
  /** Default: false. */
  readonly rotary?: boolean;
  /** Default: false. */
  readonly causal?: boolean;
}

export interface AttentionOptions extends Heads {
  /** [samples, time]: 0 where a step is padding, which nobody then attends to. A step that sees nothing has weights of 0. */
  readonly mask?: Node;
  /** Applied to the weights of attention, of which block `block`, from 0, has some rows. */
  readonly drop?: (weights: Node, block: number) => Node;
}

/** Weight and bias of the four projections: query, key, value, output. Without biases there is none in any of their places. */
export type Projections<T = Node> = readonly [T, T?, T?, T?, T?, T?, T?, T?];

/** x W + b */
export const project = (x: Node, weight: Node, bias: Node | undefined): Node =>
  bias ? add(matmul(x, weight), bias) : matmul(x, weight);

/** softmax(Q K^T / sqrt(d)) V of each head, d being features / heads. x is [samples, time, features]. */
export function multiHeadAttention(x: Node, projections: Projections, options: AttentionOptions): Node {
  const { heads, keyValueHeads: groups = 0, rotary = false } = options;
  const [samples, time, features] = x.shape as readonly [number, number, number];
  const size = features / heads;
  const projected = (from: Node, at: 0 | 2 | 4 | 6) => project(from, projections[at]!, projections[at + 1]);
  const split = (all: Node, count: number) =>
    transpose(reshape(all, [samples, time, count, size]), [0, 2, 1, 3]);
  const turns = rotary ? turnsOf(time, size) : undefined;
  const placed = (from: Node) => (turns ? turned(from, turns) : from);
  const query = placed(split(projected(x, 0), heads));
  const key = placed(split(projected(x, 2), groups || heads));
  const value = split(projected(x, 4), groups || heads);
  const mixed = attend(query, key, value, options);
  return projected(reshape(transpose(mixed, [0, 2, 1, 3]), [samples, time, features]), 6);
}

/** Steps of a block of causal attention, and blocks at most. Fewer steps would make products that are too small to be fast. */
const BLOCK = 32;
const MOST_BLOCKS = 8;

/**
 * softmax(Q K^T / sqrt(d)) V; each is [samples, heads, time, size], of keys and values with as many heads as they have. Causal attention is
 * computed in blocks of steps, none of which looks at keys behind its last step: of n blocks' scores only (n + 1) / 2n are ever there.
 */
function attend(query: Node, key: Node, value: Node, options: Omit<AttentionOptions, 'heads'>): Node {
  const { causal = false, mask, drop = (weights) => weights } = options;
  const [samples, heads, time, size] = query.shape as readonly [number, number, number, number];
  const groups = key.shape[1]!;
  // The queries that share keys are rows of one product.
  const shared = (x: Node) =>
    groups === heads ? x : reshape(x, [samples, groups, (heads / groups) * x.shape[2]!, x.shape[3]!]);
  const apart = (x: Node, rows: number) =>
    groups === heads ? x : reshape(x, [samples, heads, rows, x.shape[3]!]);
  const rows = causal ? BLOCK * Math.ceil(time / BLOCK / MOST_BLOCKS) : time;
  const steps = (x: Node, axis: number, from: number, to: number) =>
    to - from === time ? x : sliceAxis(x, axis, from, to - from);
  const blocks = Array.from({ length: Math.ceil(time / rows) }, (_, block) => {
    const start = block * rows;
    const end = Math.min(time, start + rows);
    const queries = shared(steps(query, 2, start, end));
    const product = apart(matmul(queries, steps(key, 2, 0, end), false, true), end - start);
    const scores = mul(product, constant(1 / Math.sqrt(size)));
    const conditions = [
      causal && ge(add(iota([end - start, 1], 0), constant(start)), iota([1, end], 1)),
      mask && ne(steps(reshape(mask, [samples, 1, 1, time]), 3, 0, end), constant(0)),
    ].filter((condition) => condition instanceof Object);
    const weights = conditions.length > 0 ? maskedSoftmax(scores, conditions) : softmax(scores);
    return apart(matmul(shared(drop(weights, block)), steps(value, 2, 0, end)), end - start);
  });
  return blocks.length === 1 ? blocks[0]! : concat(blocks, 2);
}

/** x W + b as ONNX nodes. */
export function onnxProjection(
  graph: OnnxGraph,
  x: string,
  weight: NamedTensor,
  bias: NamedTensor | undefined,
): string {
  const product = graph.node('MatMul', [x, graph.parameter(weight)]);
  return bias ? graph.node('Add', [product, graph.parameter(bias)]) : product;
}

/** Softmax of the scores for which every condition holds. @param bare whether there may be steps that see nothing */
function onnxWeights(graph: OnnxGraph, scores: string, conditions: readonly string[], bare: boolean): string {
  if (conditions.length === 0) return graph.node('Softmax', [scores], { axis: -1 });
  const seen = conditions.reduce((all, condition) => graph.node('And', [all, condition]));
  const hidden = graph.constant([], [Number.NEGATIVE_INFINITY], 'attention hidden');
  const weights = graph.node('Softmax', [graph.node('Where', [seen, scores, hidden])], { axis: -1 });
  // Of a step that sees nothing the softmax is no number.
  return bare ? graph.node('Where', [seen, weights, graph.constant([], [0], 'attention nothing')]) : weights;
}

interface OnnxAttention extends Heads {
  /** Of x, without the samples. */
  readonly shape: Shape;
  /** See AttentionOptions. */
  readonly mask?: string;
}

/** The same as ONNX nodes. */
export async function onnxAttention(
  graph: OnnxGraph,
  x: string,
  projections: Projections<NamedTensor>,
  { heads, keyValueHeads = 0, rotary = false, causal = false, shape, mask }: OnnxAttention,
): Promise<string> {
  const [time, features] = shape as readonly [number, number];
  const size = features / heads;
  const groups = keyValueHeads || heads;
  const turn = rotary ? await onnxTurning(graph, time, size) : (turning: string) => turning;
  const projected = (from: string, at: 0 | 2 | 4 | 6) =>
    onnxProjection(graph, from, projections[at]!, projections[at + 1]);
  const split = (at: 0 | 2 | 4, count: number, perm: readonly number[]) =>
    graph.node('Transpose', [graph.reshape(projected(x, at), [time, count, size])], { perm });
  const query = turn(split(0, heads, [0, 2, 1, 3]));
  const key = rotary
    ? graph.node('Transpose', [turn(split(2, groups, [0, 2, 1, 3]))], { perm: [0, 1, 3, 2] })
    : split(2, groups, [0, 2, 3, 1]);
  const value = split(4, groups, [0, 2, 1, 3]);
  // The queries that share keys are rows of one product.
  const shared = (from: string, columns: number) =>
    groups === heads ? from : graph.reshape(from, [groups, (heads / groups) * time, columns]);
  const apart = (from: string, columns: number) =>
    groups === heads ? from : graph.reshape(from, [heads, time, columns]);
  const scale = graph.constant([], [1 / Math.sqrt(size)], `attention scale ${size}`);
  const products = apart(graph.node('MatMul', [shared(query, size), key]), time);
  const scores = graph.node('Mul', [products, scale]);
  const conditions: string[] = [];
  if (causal) {
    const pairs = Array.from({ length: time * time }, (_, i) => Math.floor(i / time) >= i % time);
    conditions.push(graph.booleans([time, time], pairs, `attention causal ${time}`));
  }
  if (mask !== undefined) conditions.push(graph.cast(graph.reshape(mask, [1, 1, time]), 'bool'));
  const weights = onnxWeights(graph, scores, conditions, mask !== undefined);
  const sums = apart(graph.node('MatMul', [shared(weights, time), value]), size);
  const mixed = graph.node('Transpose', [sums], { perm: [0, 2, 1, 3] });
  return projected(graph.reshape(mixed, [time, features]), 6);
}

/** The features of sequences that can be cut into these heads. @throws LayerError where they cannot */
export function checkSequence(input: Shape, { heads, keyValueHeads = 0, rotary = false }: Heads): number {
  if (input.length !== 2)
    throw new LayerError(`expected sequences [time, features], got ${formatShape(input)}`);
  const features = input[1]!;
  if (features % heads > 0)
    throw new LayerError(`heads is ${heads}; expected a divisor of ${features} features`);
  if (keyValueHeads > 0 && heads % keyValueHeads > 0)
    throw new LayerError(`keyValueHeads is ${keyValueHeads}; expected a divisor of ${heads} heads`);
  if (rotary && (features / heads) % 2 > 0)
    throw new LayerError(
      `rotary turns pairs of features, but each head has ${features / heads}: change heads, so that ${features} / heads is even`,
    );
  return features;
}

const places = ['query', 'key', 'value', 'output'] as const;

interface PlannedProjections extends Heads {
  readonly bias: boolean;
}

/** A matrix, and its bias if there is one. */
export const matrixPlans = (name: string, rows: number, columns: number, bias: boolean): ParameterPlan[] => [
  { name: `${name}.weight`, shape: [rows, columns], initializer: xavierUniform(rows, columns) },
  ...(bias ? [{ name: `${name}.bias`, shape: [columns], initializer: { kind: 'zeros' } } as const] : []),
];

export function projectionPlans(
  features: number,
  { heads, keyValueHeads = 0, bias }: PlannedProjections,
): ParameterPlan[] {
  const narrow = (features / heads) * (keyValueHeads || heads);
  return places.flatMap((name) =>
    matrixPlans(name, features, name === 'key' || name === 'value' ? narrow : features, bias),
  );
}

/** What there is for each of a layer's parameters, by name. */
export function named<T>(
  plans: readonly ParameterPlan[],
  parameters: readonly T[],
): (name: string) => T | undefined {
  const known = new Map(plans.map(({ name }, index) => [name, parameters[index]!]));
  return (name) => known.get(name);
}

export const projectionsOf = <T>(own: (name: string) => T | undefined) =>
  places.flatMap((name) => [own(`${name}.weight`), own(`${name}.bias`)]) as unknown as Projections<T>;

export const selfAttention = defineLayer({
  type: 'selfAttention',
  summary:
    'Self-attention over a sequence [time, features]. A second input [time] marks the steps that are not padding (1).',
  about: {
    explains:
      'Lets each step of a sequence read from all others: it compares its query with their keys and takes a mean of their values, weighted by how well they match. Each head learns a relation of its own, such as the previous word or the subject of a verb. It does not see the order of the steps, so add a positionalEncoding before it, or set rotary.',
    takes: '[time, features], and optionally a mask [time]',
    gives: '[time, features]',
    formula:
      'softmax(Q K^T / sqrt(d)) V for each head, d = features / heads; Q = x Wq + bq, and K and V likewise; y = the heads side by side, times Wo + bo; with rotary, features i and i + d / 2 of Q and K at step t are turned by the angle t / 10000^(2i / d)',
    paper: 'Vaswani et al. 2017, Attention Is All You Need',
    example: {
      input: [20, 32],
      output: [20, 32],
      layers: [{ type: 'positionalEncoding' }, { type: 'selfAttention', heads: 4 }],
    },
  },
  options: attentionRules,
  inputs: { least: 1, most: 2 },
  plan: (input, options, { inputs }) => {
    const features = checkSequence(input, options);
    const mask = inputs[1];
    if (mask && (mask.length !== 1 || mask[0] !== input[0])) {
      throw new LayerError(`the mask is ${formatShape(mask)}; expected [${input[0]}], one number per step`);
    }
    return { outputShape: input, parameters: projectionPlans(features, options) };
  },
  forward: (x, context) => {
    const { options, parameters, inputs } = context;
    const own = named(projectionPlans(x.shape[2]!, options), parameters);
    return multiHeadAttention(x, projectionsOf(own), {
      ...options,
      drop: (weights, block) => dropped(weights, options.dropout, context, block),
      ...(inputs[1] && { mask: inputs[1] }),
    });
  },
  onnx: async (graph, [x, mask], { options, parameters, outputShape }) => {
    const own = named(projectionPlans(outputShape[1]!, options), parameters);
    const name = await onnxAttention(graph, graph.plain(x!), projectionsOf(own), {
      ...options,
      shape: outputShape,
      ...(mask && { mask: graph.plain(mask) }),
    });
    return { name, rank: 3 };
  },
});
