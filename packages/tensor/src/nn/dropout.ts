/** Dropout: while training, drops numbers at random and scales the others so that the expected value stays. */
import { dropoutMask } from '../ops/dropout-mask.ts';
import { mul } from '../ops/pointwise.ts';
import { defineLayer } from './layer.ts';

export const dropout = defineLayer({
  type: 'dropout',
  summary:
    'While training, sets a random part of the numbers to 0 and multiplies the others by 1 / (1 - rate).',
  transparent: true,
  options: {
    rate: { kind: 'number', minimum: 0, below: 1, describe: 'Part of the numbers that is dropped.' },
  },
  plan: (input) => ({ outputShape: input, parameters: [] }),
  forward: (x, { options, index, random }) => {
    if (!random || options.rate === 0) return x;
    const attributes = { layer: index, rate: options.rate, shape: x.shape.slice(1) };
    return mul(x, dropoutMask(random.sampleIds, random.key, attributes));
  },
});
