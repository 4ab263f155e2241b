/** Named inputs: a sample stays one array of numbers, and each of these layers is a part of it under a name and a shape. */
import { reshape } from '../ops/movement.ts';
import { defineLayer } from './layer.ts';

export const input = defineLayer({
  type: 'input',
  summary: 'One of several inputs: the part of a sample after those of the previous input layers.',
  about: {
    explains:
      'Gives a part of the sample a name and a shape, for models that read several things, such as the numbers and the categories of a table. Samples are divided in the order of the input layers. Other layers refer to the parts by name in from.',
    takes: 'its part of the sample',
    gives: 'shape',
    formula: 'y = the next product(shape) numbers of the sample',
    example: {
      output: [1],
      layers: [
        { type: 'input', name: 'numbers', shape: [5] },
        { type: 'input', name: 'origin', shape: [1] },
        { type: 'embedding', tokens: 4, units: 2 },
        { type: 'flatten', name: 'place' },
        { type: 'concat', from: ['numbers', 'place'] },
        { type: 'dense', units: 1 },
      ],
    },
  },
  options: { shape: { kind: 'shape', describe: 'Shape of the part.' } },
  inputs: { least: 0, most: 0 },
  partOfSample: true,
  plan: (_, { shape }) => ({ outputShape: shape, parameters: [] }),
  forward: (x, { options }) => reshape(x, [x.shape[0]!, ...options.shape]),
  onnx: (_, [x]) => x!,
});
