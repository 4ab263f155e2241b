/** Reshape: the numbers of a sample in the same order under another shape. */
import { reshape as reshapeNode } from '../ops/movement.ts';
import { formatShape, sizeOf } from '../shape.ts';
import { defineLayer, LayerError } from './layer.ts';

export const reshape = defineLayer({
  type: 'reshape',
  summary: 'Changes the shape of a sample.',
  about: {
    explains:
      'Gives the numbers of a sample another shape, and changes neither the numbers nor their order. Use it to turn a row of pixels into an image, or an image into a sequence of rows. The new shape must have as many numbers as the old one.',
    takes: 'any',
    gives: 'shape',
    formula: 'y = x in row-major order',
    example: {
      input: [784],
      output: [26, 26, 8],
      layers: [
        { type: 'reshape', shape: [28, 28, 1] },
        { type: 'conv2d', filters: 8, size: 3 },
      ],
    },
  },
  transparent: true,
  options: { shape: { kind: 'shape', describe: 'New shape of a sample.' } },
  plan: (input, { shape }) => {
    if (sizeOf(input) !== sizeOf(shape)) {
      throw new LayerError(
        `${formatShape(input)} has ${sizeOf(input)} numbers, ${formatShape(shape)} has ${sizeOf(shape)}`,
      );
    }
    return { outputShape: shape, parameters: [] };
  },
  forward: (x, { options }) => reshapeNode(x, [x.shape[0]!, ...options.shape]),
  onnx: (graph, [x], { outputShape }) => ({
    name: graph.reshape(graph.plain(x!), outputShape),
    rank: 1 + outputShape.length,
  }),
});
