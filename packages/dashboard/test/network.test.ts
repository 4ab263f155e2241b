import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { buildModel, initializeParameters } from '@kasane/tensor/nn/model';
import { expect, it } from 'vitest';
import { Network } from '../src/page/network.ts';

it.each([
  [12, true],
  [70, true],
  [70, false],
])(
  'shows the attention of %i steps, causal: %s, as one map a head, whose rows are parts of one',
  async (time, causal) => {
    const heads = 2;
    const model = buildModel({
      input: [time, 8],
      classes: 3,
      layers: [
        { type: 'selfAttention', heads, causal, name: 'mixer' },
        { type: 'flatten' },
        { type: 'dense', units: 3 },
      ],
    });
    const parameters = initializeParameters(model, 1);
    const network = await Network.open(encodeModelFile({ model, parameters, about: {} }));
    const x = Float32Array.from({ length: time * 8 }, (_, i) => Math.sin(i));
    const seen = network.run(x).attention.get('mixer')!;
    expect([seen.heads, seen.time, seen.values.length]).toEqual([heads, time, heads * time * time]);
    for (let row = 0; row < heads * time; row++) {
      const weights = Array.from(seen.values.subarray(row * time, (row + 1) * time));
      expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 4);
      const later = weights.slice((row % time) + 1);
      if (causal) expect(later.every((weight) => weight < 1e-9)).toBe(true);
    }
    expect(network.parameter('dense1.weight')?.shape).toEqual([8 * time, 3]);
  },
);
