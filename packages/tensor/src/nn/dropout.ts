/** Dropout: while training, drops numbers at random and scales the others so that the expected value stays. */
import type { Node } from '../graph.ts';
import { dropoutMask } from '../ops/dropout-mask.ts';
import { constant } from '../ops/leaf.ts';
import { add, cos, log, mul, sqrt } from '../ops/pointwise.ts';
import type { Shape } from '../shape.ts';
import { defineLayer, type ForwardContext } from './layer.ts';

/** Further masks of one layer draw from streams of their own; layers have indices below this. */
const LAYERS = 1024;

/** x with dropout while training. A layer that calls this several times gives each a stream, 0, 1, 2 ... */
export function dropped(
  x: Node,
  rate: number,
  { index, random }: Pick<ForwardContext, 'index' | 'random'>,
  stream = 0,
): Node {
  if (!random || rate === 0) return x;
  const attributes = { layer: index + LAYERS * stream, rate, shape: x.shape.slice(1) };
  return mul(x, dropoutMask(random.sampleIds, random.key, attributes));
}

/** Bits of a uniform number: each is a mask. */
const BITS = 16;
/** Streams that `normalNoise` draws from. */
export const NORMAL_STREAMS = 2 * BITS;
/** Operations that `normalNoise` is made of, about: four for each bit. */
export const NORMAL_NODES = 4 * NORMAL_STREAMS;

/**
 * Normally distributed numbers by Box and Muller (1958): sqrt(-2 ln u) cos(2 pi v). The bits of u and v are masks that keep one half, from
 * streams of their own, so that they depend on seed, epoch, sample and layer only.
 * @param shape [samples, ...]
 */
export function normalNoise(
  shape: Shape,
  random: NonNullable<ForwardContext['random']>,
  index: number,
  stream: number,
): Node {
  const uniform = (first: number): Node => {
    const bits = Array.from({ length: BITS }, (_, bit) => {
      const attributes = { layer: index + LAYERS * (first + bit), rate: 0.5, shape: shape.slice(1) };
      // What is kept is 2.
      return mul(dropoutMask(random.sampleIds, random.key, attributes), constant(2 ** -(bit + 2)));
    });
    return bits.reduce((sum, bit) => add(sum, bit), constant(2 ** -(BITS + 1)));
  };
  const radius = sqrt(mul(constant(-2), log(uniform(stream))));
  return mul(radius, cos(mul(constant(2 * Math.PI), uniform(stream + BITS))));
}

export const dropout = defineLayer({
  type: 'dropout',
  summary:
    'During training, sets a random part of the numbers to 0 and multiplies the others by 1 / (1 - rate).',
  about: {
    explains:
      'During training it sets randomly chosen numbers to 0, different ones for each sample, so that the network cannot rely on single features. This reduces overfitting, above all in large dense layers. In evaluation and prediction it does nothing.',
    takes: 'any',
    gives: 'the same',
    formula: 'y = x m / (1 - rate), where m is 0 with probability rate, otherwise 1',
    paper: 'Srivastava et al. 2014, Dropout: A Simple Way to Prevent Neural Networks from Overfitting',
    example: {
      input: [784],
      output: [10],
      layers: [
        { type: 'dense', units: 128 },
        { type: 'relu' },
        { type: 'dropout', rate: 0.5 },
        { type: 'dense', units: 10 },
      ],
    },
  },
  transparent: true,
  options: {
    rate: { kind: 'number', minimum: 0, below: 1, describe: 'Fraction of the numbers to drop.' },
  },
  plan: (input) => ({ outputShape: input, parameters: [] }),
  forward: (x, context) => dropped(x, context.options.rate, context),
  onnx: (_, [x]) => x!,
});
