/** Samples of programs and files into packed data, one at a time. */
import { counted } from '@kasane/tensor/internal/counted';
import { fieldBytes, fieldTypes } from '@kasane/tensor/internal/field';
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { formatShape, type Shape, sizeOf } from '@kasane/tensor/shape';
import { DataError, type Field } from '../dataset.ts';
import { RangeFinder } from '../target-range.ts';
import { type ChunkForm, ChunkWriter } from './chunk-writer.ts';
import type { PackedDataset, PackOptions, Sample, SampleFields, Samples } from './pack-dataset.ts';
import { requireRoom, writeIndex } from './packed-folder.ts';
import { CHUNK_BYTES, type PackedPart, recordBytes } from './packed-index.ts';

/** Numbers of an input, at most: a sample is in memory as a whole. */
const MOST_NUMBERS = 2 ** 28;
/**
 * Numbers of a target, at most, each of which has its range in the index: objectives check them on submit. More of them, and those of an
 * image or another array with several axes, have one together: there is nothing that one of them is called.
 */
const RANGED_TARGETS = 1000;
const LARGEST = { u8: 255, i32: 2 ** 31 - 1 } as const;

/** As `packDataset`. @param more what predictions need beside what `fields` say; undefined takes away */
export async function packInto(
  folder: string,
  fields: SampleFields,
  parts: { readonly train: Samples; readonly test: Samples },
  more: object | undefined,
  { onProgress = () => {} }: PackOptions,
): Promise<PackedDataset> {
  const form = formOf(fields);
  requireRoom(folder);
  const chunkSamples = Math.max(1, Math.floor(CHUNK_BYTES / recordBytes(form)));
  let done = 0;
  const chunks: ChunkForm = {
    ...{ folder, chunkSamples, recordBytes: recordBytes(form) },
    onChunk: (samples) => {
      done += samples;
      onProgress(done);
    },
  };
  const { input, target } = form;
  const preparation = { ...form.preparation, ...more };
  const train = await packSamples('train', parts.train, form, new ChunkWriter(chunks));
  const test = await packSamples('test', parts.test, form, new ChunkWriter(chunks));
  const digest = await writeIndex(folder, { input, target, chunkSamples, preparation, train, test });
  return { folder, train: train.samples, test: test.samples, digest };
}

interface Form {
  readonly input: Field;
  readonly target: Field;
  readonly preparation: object;
  readonly classNames: readonly string[];
  /** One more than the largest class or token. */
  readonly classes: number | undefined;
}

/** @throws DataError when the fields make no dataset */
function formOf(fields: SampleFields): Form {
  const { input, target, mean, std } = fields;
  const refuse = (why: string) => new DataError(`fields.${why}`);
  if (!Object.hasOwn(fieldTypes, input.dtype))
    throw refuse(`input.dtype is '${input.dtype}'; expected ${Object.keys(fieldTypes).join(', ')}`);
  requireShape(input.shape, 'input.shape', refuse);
  if (input.dtype !== 'u8' && (mean !== undefined || std !== undefined))
    throw refuse(`mean and std apply to u8 input only; normalize ${input.dtype} input yourself`);
  if (sizeOf(input.shape) > MOST_NUMBERS)
    throw refuse(`input.shape is ${JSON.stringify(input.shape)}; expected at most ${MOST_NUMBERS} numbers`);
  const scale = input.dtype === 'u8' && scaleOf(fields, refuse);
  const shape = input.dtype === 'u8' && { shape: [...input.shape] };
  const of = (field: Field, more: object, classNames: readonly string[] = [], classes?: number): Form => ({
    input: { dtype: input.dtype, shape: [...input.shape] },
    target: field,
    preparation: { ...scale, ...shape, ...more },
    classNames,
    classes,
  });
  if ('classes' in target) {
    const classes = target.classes.map((name, index) => {
      if (typeof name !== 'string')
        throw refuse(
          `target.classes has ${shown(name)} at ${index}; expected names, such as '${String(name)}'`,
        );
      return name.normalize('NFC');
    });
    const twice = classes.find((name, index) => classes.indexOf(name) !== index);
    if (twice !== undefined)
      throw refuse(`target.classes: '${twice}' is listed twice (compared as Unicode NFC)`);
    if (classes.length < 2) throw refuse(`target.classes has ${classes.length}; expected at least 2`);
    return of({ dtype: 'i32', shape: [] }, { classes: [...classes] }, classes, classes.length);
  }
  requireShape(target.shape, 'target.shape', refuse);
  const shapeOfTarget = [...target.shape];
  if (!('tokens' in target)) return of({ dtype: 'f32', shape: shapeOfTarget }, {});
  if (!Number.isSafeInteger(target.tokens) || target.tokens < 2)
    throw refuse(`target.tokens is ${target.tokens}; expected the size of the vocabulary`);
  return of({ dtype: 'i32', shape: shapeOfTarget }, {}, [], target.tokens);
}

/** What training would refuse is refused before anything is packed. */
function scaleOf({ input, mean = 0, std = 1 }: SampleFields, refuse: (why: string) => DataError) {
  const channels = input.shape.at(-1) ?? 1;
  const numbersOf = (name: 'mean' | 'std', given: unknown) => {
    const numbers: readonly unknown[] = Array.isArray(given) ? given : [given];
    const good = numbers.every((each) => Number.isFinite(each) && (name === 'mean' || (each as number) > 0));
    if (good && (numbers.length === channels || !Array.isArray(given))) return numbers as readonly number[];
    const least = name === 'std' ? ' above 0' : '';
    throw refuse(
      `${name} is ${JSON.stringify(given)}; expected a number${least}, or a list of one per channel (${channels})`,
    );
  };
  const lists = { mean: numbersOf('mean', mean), std: numbersOf('std', std) };
  if (!Array.isArray(mean) && !Array.isArray(std)) return { mean, std };
  // Each channel has both.
  const each = (list: readonly number[]) => (list.length === channels ? list : Array(channels).fill(list[0]));
  return { mean: each(lists.mean), std: each(lists.std) };
}

