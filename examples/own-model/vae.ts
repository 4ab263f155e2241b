/**
 * A variational autoencoder of MNIST (Kingma and Welling 2014): describes each image by 16 numbers and draws it again from them. Its loss
 * is a custom one. This file runs on your machine only; what it exports is data.
 *
 *     kasane train examples/own-model/vae.ts
 */
import { defineLayer, defineModel } from '@kasane/client/model';
import { heUniform } from '@kasane/tensor/nn/initializers';
import { binaryCrossEntropy } from '@kasane/tensor/nn/losses';
import { constant } from '@kasane/tensor/ops/leaf';
import { matmul } from '@kasane/tensor/ops/matmul';
import { add, exp, mul, relu, sigmoid, sub } from '@kasane/tensor/ops/pointwise';
import { mean, sum } from '@kasane/tensor/ops/reduce';

const [PIXELS, HIDDEN, CODE] = [784, 400, 16];

/** A custom layer: weighted sums, and 0 in place of those that are negative. */
const neurons = defineLayer({
  type: 'neurons',
  build(m, [x], { units }: { units: number }) {
    const features = x!.shape[1]!;
    const weight = m.parameter('weight', [features, units], heUniform(features));
    const bias = m.parameter('bias', [units], { kind: 'zeros' });
    return relu(add(matmul(x!, weight), bias));
  },
});

const model = defineModel({
  input: [PIXELS],
  build(m, pixels) {
    const seen = m.layer(neurons, { units: HIDDEN, name: 'encoder' }, pixels);
    const center = m.layer('dense', { units: CODE, name: 'center' }, seen);
    const spread = m.layer('dense', { units: CODE, name: 'spread' }, seen);
    // While training, a random point near the center; otherwise the center itself.
    const code = m.scope('code', (s) => add(center, mul(exp(mul(constant(0.5), spread)), s.normal([CODE]))));
    const drawn = m.layer(neurons, { units: HIDDEN, name: 'decoder' }, code);
    return { output: m.layer('dense', { units: PIXELS, name: 'drawing' }, drawn), center, spread };
  },
  loss: {
    // The digits: the data has them, but nothing here looks at them.
    target: { dtype: 'i32', shape: [] },
    of({ output, input, center, spread }) {
      const drawing = mul(constant(PIXELS), binaryCrossEntropy(output!, input!));
      const divergence = sub(add(mul(center!, center!), exp(spread!)), add(spread!, constant(1)));
      return add(drawing, mul(constant(0.5), sum(divergence, [1])));
    },
    // Mean squared error of a pixel, from 0 (black) to 1 (white).
    metric: {
      kind: 'error',
      of({ output, input }) {
        const away = sub(sigmoid(output!), input!);
        return mean(mul(away, away), [1]);
      },
    },
  },
});

export default {
  name: 'vae',
  model,
  data: { format: 'idx', mean: 0, std: 1 },
  training: { epochs: 10, batch: 128, learningRate: 0.001 },
};
