/** Layers that bring paths of a model together again. */
import { concat as join } from '../ops/parts.ts';
import { add as plus } from '../ops/pointwise.ts';
import { formatShape, sameShape } from '../shape.ts';
import { defineLayer, LayerError } from './layer.ts';

const several = { least: 2, most: 64 };

export const add = defineLayer({
  type: 'add',
  summary: 'Sum of several inputs of the same shape, as at the end of a residual block.',
  about: {
    explains:
      'Adds the outputs of several layers, number by number. In a residual block it adds the input of the block to its result, so that gradients have a short path back; this makes networks with hundreds of layers trainable. List the layers in from.',
    takes: 'two or more of the same shape',
    gives: 'the same',
    formula: 'y = x1 + x2 + ...',
    paper: 'He et al. 2016, Deep Residual Learning for Image Recognition',
    example: {
      input: [16],
      output: [16],
      layers: [
        { type: 'dense', units: 16, name: 'first' },
        { type: 'relu' },
        { type: 'dense', units: 16, name: 'second' },
        { type: 'add', from: ['first', 'second'] },
      ],
    },
  },
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
  about: {
    explains:
      'Puts the outputs of several layers side by side. Use it to join branches that see different inputs, or the same image at different scales. List the layers in from; their shapes may differ in the last axis only.',
    takes: 'two or more that differ at most in the last axis',
    gives: '[..., sum of the last axes]',
    formula: 'y = [x1, x2, ...] along the last axis',
    paper: 'Szegedy et al. 2015, Going Deeper with Convolutions',
    example: {
      input: [8, 8, 3],
      output: [8, 8, 24],
      layers: [
        { type: 'conv2d', name: 'small', from: 'input', filters: 16, size: 1 },
        { type: 'conv2d', name: 'large', from: 'input', filters: 8, size: 3, padding: 1 },
        { type: 'concat', from: ['small', 'large'] },
      ],
    },
  },
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
