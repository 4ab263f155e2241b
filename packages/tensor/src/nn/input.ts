/** Named inputs: a sample stays one array of numbers, and each of these layers is a part of it under a name and a shape. */
import { reshape } from '../ops/movement.ts';
import { defineLayer } from './layer.ts';

export const input = defineLayer({
  type: 'input',
  summary: 'One of several inputs: the part of a sample after those of the previous input layers.',
  options: { shape: { kind: 'shape', describe: 'Shape of the part.' } },
  inputs: { least: 0, most: 0 },
  partOfSample: true,
  plan: (_, { shape }) => ({ outputShape: shape, parameters: [] }),
  forward: (x, { options }) => reshape(x, [x.shape[0]!, ...options.shape]),
  onnx: (_, [x]) => x!,
});
