/** Opens a job's data, and says in time when the model can not be trained on it. */
import type { Access } from '@kasane/data/access';
import type { DataParts } from '@kasane/data/dataset';
import { openData, placeOf } from '@kasane/data/open';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { Job } from '@kasane/protocol/job';
import { BATCH_BYTES, FRAME_HEADER_BYTES } from '@kasane/protocol/limits';
import { type Field, fieldBytes, formatField } from '@kasane/tensor/field';
import { type Objective, targetOf } from '@kasane/tensor/objective';
import { sizeOf } from '@kasane/tensor/shape';

/** @param access what may be read. @throws KasaneError DATA_INVALID */
export async function loadData(job: Job, access: Access): Promise<DataParts> {
  const place = placeOf(job.spec.data);
  let data: DataParts;
  try {
    data = await openData(job.spec.data, access);
  } catch (error) {
    throw new KasaneError('DATA_INVALID', messageOf(error), { cause: error });
  }
  const { classes } = job.model.description;
  const input = job.model.sampleShape;
  checkAugmentation(job, data);
  checkInputs(job, data);
  checkSizes(job, data);
  const wanted = targetOf(job.model, job.objective);
  /** Classes, or tokens. */
  const kinds = job.model.outputShape.at(-1)!;
  for (const name of ['train', 'test'] as const) {
    const part = data[name];
    const refuse = (what: string) => new KasaneError('DATA_INVALID', `${place}: ${name} ${what}`);
    if (sizeOf(part.input.shape) !== sizeOf(input)) {
      const [given, takes] = [part.input.shape.join(' x '), input.join(' x ')];
      throw refuse(`samples are ${given}, but the model takes ${takes}`);
    }
    if (!serves(part.target, wanted, job.objective)) {
      throw refuse(
        `targets are ${formatField(part.target)}, but the objective is ${job.objective.type}: ${formatField(wanted)} is expected`,
      );
    }
    if (wanted.dtype === 'i32' && part.classes !== undefined && part.classes > kinds) {
      const what = classes === undefined ? `knows ${kinds} tokens` : `tells ${kinds} classes apart`;
      throw refuse(`labels reach ${part.classes - 1}, but the model ${what}`);
    }
  }
  return data;
}

/** Whether targets of a data set are what the objective takes. Yes and no may come as whole numbers. */
function serves(given: Field, wanted: Field, { type }: Objective): boolean {
  const whole = given.dtype !== 'f32';
  if (wanted.dtype === 'f32' && type !== 'binary' && whole) return false;
  if (wanted.dtype === 'i32' && !whole) return false;
  return sizeOf(given.shape) === sizeOf(wanted.shape);
}

/** A table's columns must stand where the model's input layers look for them. */
function checkInputs({ model, spec }: Job, { preparation: { table } }: DataParts): void {
  const parts = model.layers.flatMap(({ name, part }) => (part ? [`${name} ${part.size}`] : []));
  const given = table?.inputs?.map(({ name, features }) => `${name} ${features}`);
  if (given ? given.join() === parts.join() : !table || parts.length < 2) return;
  const has = given ? `gives ${given.join(', ')} numbers` : 'is missing; it says which columns go where';
  const takes =
    parts.length > 0 ? `input layers take ${parts.join(', ')}` : 'layers have no input among them';
  throw new KasaneError('DATA_INVALID', `${placeOf(spec.data)}: data.inputs ${has}; the model's ${takes}`);
}

/** What one task takes is staged, and held by a worker, as a whole. */
function checkSizes({ spec }: Job, { train, test }: DataParts): void {
  const { batch, shards } = spec.training;
  const { shardSamples } = spec.evaluation;
  const each = 8 + fieldBytes(train.target) + fieldBytes(train.input);
  const sizes = {
    'training.shards': Math.ceil(Math.min(batch, train.samples) / shards),
    'evaluation.shardSamples': Math.min(shardSamples, test.samples),
  };
  for (const [option, samples] of Object.entries(sizes)) {
    if (samples * each + FRAME_HEADER_BYTES <= BATCH_BYTES) continue;
    const most = Math.floor((BATCH_BYTES - FRAME_HEADER_BYTES) / each);
    throw new KasaneError(
      'LIMIT',
      `${option}: a task would take ${samples} samples of ${each} bytes; at most ${most} of this size fit`,
    );
  }
}

/** Steps of augmentation work on pictures. */
function checkAugmentation({ spec }: Job, { train }: DataParts): void {
  if (!('augment' in spec.data) || spec.data.augment.length === 0) return;
  const { dtype, shape } = train.input;
  const grey = shape.length === 2;
  if (dtype === 'u8' && (grey || (shape.length === 3 && [1, 3].includes(shape[2]!)))) return;
  throw new KasaneError(
    'DATA_INVALID',
    `data.augment: samples are ${formatField(train.input)}; it takes images, u8 [height, width] or [height, width, channels]`,
  );
}
