/**
 * ResNet (He et al. 2016), in torchvision's variant, where a bottleneck's stride is that of its 3 x 3 convolution. Names are
 * torchvision's with dashes: `layer1-0-conv1` is its `layer1.0.conv1`, `layer2-0-downsample-1` its `layer2.0.downsample.1`.
 */
import { pairOf } from '../nn/layer.ts';
import type { LayerDescription } from '../nn/model.ts';
import { channels, classes, definePreset, size } from './preset.ts';

interface Block {
  /** Prefix of the layers' names, and the layer that it reads. */
  readonly name: string;
  readonly from: string;
  readonly width: number;
  readonly stride: number;
  /** Whether the other path needs a projection: channels or extents change. */
  readonly projects: boolean;
}

const convolution = (
  name: string,
  filters: number,
  size: number,
  stride: number,
  from?: string,
): LayerDescription => ({
  type: 'conv2d',
  filters,
  size,
  stride,
  padding: (size - 1) / 2,
  bias: false,
  name,
  ...(from !== undefined && { from }),
});

/** The path beside the convolutions, their sum, and the activation behind it, which is the block's output. */
function joined({ name, from, stride, projects }: Block, last: string, filters: number): LayerDescription[] {
  const around: LayerDescription[] = projects
    ? [
        convolution(`${name}-downsample-0`, filters, 1, stride, from),
        { type: 'batchNorm', name: `${name}-downsample-1` },
      ]
    : [];
  return [
    ...around,
    { type: 'add', name: `${name}-add`, from: [last, projects ? `${name}-downsample-1` : from] },
    { type: 'relu', name },
  ];
}

/** Two 3 x 3 convolutions. */
const basic = (block: Block): LayerDescription[] => {
  const { name, from, width, stride } = block;
  return [
    convolution(`${name}-conv1`, width, 3, stride, from),
    { type: 'batchNorm', name: `${name}-bn1` },
    { type: 'relu', name: `${name}-relu1` },
    convolution(`${name}-conv2`, width, 3, 1),
    { type: 'batchNorm', name: `${name}-bn2` },
    ...joined(block, `${name}-bn2`, width),
  ];
};

/** 1 x 1, 3 x 3, 1 x 1, with four times as many channels at the end. */
const bottleneck = (block: Block): LayerDescription[] => {
  const { name, from, width, stride } = block;
  return [
    convolution(`${name}-conv1`, width, 1, 1, from),
    { type: 'batchNorm', name: `${name}-bn1` },
    { type: 'relu', name: `${name}-relu1` },
    convolution(`${name}-conv2`, width, 3, stride),
    { type: 'batchNorm', name: `${name}-bn2` },
    { type: 'relu', name: `${name}-relu2` },
    convolution(`${name}-conv3`, 4 * width, 1, 1),
    { type: 'batchNorm', name: `${name}-bn3` },
    ...joined(block, `${name}-bn3`, 4 * width),
  ];
};

const resnet = (kind: 'basic' | 'bottleneck', depth: number, blocks: readonly number[], parameters: string) =>
  definePreset({
    summary: `ResNet-${depth} (He et al. 2016): ${parameters} parameters with 1000 classes.`,
    options: {
      classes: classes(1000),
      stem: {
        kind: 'choice',
        choices: ['imagenet', 'cifar'],
        default: 'imagenet',
        describe: 'A 7x7 convolution with stride 2 and pooling, or for small images only a 3x3 convolution.',
      },
      image: {
        kind: 'pair',
        minimum: 0,
        maximum: 4096,
        default: 0,
        describe: 'Height and width of an image; 0 means 224, or 32 with the cifar stem.',
      },
      channels: channels(3),
      width: size(64, 'Filters of the first stage; each further stage has twice as many.', 4096),
    },
    describe: ({ classes, stem, image, channels, width }) => {
      const small = stem === 'cifar';
      const [rows, columns] = pairOf(image);
      const side = small ? 32 : 224;
      let from = small ? 'relu' : 'maxpool';
      const block = kind === 'basic' ? basic : bottleneck;
      const stages = blocks.flatMap((count, stage) =>
        Array.from({ length: count }, (_, index) => {
          const name = `layer${stage + 1}-${index}`;
          const stride = stage > 0 && index === 0 ? 2 : 1;
          const projects = index === 0 && (stage > 0 || kind === 'bottleneck');
          const layers = block({ name, from, width: width * 2 ** stage, stride, projects });
          from = name;
          return layers;
        }).flat(),
      );
      return {
        input: [rows || side, columns || side, channels],
        classes,
        layers: [
          convolution('conv1', width, small ? 3 : 7, small ? 1 : 2),
          { type: 'batchNorm', name: 'bn1' },
          { type: 'relu', name: 'relu' },
          ...(small
            ? []
            : [
                {
                  type: 'maxPool',
                  size: 3,
                  stride: 2,
                  padding: 1,
                  name: 'maxpool',
                } satisfies LayerDescription,
              ]),
          ...stages,
          { type: 'globalAveragePool', name: 'avgpool' },
          { type: 'dense', units: classes, name: 'fc' },
        ],
      };
    },
  });

export const resnet18 = resnet('basic', 18, [2, 2, 2, 2], '11,689,512');
export const resnet34 = resnet('basic', 34, [3, 4, 6, 3], '21,797,672');
export const resnet50 = resnet('bottleneck', 50, [3, 4, 6, 3], '25,557,032');
export const resnet101 = resnet('bottleneck', 101, [3, 4, 23, 3], '44,549,160');
export const resnet152 = resnet('bottleneck', 152, [3, 8, 36, 3], '60,192,808');
