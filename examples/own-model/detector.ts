/**
 * Finds digits on a canvas, with a box around each, by looking once (Redmon et al. 2016): each cell of a grid says whether a digit has its
 * middle there, how the box around it lies, and which digit it is. Make the canvases first; detections.ts tests what was learned.
 *
 *     node examples/own-model/canvases.ts data/canvases
 *     kasane train examples/own-model/detector.ts
 *     node examples/own-model/detections.ts .kasane/detector.safetensors data/canvases
 */
import { defineModel } from '@kasane/client/model';
import type { Node } from '@kasane/tensor/graph';
import { constant } from '@kasane/tensor/ops/leaf';
import { sliceAxis } from '@kasane/tensor/ops/parts';
import { add, mul, sigmoid, softplus, sub } from '@kasane/tensor/ops/pointwise';
import { sum } from '@kasane/tensor/ops/reduce';

/** Of the 15 numbers of a cell: whether there is a digit, its box, its class. */
const partsOf = (cells: Node) => ({
  there: sliceAxis(cells, 3, 0, 1),
  box: sliceAxis(cells, 3, 1, 4),
  digit: sliceAxis(cells, 3, 5, 10),
});

/** Cross-entropy of each number with its yes or no. */
const crossEntropy = (score: Node, is: Node): Node => sub(softplus(score), mul(score, is));

const model = defineModel({
  input: [64, 64, 1],
  build(m, canvas) {
    let x = canvas;
    for (const filters of [8, 16, 32, 64]) {
      x = m.layer('conv2d', { filters, size: 3, padding: 1 }, x);
      x = m.layer('relu', {}, m.layer('batchNorm', {}, x));
      if (filters < 64) x = m.layer('maxPool', { size: 2 }, x);
    }
    // Cells of 8 by 8 pixels: what each sees of its surroundings decides.
    x = m.layer('relu', {}, m.layer('conv2d', { filters: 64, size: 3, padding: 1 }, x));
    return m.layer('conv2d', { filters: 15, size: 1, name: 'cells' }, x);
  },
  loss: {
    target: { dtype: 'f32', shape: [8, 8, 15] },
    of({ output, target }) {
      const [said, is] = [partsOf(output!), partsOf(target!)];
      const away = sub(sigmoid(said.box), is.box);
      const box = mul(constant(5), mul(away, away));
      const total = (each: Node) => sum(each, [1, 2, 3]);
      // Where no digit is, neither its box nor its class matter.
      const found = add(total(mul(is.there, box)), total(mul(is.there, crossEntropy(said.digit, is.digit))));
      return add(total(crossEntropy(said.there, is.there)), found);
    },
  },
});

export default {
  name: 'detector',
  model,
  data: { format: 'packed', path: '../../data/canvases' },
  training: { epochs: 10, batch: 32, shards: 4, learningRate: 0.003, schedule: { type: 'cosine' } },
};
