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
