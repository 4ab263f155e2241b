/**
 * Learning layer by layer, as deep networks were first trained (Hinton and Salakhutdinov 2006, Bengio et al. 2006): each layer learns to
 * describe what comes from the one below so that it can be drawn again, from 60,000 digits and not a single label. Then all of them
 * together learn ten classes from 300 labels. Each layer is a job, which starts from the one before:
 *
 *     node examples/own-model/few-labels.ts data/few-labels
 *     LAYER=1 kasane train examples/own-model/stacked.ts
 *     LAYER=2 kasane train examples/own-model/stacked.ts
 *     LAYER=3 kasane train examples/own-model/stacked.ts
 *     kasane train examples/own-model/stacked.ts
 *     START=random kasane train examples/own-model/stacked.ts     # to compare
 */
import { defineModel, type ModelScope } from '@kasane/client/model';
import type { Node } from '@kasane/tensor/graph';
import { binaryCrossEntropy } from '@kasane/tensor/nn/losses';

const PIXELS = 784;
const UNITS = [400, 400, 400];

const code = (m: ModelScope, layer: number, x: Node): Node =>
  m.layer('sigmoid', {}, m.layer('dense', { units: UNITS[layer - 1]!, name: `code${layer}` }, x));

/** A layer that learns to describe the one below, whose weights stay. It sees half of it only (Vincent et al. 2008). */
export function autoencoder(layer: number) {
  const model = defineModel({
    input: [PIXELS],
    build(m, pixels) {
      let below = pixels;
      for (let i = 1; i < layer; i++) below = code(m, i, below);
      const seen = m.layer('dropout', { rate: 0.5 }, below);
      const output = m.layer(
        'dense',
        { units: below.shape[1]!, name: `drawing${layer}` },
        code(m, layer, seen),
      );
      return { output, below };
    },
    loss: {
      target: { dtype: 'i32', shape: [] },
      of: ({ output, below }) => binaryCrossEntropy(output!, below!),
    },
  });
  return {
    name: `stacked-${layer}`,
    model,
    data: { format: 'idx', mean: 0, std: 1 },
    ...(layer > 1 && { init: `../../.kasane/stacked-${layer - 1}.safetensors` }),
    training: {
      ...{ epochs: 4, batch: 128, learningRate: 0.002 },
      freeze: Array.from({ length: layer - 1 }, (_, i) => `code${i + 1}`),
    },
  };
}

/** All layers, and one that tells the digits apart. */
export const classifier = {
  name: 'stacked',
  model: defineModel({
    input: [PIXELS],
    classes: 10,
    build: (m, pixels) =>
      m.layer(
        'dense',
        { units: 10, name: 'digit' },
        UNITS.reduce((x, _, i) => code(m, i + 1, x), pixels),
      ),
  }),
  data: { format: 'packed', path: '../../data/few-labels' },
  training: { epochs: 40, batch: 50, learningRate: 0.003 },
};

const { LAYER, START } = process.env;
export default LAYER
  ? autoencoder(Number(LAYER))
  : {
      ...classifier,
      ...(START !== 'random' && { init: `../../.kasane/stacked-${UNITS.length}.safetensors` }),
    };
