/** The models whose training steps are measured, and one step of each as a program: loss and gradients, then the update. */
import { gradients } from '@kasane/tensor/autodiff';
import type { Node } from '@kasane/tensor/graph';
import { describePreset } from '@kasane/tensor/models/presets';
import { crossEntropy } from '@kasane/tensor/nn/losses';
import { buildModel, forward, type Model, type ModelDescription } from '@kasane/tensor/nn/model';
import { constant, input, parameter } from '@kasane/tensor/ops/leaf';
import { mul } from '@kasane/tensor/ops/pointwise';
import { sum } from '@kasane/tensor/ops/reduce';

export interface Row {
  readonly name: string;
  readonly batch: number;
  readonly description: ModelDescription;
  /** Inputs are whole numbers below this; otherwise fractions. */
  readonly tokens?: number;
  /** Whether each place of a sequence has a label. */
  readonly everyPlace?: boolean;
}

const convolutions = (filters: readonly number[]): ModelDescription['layers'] =>
  filters.flatMap((count) => [
    { type: 'conv2d', filters: count, size: 3, padding: 1 } as const,
    { type: 'relu' } as const,
    { type: 'maxPool', size: 2 } as const,
  ]);

export const rows: readonly Row[] = [
  {
    name: 'mlp',
    batch: 128,
    description: {
      input: [784],
      classes: 10,
      layers: [
        { type: 'dense', units: 128 },
        { type: 'relu' },
        { type: 'dense', units: 64 },
        { type: 'relu' },
        { type: 'dense', units: 10 },
      ],
    },
  },
  {
    name: 'cnn',
    batch: 64,
    description: {
      input: [28, 28, 1],
      classes: 10,
      layers: [
        ...convolutions([32, 64]),
        { type: 'flatten' },
        { type: 'dense', units: 128 },
        { type: 'relu' },
        { type: 'dense', units: 10 },
      ],
    },
  },
  {
    name: 'lstm',
    batch: 32,
    tokens: 10000,
    description: {
      input: [100],
      classes: 2,
      layers: [
        { type: 'embedding', tokens: 10000, units: 64 },
        { type: 'lstm', units: 64 },
        { type: 'dense', units: 2 },
      ],
    },
  },
  {
    name: 'gpt',
    batch: 16,
    tokens: 65,
    everyPlace: true,
    description: describePreset('gpt', {
      tokens: 65,
      context: 128,
      width: 128,
      depth: 4,
      heads: 4,
      dropout: 0,
    }),
  },
  {
    name: 'resnet18',
    batch: 16,
    description: describePreset('resnet-18', { classes: 10, stem: 'cifar', image: 64 }),
  },
  {
    name: 'cnn224',
    batch: 8,
    description: {
      input: [224, 224, 3],
      classes: 1000,
      layers: [
        ...convolutions([32, 64, 128]),
        { type: 'flatten' },
        { type: 'dense', units: 512 },
        { type: 'relu' },
        { type: 'dense', units: 1000 },
      ],
    },
  },
];

/** Writes a batch for a row: the same numbers for all sides. */
export function fillBatch(
  { tokens, description }: Pick<Row, 'tokens' | 'description'>,
  x: Float32Array,
  labels: Float32Array | Int32Array,
): void {
  const classes = description.classes ?? tokens!;
  for (let i = 0; i < x.length; i++) x[i] = tokens ? (i * 7919) % tokens : ((i * 7919) % 1009) / 1009;
  for (let i = 0; i < labels.length; i++) labels[i] = (i * 31) % classes;
}

export interface TrainingGraph {
  readonly model: Model;
  readonly parameters: readonly Node[];
  readonly labels: Node;
  /** The loss, then a gradient (or a statistic's value) for each of the model's parameters. */
  readonly outputs: readonly Node[];
}

/** Loss and gradients of a row's batch. */
export function trainingGraph({ batch, description, everyPlace }: Row): TrainingGraph {
  const model = buildModel(description);
  const x = input('x', [batch, ...model.sampleShape]);
  const parameters = model.parameters.map((spec) => parameter(spec.name, spec.shape));
  const labels = input('labels', everyPlace ? [batch, ...model.sampleShape] : [batch], 'i32');
  const sampleIds = input('sampleIds', [batch], 'i32');
  const { output, statistics } = forward(model, x, parameters, { sampleIds, key: input('key', [4], 'i32') });
  const loss = sum(crossEntropy(output, labels));
  const trained = parameters.filter((_, index) => !model.parameters[index]!.statistic);
  const slopes = gradients(loss, trained);
  const perParameter = parameters.map((node, index) => {
    const statistic = statistics.get(index);
    return statistic ? mul(statistic, constant(batch)) : slopes[trained.indexOf(node)]!;
  });
  return { model, parameters, labels, outputs: [loss, ...perParameter] };
}
