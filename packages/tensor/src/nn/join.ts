/** Layers that bring paths of a model together again. */
import { concat as join } from '../ops/parts.ts';
import { add as plus } from '../ops/pointwise.ts';
import { formatShape, sameShape } from '../shape.ts';
import { defineLayer, LayerError } from './layer.ts';

const several = { least: 2, most: 64 };

export const add = defineLayer({
  type: 'add',
  summary: 'Sum of several inputs of the same shape, as at the end of a residual block.',
  options: {},
  inputs: several,
  plan: (input, _, { inputs }) => {
    const other = inputs.find((shape) => !sameShape(shape, input));
    if (other)
      throw new LayerError(
        `inputs are ${formatShape(input)} and ${formatShape(other)}: expected equal shapes`,
      );
    return { outputShape: input, parameters: [] };
  },
  forward: (_, { inputs }) => inputs.reduce(plus),
  onnx: (graph, inputs) => {
    const { names, order } = graph.together(inputs);
    return { name: names.reduce((a, b) => graph.node('Add', [a, b])), rank: order.length, order };
  },
});

export const concat = defineLayer({
  type: 'concat',
  summary: 'Concatenates several inputs along the last axis.',
  options: {},
  inputs: several,
  plan: (input, _, { inputs }) => {
    const ahead = input.slice(0, -1);
    const other = inputs.find((shape) => !sameShape(shape.slice(0, -1), ahead));
    if (other) {
      throw new LayerError(
        `inputs are ${formatShape(input)} and ${formatShape(other)}: expected shapes that are equal except for the last axis`,
      );
    }
    return { outputShape: [...ahead, inputs.reduce((sum, shape) => sum + shape.at(-1)!, 0)], parameters: [] };
  },
  forward: (_, { inputs }) => join(inputs, -1),
  onnx: (graph, inputs) => {
    const { names, order } = graph.together(inputs);
    const rank = order.length;
    return { name: graph.node('Concat', names, { axis: order.indexOf(rank - 1) }), rank, order };
  },
});
