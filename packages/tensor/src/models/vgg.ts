/** VGG (Simonyan and Zisserman 2015), with the names of torchvision's layers. */
import { pairOf } from '../nn/layer.ts';
import { type Feature, featuresAndClassifier } from './cnn.ts';
import { channels, classes, definePreset, dropoutRate, image, size } from './preset.ts';

/** Filters of the convolutions between two poolings; configurations A and D of the paper's table 1. */
const blocks = {
  A: [[64], [128], [256, 256], [512, 512], [512, 512]],
  D: [
    [64, 64],
    [128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [512, 512, 512],
  ],
} as const;

const vgg = (depth: number, configuration: keyof typeof blocks, parameters: string) =>
  definePreset({
    summary: `VGG-${depth} (Simonyan and Zisserman 2015, configuration ${configuration}): ${parameters} parameters at 224x224.`,
    options: {
      classes: classes(1000),
      image: image(224, 32),
      channels: channels(3),
      norm: {
        kind: 'boolean',
        default: false,
        describe:
          'Whether batch norm follows each convolution, which makes training from scratch much easier.',
      },
      hidden: size(4096, 'Width of the two dense layers before the last one.'),
      dropout: dropoutRate(0.5),
    },
    describe: ({ classes, image, channels, norm, hidden, dropout }) => ({
      input: [...pairOf(image), channels],
      classes,
      layers: featuresAndClassifier(
        blocks[configuration].flatMap((block): Feature[] => [
          ...block.flatMap((filters): Feature[] => [
            { filters, size: 3, padding: 1 },
            ...(norm ? (['norm'] as const) : []),
            'relu',
          ]),
          { pool: 2, stride: 2 },
        ]),
        [{ units: hidden }, 'relu', 'dropout', { units: hidden }, 'relu', 'dropout', { units: classes }],
        dropout,
      ),
    }),
  });

export const vgg11 = vgg(11, 'A', '132,863,336');
export const vgg16 = vgg(16, 'D', '138,357,544');
