/**
 * A small U-Net (Ronneberger et al. 2015): finds the pixels of shapes in noisy pictures. Make the pictures first:
 *
 *     node examples/own-model/shapes.ts data/shapes
 *     kasane train examples/own-model/unet.ts
 */
import { defineLayer, defineModel } from '@kasane/client/model';

/** Two convolutions, each normalized. */
const convolutions = defineLayer({
  type: 'convolutions',
  build(m, [x], { filters }: { filters: number }) {
    let y = x!;
    for (let i = 0; i < 2; i++) {
      y = m.layer('conv2d', { filters, size: 3, padding: 1 }, y);
      y = m.layer('relu', {}, m.layer('batchNorm', {}, y));
    }
    return y;
  },
});

/** Filters at full size, half size and quarter size. */
const FILTERS = [8, 16, 32];

const model = defineModel({
  input: [48, 48, 1],
  build(m, picture) {
    let x = picture;
    const seen = FILTERS.map((filters, level) => {
      if (level > 0) x = m.layer('maxPool', { size: 2 }, x);
      x = m.layer(convolutions, { filters, name: `down${level}` }, x);
      return x;
    });
    // Back up: what was seen at each size beside what was understood at the one below.
    for (const level of [1, 0]) {
      const larger = m.layer('upsample', { scale: 2 }, x);
      const both = m.layer('concat', {}, seen[level]!, larger);
      x = m.layer(convolutions, { filters: FILTERS[level]!, name: `up${level}` }, both);
    }
    return m.layer('conv2d', { filters: 1, size: 1, name: 'mask' }, x);
  },
});

export default {
  name: 'unet',
  model,
  // Each pixel is a yes or no: cross-entropy, plus what the masks do not overlap (Dice).
  objective: { type: 'binary', loss: 'both' },
  data: { format: 'packed', path: '../../data/shapes' },
  training: { epochs: 10, batch: 32, shards: 4, learningRate: 0.003, schedule: { type: 'cosine' } },
};
