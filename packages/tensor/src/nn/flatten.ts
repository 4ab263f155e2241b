/** Flatten: the numbers of a sample in one row. */
import { reshape } from '../ops/movement.ts';
import { sizeOf } from '../shape.ts';
import { defineLayer } from './layer.ts';

export const flatten = defineLayer({
  type: 'flatten',
  summary: 'Flattens a sample to one dimension.',
  about: {
    explains:
      'Puts all numbers of a sample in one row, and changes none of them. It belongs between convolutions or pooling, which work on images, and a dense layer, which takes a row of features. It has no parameters.',
    takes: 'any',
    gives: '[the product of the sizes]',
    formula: 'y = x in row-major order',
    example: {
      input: [28, 28, 1],
      output: [10],
      layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }],
    },
  },
  transparent: true,
  options: {},
  plan: (input) => ({ outputShape: [sizeOf(input)], parameters: [] }),
  forward: (x) => reshape(x, [x.shape[0]!, sizeOf(x.shape.slice(1))]),
  onnx: (graph, [x]) => ({ name: graph.node('Flatten', [graph.plain(x!)]), rank: 2 }),
});
