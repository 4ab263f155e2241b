/** Networks over rows of numbers, from a single layer upwards. */
import type { LayerDescription } from '../nn/model.ts';
import { classes, definePreset, dropoutLayers, dropoutRate, size } from './preset.ts';

export const perceptron = definePreset({
  summary: 'One dense layer: what a line can tell apart (Rosenblatt 1958).',
  options: { features: size(2, 'Numbers of a sample.', 2 ** 24), classes: classes(2) },
  describe: ({ features, classes }) => ({
    input: [features],
    classes,
    layers: [{ type: 'dense', units: classes }],
  }),
});

export const xor = definePreset({
  summary: 'A small hidden layer: the least that learns the exclusive or, which no line can tell apart.',
  options: { hidden: size(8, 'Width of the hidden layer.') },
  describe: ({ hidden }) => ({
    input: [2],
    classes: 2,
    layers: [{ type: 'dense', units: hidden }, { type: 'tanh' }, { type: 'dense', units: 2 }],
  }),
});

export const tabular = definePreset({
  summary: 'Dense layers over the columns of a table; classes, or numbers (regression).',
  options: {
    features: { kind: 'integer', minimum: 1, maximum: 2 ** 24, describe: 'Numbers of a row, once encoded.' },
    task: {
      kind: 'choice',
      choices: ['classification', 'regression'],
      default: 'classification',
      describe: 'Whether a class or numbers are wanted of each row.',
    },
    outputs: size(2, 'Number of classes, or of numbers to predict.', 2 ** 24),
    hidden: { kind: 'shape', default: [64, 32], describe: 'Widths of the hidden layers, input side first.' },
    dropout: dropoutRate(0),
  },
  describe: ({ features, task, outputs, hidden, dropout }) => ({
    input: [features],
    ...(task === 'classification' ? { classes: outputs } : { output: [outputs] }),
    layers: [
      ...hidden.flatMap((units, index): LayerDescription[] => [
        { type: 'dense', units, name: `hidden-${index}` },
        { type: 'relu', name: `relu-${index}` },
        ...dropoutLayers(dropout, `dropout-${index}`),
      ]),
      { type: 'dense', units: outputs, name: 'head' },
    ],
  }),
  objective: ({ task }) => ({ type: task === 'classification' ? task : 'regression' }),
});
