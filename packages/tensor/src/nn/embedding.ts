/** Embedding of tokens, and where in the sequence they stand. */
import type { Node } from '../graph.ts';
import { gather, toIndex } from '../ops/gather.ts';
import { constant, iota } from '../ops/leaf.ts';
import { reshape } from '../ops/movement.ts';
import { add, sinusoid } from '../ops/pointwise.ts';
import { formatShape } from '../shape.ts';
import { defineLayer, LayerError } from './layer.ts';

export const embedding = defineLayer({
  type: 'embedding',
  summary: 'A trained vector for each token; samples are token numbers [time].',
  about: {
    explains:
      'Looks up a learned vector for each token (a word, a character, a category), which the following layers can compute with. Tokens that occur in similar contexts get similar vectors during training. It is the first layer of almost every model of text.',
    takes: '[time], or any shape of token numbers from 0 to tokens - 1',
    gives: '[time, units]',
    formula: 'y[t] = W[x[t]]',
    paper: 'Bengio et al. 2003, A Neural Probabilistic Language Model',
    example: {
      input: [100],
      output: [2],
      layers: [
        { type: 'embedding', tokens: 10000, units: 64 },
        { type: 'lstm', units: 64 },
        { type: 'dense', units: 2 },
      ],
    },
  },
  options: {
    tokens: { kind: 'integer', minimum: 1, maximum: 2 ** 24, describe: 'Size of the vocabulary.' },
    units: { kind: 'integer', minimum: 1, maximum: 65536, describe: 'Length of the vectors.' },
    std: {
      kind: 'number',
      minimum: 0,
      below: 100,
      default: 0.02,
      describe: 'Standard deviation of the normal distribution that initializes the vectors.',
    },
  },
  plan: (input, { tokens, units, std }) => ({
    outputShape: [...input, units],
    parameters: [{ name: 'weight', shape: [tokens, units], initializer: { kind: 'normal', std } }],
  }),
  forward: (x, { parameters }) => gather(parameters[0]!, toIndex(x)),
  onnx: (graph, [x], { parameters }) => ({
    name: graph.node('Gather', [graph.parameter(parameters[0]!), graph.indices(x!)]),
    rank: x!.rank + 1,
  }),
});

/**
 * [time, features]: sin(t / 10000^(2i / features)) at feature 2i, the cosine of the same at 2i + 1 (Vaswani et al. 2017,
 * section 3.5).
 */
export function sinusoids(time: number, features: number): Node {
  return sinusoid(reshape(iota([time], 0), [time, 1]), iota([features], 0), constant(features));
}

export const positionalEncoding = defineLayer({
  type: 'positionalEncoding',
  summary: 'Adds its position to each step of a sequence [time, features].',
  about: {
    explains:
      'Adds a vector to each step that depends only on its position. Attention by itself does not see the order of its inputs; these vectors tell it. Sinusoidal vectors need no training; learned ones usually fit slightly better.',
    takes: '[time, features]',
    gives: 'the same',
    formula:
      'y[t] = x[t] + p[t]; sinusoidal: p[t, 2i] = sin(t / 10000^(2i / features)), p[t, 2i + 1] = the cosine of the same',
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
    kind: {
      kind: 'choice',
      choices: ['sinusoidal', 'learned'],
      default: 'sinusoidal',
      describe: 'Fixed sines and cosines, or trained vectors.',
    },
  },
  plan: (input, { kind }) => {
    if (input.length !== 2)
      throw new LayerError(`expected sequences [time, features], got ${formatShape(input)}`);
    const learned = { name: 'weight', shape: input, initializer: { kind: 'normal', std: 0.02 } } as const;
    return { outputShape: input, parameters: kind === 'learned' ? [learned] : [] };
  },
  forward: (x, { parameters }) => {
    const [time, features] = x.shape.slice(1) as [number, number];
    return add(x, parameters[0] ?? sinusoids(time, features));
  },
  onnx: async (graph, [x], { parameters: [learned], outputShape }) => {
    const [time, features] = outputShape as readonly [number, number];
    const places = learned
      ? graph.parameter(learned)
      : await graph.computed(sinusoids(time, features), `sinusoids ${time} x ${features}`);
    return { name: graph.node('Add', [graph.plain(x!), places]), rank: 3 };
  },
});
