/**
 * Whether a model can be trained on samples of a format: the one check that a coordinator makes when a job is submitted, and a worker
 * before it takes a job.
 */
import { type Field, formatField } from '@kasane/tensor/internal/field';
import type { Model } from '@kasane/tensor/nn/model';
import { type Objective, targetOf } from '@kasane/tensor/objective';
import { formatShape, type Shape, sameShape, sizeOf } from '@kasane/tensor/shape';
import type { SampleFormat } from './sample-format.ts';

export interface Training {
  readonly model: Model;
  readonly objective: Objective;
  readonly format: Pick<SampleFormat, 'input' | 'target' | 'mean' | 'std' | 'augment'>;
  /** Numbers of samples that are computed at once, while training: those of shards, or of parts of them. */
  readonly trainSamples: readonly number[];
}

/** Why it cannot be trained, and what would be right; undefined: it can. */
export function whyUnfit(training: Training): string | undefined {
  for (const check of [inputs, targets, normalization, augmentation, statistics]) {
    const why = check(training);
    if (why !== undefined) return why;
  }
  return undefined;
}

const inOrder = (shape: Shape): Shape => shape.filter((extent) => extent !== 1);
const isFlat = (shape: Shape): boolean => inOrder(shape).length <= 1;

/** Whether numbers of one shape are those of another in the same order: equal but for axes of extent 1, or one of them is flat. */
export const sameOrder = (a: Shape, b: Shape): boolean =>
  sameShape(inOrder(a), inOrder(b)) || (sizeOf(a) === sizeOf(b) && (isFlat(a) || isFlat(b)));

function inputs({ model, format: { input } }: Training): string | undefined {
  const takes = model.sampleShape;
  const what = `samples are ${input.shape.join(' x ')}, but the model takes ${takes.join(' x ')}`;
  if (sizeOf(input.shape) !== sizeOf(takes)) return what;
  // Tokens have an order that a vector of features does not stand for.
  const fits = input.dtype === 'i32' ? sameShape(input.shape, takes) : sameOrder(input.shape, takes);
  if (!fits && !isFlattened(model))
    return `${what}: the same number of values in another order; set model.input: ${formatShape(input.shape)}`;
  const table = readers(model).find(({ type }) => type === 'embedding');
  if (table && input.dtype === 'u8')
    return `samples are ${formatField(input)}, but layer ${table.name} (embedding) takes token or category indices`;
  return undefined;
}

/** Layers that take the sample, or a part of it, as it is. */
export const readers = (model: Model): Model['layers'] =>
  model.layers.filter(({ from }) =>
    from.some((index) => index < 0 || model.layers[index]!.part !== undefined),
  );

const isFlattened = (model: Model): boolean => readers(model).every(({ type }) => type === 'flatten');

function targets({ model, objective, format: { target } }: Training): string | undefined {
  const wanted = targetOf(model, objective);
  if (serves(target, wanted, objective)) return undefined;
  return `targets are ${formatField(target)}, but the objective is ${objective.type}: expected ${formatField(wanted)}`;
}

/** Whether targets of a data set are what the objective takes. Yes and no may come as whole numbers, and so may what a model's own loss takes. */
function serves(given: Field, wanted: Field, { type }: Objective): boolean {
  const whole = given.dtype !== 'f32';
  if (wanted.dtype === 'f32' && type !== 'binary' && type !== 'own' && whole) return false;
  if (wanted.dtype === 'i32' && !whole) return false;
  return sameOrder(given.shape, wanted.shape);
}

/** Channels of images: the third axis, or one. Other bytes have none. */
const channelsOf = ({ shape }: Field): number => (shape.length === 3 ? shape[2]! : 1);

function normalization({ format: { input, mean, std } }: Training): string | undefined {
  if (input.dtype !== 'u8') return undefined;
  const channels = channelsOf(input);
  for (const [name, { length }] of Object.entries({ mean, std })) {
    if (length === 1 || length === channels) continue;
    const right = channels === 1 ? 'expected one number' : `expected one number, or ${channels}`;
    return `data.${name} has ${length} numbers for samples of ${input.shape.join(' x ')}, which have ${channels} ${channels === 1 ? 'channel' : 'channels'}: ${right}`;
  }
  return mean.length === std.length
    ? undefined
    : `data.mean has ${mean.length} numbers and data.std ${std.length}: expected the same number of each`;
}

/** Steps of augmentation work on pictures, and leave something of them. */
function augmentation({ format: { input, augment } }: Training): string | undefined {
  if (augment.length === 0) return undefined;
  const { dtype, shape } = input;
  if (dtype !== 'u8' || !(shape.length === 2 || (shape.length === 3 && [1, 3].includes(shape[2]!))))
    return `data.augment: samples are ${formatField(input)}; it takes images, u8 [height, width] or [height, width, channels]`;
  const side = Math.min(shape[0]!, shape[1]!);
  for (const step of augment) {
    if (step.type === 'crop' && step.padding >= side)
      return `data.augment: crop with padding ${step.padding} may leave nothing of images of ${shape[0]} x ${shape[1]}; expected a padding below ${side}`;
    if (step.type === 'cutout' && step.size >= 2 * side)
      return `data.augment: cutout of size ${step.size} leaves nothing of images of ${shape[0]} x ${shape[1]}; expected a size below ${side}`;
  }
  return undefined;
}

/** A mean and variance of one number say nothing: every sample would come out the same. */
function statistics({ model, trainSamples }: Training): string | undefined {
  const fewest = Math.min(...trainSamples);
  for (const { name, type, inputShape } of model.layers) {
    const channels = inputShape.at(-1)!;
    if (type === 'batchNorm' && (fewest * sizeOf(inputShape)) / channels < 2)
      return `layer ${name} (batchNorm) takes mean and variance over a part of a batch, but some parts have one sample; at least 2 are needed`;
    if (type === 'layerNorm' && channels === 1)
      return `layer ${name} (layerNorm) takes mean and variance over the last axis, which has size 1 here: every output would be the same`;
    if (type === 'rmsNorm' && channels === 1)
      return `layer ${name} (rmsNorm) takes the mean square over the last axis, which has size 1 here: only the sign of each number would be left`;
  }
  return undefined;
}
