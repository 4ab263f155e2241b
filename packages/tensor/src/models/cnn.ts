/** Convolutional networks of the plain kind: one layer after another, dense layers at the end. */
import { pairOf } from '../nn/layer.ts';
import type { LayerDescription } from '../nn/model.ts';
import { channels, classes, definePreset, dropoutLayers, dropoutRate, image, size } from './preset.ts';

export const cnn224 = definePreset({
  summary: 'Three convolutions with pooling (32, 64, 128 filters), dense 512: 51,986,984 parameters.',
  options: {
    classes: classes(1000),
    image: image(224, 8),
    channels: channels(3),
    dropout: dropoutRate(0.5),
  },
  describe: ({ classes, image, channels, dropout }) => ({
    input: [...pairOf(image), channels],
    classes,
    layers: [
      ...[32, 64, 128].flatMap((filters, index): LayerDescription[] => [
        { type: 'conv2d', filters, size: 3, padding: 1, name: `conv${index + 1}` },
        { type: 'relu' },
        { type: 'maxPool', size: 2 },
      ]),
      { type: 'flatten' },
      { type: 'dense', units: 512, name: 'fc1' },
      { type: 'relu' },
      ...dropoutLayers(dropout, 'dropout'),
      { type: 'dense', units: classes, name: 'fc2' },
    ],
  }),
});

/** A convolution as torchvision lists it, or what follows one. */
export type Feature =
  | { readonly filters: number; readonly size: number; readonly stride?: number; readonly padding: number }
  | 'norm'
  | 'relu'
  | { readonly pool: number; readonly stride: number };

/**
 * The layers of torchvision's `features` and `classifier`, named after their places there: `features-0` is its `features.0`,
 * `classifier-6` its `classifier.6`.
 */
export function featuresAndClassifier(
  features: readonly Feature[],
  classifier: readonly ('dropout' | 'relu' | { readonly units: number })[],
  rate: number,
): LayerDescription[] {
  return [
    ...features.map((feature, index): LayerDescription => {
      const name = `features-${index}`;
      if (feature === 'norm') return { type: 'batchNorm', name };
      if (feature === 'relu') return { type: 'relu', name };
      if ('pool' in feature) return { type: 'maxPool', size: feature.pool, stride: feature.stride, name };
      const { filters, size, stride = 1, padding } = feature;
      return { type: 'conv2d', filters, size, stride, padding, name };
    }),
    { type: 'flatten' },
    ...classifier.flatMap((part, index): LayerDescription[] => {
      const name = `classifier-${index}`;
      if (part === 'dropout') return dropoutLayers(rate, name);
      return part === 'relu' ? [{ type: 'relu', name }] : [{ type: 'dense', units: part.units, name }];
    }),
  ];
}

export const alexnet = definePreset({
  summary:
    "AlexNet (Krizhevsky 2014, 'One weird trick', as in torchvision): 61,100,840 parameters at 224x224.",
  options: {
    classes: classes(1000),
    // The adaptive pooling of the original is the identity at 224 x 224; at other sizes it is left out.
    image: image(224, 63),
    channels: channels(3),
    hidden: size(4096, 'Width of the two dense layers before the last one.'),
    dropout: dropoutRate(0.5),
  },
  describe: ({ classes, image, channels, hidden, dropout }) => ({
    input: [...pairOf(image), channels],
    classes,
    layers: featuresAndClassifier(
      [
        { filters: 64, size: 11, stride: 4, padding: 2 },
        'relu',
        { pool: 3, stride: 2 },
        { filters: 192, size: 5, padding: 2 },
        'relu',
        { pool: 3, stride: 2 },
        { filters: 384, size: 3, padding: 1 },
        'relu',
        { filters: 256, size: 3, padding: 1 },
        'relu',
        { filters: 256, size: 3, padding: 1 },
        'relu',
        { pool: 3, stride: 2 },
      ],
      ['dropout', { units: hidden }, 'relu', 'dropout', { units: hidden }, 'relu', { units: classes }],
      dropout,
    ),
  }),
});
