/** Networks over rows of numbers, from a single layer upwards. */
import type { LayerDescription } from '../nn/model.ts';
import { classes, definePreset, dropoutLayers, dropoutRate, size } from './preset.ts';

export const perceptron = definePreset({
  summary: 'One dense layer, for linearly separable classes (Rosenblatt 1958).',
  options: { features: size(2, 'Numbers per sample.', 2 ** 24), classes: classes(2) },
  describe: ({ features, classes }) => ({
    input: [features],
    classes,
    layers: [{ type: 'dense', units: classes }],
  }),
});

export const xor = definePreset({
  summary: 'One small hidden layer: the smallest network that learns XOR, which is not linearly separable.',
  options: { hidden: size(8, 'Width of the hidden layer.') },
  describe: ({ hidden }) => ({
    input: [2],
    classes: 2,
    layers: [{ type: 'dense', units: hidden }, { type: 'tanh' }, { type: 'dense', units: 2 }],
  }),
});

export const tabular = definePreset({
  summary: 'Dense layers over the columns of a table, for classification or regression.',
  options: {
    features: { kind: 'integer', minimum: 1, maximum: 2 ** 24, describe: 'Numbers per row after encoding.' },
    task: {
      kind: 'choice',
      choices: ['classification', 'regression'],
      default: 'classification',
      describe: 'Whether to predict a class or numbers for each row.',
    },
    outputs: size(2, 'Number of classes, or of numbers to predict.', 2 ** 24),
    hidden: {
      kind: 'shape',
      default: [64, 32],
      describe: 'Widths of the hidden layers, starting at the input.',
    },
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
