/**
 * Tells whether images show the same digit, also of digits that it has never seen: a network turns each image into 32 numbers, and learns
 * to put an image closer to one of the same digit than to one of another (triplet loss, Schroff et al. 2015). Make the triplets first:
 *
 *     node examples/own-model/triplets.ts data/triplets
 *     kasane train examples/own-model/siamese.ts
 */
import { defineModel } from '@kasane/client/model';
import type { Node } from '@kasane/tensor/graph';
import { constant } from '@kasane/tensor/ops/leaf';
import { gt, mul, relu, sub } from '@kasane/tensor/ops/pointwise';
import { sum } from '@kasane/tensor/ops/reduce';

/** By how much the other digit must be farther away. */
const MARGIN = 1;

const distance = (a: Node, b: Node): Node => {
  const away = sub(a, b);
  return sum(mul(away, away), [1], true);
};

const model = defineModel({
  inputs: { image: [28, 28, 1], same: [28, 28, 1], other: [28, 28, 1] },
  build(m, { image, same, other }) {
    // All three go through one network: each use of what is shared has the same parameters.
    const embed = m.shared('embed', (s, picture) => {
      let x = picture!;
      for (const filters of [16, 32]) {
        x = s.layer('relu', {}, s.layer('conv2d', { filters, size: 3, padding: 1 }, x));
        x = s.layer('maxPool', { size: 2 }, x);
      }
      x = s.layer('dropout', { rate: 0.5 }, s.layer('flatten', {}, x));
      return s.layer('dense', { units: 32 }, x);
    });
    const center = embed(image!);
    return sub(distance(center, embed(other!)), distance(center, embed(same!)));
  },
  loss: {
    // The digits: the data has them, but nothing here looks at them.
    target: { dtype: 'f32', shape: [] },
    of: ({ output }) => sum(relu(sub(constant(MARGIN), output!)), [1]),
    // How many are closer to the same digit than to the other.
    metric: { kind: 'accuracy', of: ({ output }) => sum(gt(output!, constant(0)), [1]) },
  },
});

export default {
  name: 'siamese',
  model,
  data: { format: 'packed', path: '../../data/triplets' },
  training: { epochs: 4, batch: 64, shards: 4, learningRate: 0.001, schedule: { type: 'cosine' } },
};
