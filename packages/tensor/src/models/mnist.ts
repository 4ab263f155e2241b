/** Networks for the MNIST family: grey images of 28 x 28. */
import { classes, definePreset } from './preset.ts';

export const mnistMlp = definePreset({
  summary: 'Three dense layers for 28x28 grayscale images: 109,386 parameters.',
  options: { classes: classes(10) },
  describe: ({ classes }) => ({
    input: [784],
    classes,
    layers: [
      { type: 'dense', units: 128 },
      { type: 'relu' },
      { type: 'dropout', rate: 0.2 },
      { type: 'dense', units: 64 },
      { type: 'relu' },
      { type: 'dense', units: classes },
    ],
  }),
});

export const mnistCnn = definePreset({
  summary:
    'Two convolutions with batch norm and pooling, two dense layers, for 28x28 grayscale images: 421,738 parameters.',
  options: { classes: classes(10) },
  describe: ({ classes }) => ({
    input: [28, 28, 1],
    classes,
    layers: [
      { type: 'conv2d', filters: 32, size: 3, padding: 1, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'maxPool', size: 2 },
      { type: 'conv2d', filters: 64, size: 3, padding: 1, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'maxPool', size: 2 },
      { type: 'flatten' },
      { type: 'dense', units: 128 },
      { type: 'relu' },
      { type: 'dropout', rate: 0.5 },
      { type: 'dense', units: classes },
    ],
  }),
});
