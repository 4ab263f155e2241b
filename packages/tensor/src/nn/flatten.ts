/** Flatten: the numbers of a sample in one row. */
import { reshape } from '../ops/movement.ts';
import { sizeOf } from '../shape.ts';
import { defineLayer } from './layer.ts';

export const flatten = defineLayer({
  type: 'flatten',
  summary: 'Flattens a sample to one dimension.',
  transparent: true,
  options: {},
  plan: (input) => ({ outputShape: [sizeOf(input)], parameters: [] }),
  forward: (x) => reshape(x, [x.shape[0]!, sizeOf(x.shape.slice(1))]),
  onnx: (graph, [x]) => ({ name: graph.node('Flatten', [graph.plain(x!)]), rank: 2 }),
});
