/** Fully connected: y = x W + b, W stored as [in, units]. */
import { matmul } from '../ops/matmul.ts';
import { add } from '../ops/pointwise.ts';
import { formatShape } from '../shape.ts';
import { defineLayer, LayerError, type ParameterPlan } from './layer.ts';

export const dense = defineLayer({
  type: 'dense',
  summary: 'Fully connected: y = x W + b.',
  options: {
    units: {
      kind: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      describe: 'Numbers that come out, for each sample.',
    },
    bias: { kind: 'boolean', default: true, describe: 'Whether b is there and trained.' },
  },
  plan: (input, { units, bias }, { followedBy }) => {
    if (input.length !== 1) {
      throw new LayerError(
        `takes samples of shape [features], got ${formatShape(input)}: put a flatten layer before it`,
      );
    }
    const fanIn = input[0]!;
    // Uniform in [-bound, bound) has variance bound^2 / 3: He's 2 / fanIn before relu, Glorot's 2 / (fanIn + fanOut) otherwise.
    const bound = Math.sqrt(followedBy === 'relu' ? 6 / fanIn : 6 / (fanIn + units));
    const weight: ParameterPlan = {
      name: 'weight',
      shape: [fanIn, units],
      initializer: { kind: 'uniform', bound },
    };
    const offset: ParameterPlan = { name: 'bias', shape: [units], initializer: { kind: 'zeros' } };
    return { outputShape: [units], parameters: bias ? [weight, offset] : [weight] };
  },
  forward: (x, { parameters }) => {
    const [weight, bias] = parameters;
    const product = matmul(x, weight!);
    return bias ? add(product, bias) : product;
  },
});