function requireShape(shape: Shape, name: string, refuse: (why: string) => DataError): void {
  const good =
    Array.isArray(shape) &&
    shape.length <= 8 &&
    shape.every((extent) => Number.isSafeInteger(extent) && extent > 0);
  if (!good)
    throw refuse(
      `${name} is ${JSON.stringify(shape)}; expected up to 8 whole numbers above 0, such as [28, 28]`,
    );
}

async function packSamples(
  name: 'train' | 'test',
  all: Samples,
  form: Form,
  writer: ChunkWriter,
): Promise<PackedPart> {
  const targetBytes = fieldBytes(form.target);
  const counts = form.classNames.length > 0 ? new Array<number>(form.classNames.length).fill(0) : undefined;
  const numbers = sizeOf(form.target.shape);
  const isEach = form.target.shape.length === 1 && numbers > 1 && numbers <= RANGED_TARGETS;
  const ranges =
    form.target.dtype === 'f32'
      ? new RangeFinder(isEach ? Array.from({ length: numbers }, (_, i) => `target ${i}`) : ['target'])
      : undefined;
  let samples = 0;
  if (!isIterable(all)) throw new DataError(`${name} is ${shown(all)}; expected an iterator of samples`);
  for await (const sample of all) {
    const refuse = (why: string) => new DataError(`${name}, sample ${samples}: ${why}`);
    if (typeof sample !== 'object' || sample === null)
      throw refuse(`it is ${shown(sample)}; expected { input, target }`);
    const target = targetOf(sample, form, refuse);
    const record = writer.next;
    write(record.subarray(0, targetBytes), target, form.target, 'target', refuse);
    write(record.subarray(targetBytes), sample.input, form.input, 'input', refuse);
    for (let i = 0; ranges && i < numbers; i++) ranges.see(isEach ? i : 0, Math.fround(target[i]!), samples);
    if (counts) counts[target[0]!]!++;
    samples++;
    await writer.added();
  }
  if (samples === 0) throw new DataError(`${name}: it has no samples`);
  return {
    samples,
    ...(form.classes !== undefined && { classes: form.classes }),
    ...(counts && { counts }),
    ...(ranges && { ranges: ranges.ranges(`${name}, sample`) }),
    chunks: await writer.end(),
  };
}

/** The numbers of a target. @throws what `refuse` makes */
function targetOf({ target }: Sample, form: Form, refuse: (why: string) => DataError): ArrayLike<number> {
  const { classNames, classes } = form;
  if (typeof target === 'string') {
    const index = classNames.indexOf(target.normalize('NFC'));
    if (index >= 0) return [index];
    if (classNames.length === 0) throw refuse(`its target is '${target}'; expected numbers`);
    throw refuse(`its target '${target}' is none of the classes${suggest(target, classNames)}`);
  }
  const numbers = typeof target === 'number' ? [target] : target;
  if (!isListLike(numbers))
    throw refuse(`its target is ${shown(target)}; expected ${classNames.length > 0 ? 'a class' : 'numbers'}`);
  const least = classNames.length > 0 ? 0 : -1;
  for (let i = 0; classes !== undefined && i < numbers.length; i++) {
    const number = numbers[i]!;
    if (!Number.isInteger(number) || number < least || number >= classes)
      throw refuse(
        `its target has ${shown(number)}; expected a whole number from ${least} to ${classes - 1}`,
      );
  }
  return numbers;
}

/** Writes numbers as their field has them. @throws what `refuse` makes when there are others than it can hold */
function write(
  bytes: Uint8Array,
  numbers: ArrayLike<number>,
  { dtype, shape }: Field,
  part: 'input' | 'target',
  refuse: (why: string) => DataError,
): void {
  const size = sizeOf(shape);
  if (!isListLike(numbers) || numbers.length !== size)
    throw refuse(
      `its ${part} ${isListLike(numbers) ? `has ${counted(numbers.length, 'number')}` : `is ${shown(numbers)}`}; expected ${size}${shape.length > 1 ? ` (${formatShape(shape)})` : ''}`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < size; i++) {
    const number = numbers[i]!;
    if (dtype === 'f32') {
      // A number too large for a float32 would become infinite, and what is no number, such as null, mostly 0.
      if (typeof number !== 'number' || !Number.isFinite(Math.fround(number)))
        throw refuse(`its ${part} has ${shown(number)} at ${i}; expected finite float32 numbers`);
      view.setFloat32(4 * i, number, true);
      continue;
    }
    const least = part === 'target' ? -1 : 0;
    if (!Number.isInteger(number) || number < least || number > LARGEST[dtype])
      throw refuse(
        `its ${part} has ${shown(number)} at ${i}; expected whole numbers from ${least} to ${LARGEST[dtype]}`,
      );
    if (dtype === 'u8') bytes[i] = number;
    else view.setInt32(4 * i, number, true);
  }
}

/** Programs without types may pass anything. */
const isListLike = (value: unknown): value is ArrayLike<number> =>
  typeof value === 'object' && value !== null && typeof (value as { length?: unknown }).length === 'number';
const isIterable = (value: unknown): value is Samples =>
  typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);

/** A value that should not be there, for messages. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 40 ? `'${value.slice(0, 40)}...'` : `'${value}'`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
