/**
 * Packed data: a folder with index.json and chunks/, each chunk named after the SHA-256 of its content. A chunk holds records of
 * one size, each a sample's target and then its input, so that any sample is found by its number. The index is checked field by
 * field: it may come from a network.
 */
import { createHash } from 'node:crypto';
import { type Field, fieldBytes, fieldTypes } from '@kasane/tensor/internal/field';
import { DataError, type Preparation } from '../dataset.ts';
import type { TargetRange } from '../target-range.ts';

export const INDEX_FILE = 'index.json';
export const CHUNKS_FOLDER = 'chunks';
/** Bytes of a chunk, about: less than a network hiccup costs, more than a request does. */
export const CHUNK_BYTES = 4 << 20;
/** Bytes of an index. */
export const INDEX_BYTES = 64 << 20;

/** Bytes of what it says of the preparation: a vocabulary of 50,000 tokens has 0.7 MB. */
const PREPARATION_BYTES = 16 << 20;

const FORMAT = 'kasane-packed-1';

export interface PackedPart {
  readonly samples: number;
  readonly classes?: number;
  /** Samples of each class, where the target is a class number. */
  readonly counts?: readonly number[];
  /** Of numbers that are to be told. Data that was packed before 0.2 has none. */
  readonly ranges?: readonly TargetRange[];
  /** SHA-256 of each chunk, in the order of the samples. */
  readonly chunks: readonly string[];
}

export interface PackedIndex {
  readonly format: typeof FORMAT;
  readonly input: Field;
  readonly target: Field;
  /** Samples of every chunk but the last of a part. */
  readonly chunkSamples: number;
  readonly preparation: Preparation;
  readonly train: PackedPart;
  readonly test: PackedPart;
}

export const recordBytes = ({ input, target }: Pick<PackedIndex, 'input' | 'target'>): number =>
  fieldBytes(target) + fieldBytes(input);

/** Samples of a part's chunk. */
export const samplesOf = (part: Pick<PackedPart, 'samples'>, chunk: number, chunkSamples: number): number =>
  Math.min(chunkSamples, part.samples - chunk * chunkSamples);

export function encodeIndex(index: Omit<PackedIndex, 'format'>): Buffer {
  const body = { format: FORMAT, ...index };
  return Buffer.from(`${JSON.stringify({ ...body, digest: digestOf(JSON.stringify(body)) })}\n`);
}

export const digestOf = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

/** A part, with its chunks' names as they are looked up: a million strings would take long to hand from thread to thread. */
export interface PartRead extends Omit<PackedPart, 'chunks'> {
  /** SHA-256 of each chunk, 32 bytes each. */
  readonly names: Uint8Array;
  /** Decides the samples. */
  readonly digest: string;
}

/** What a reader in a thread of its own brings of an index. */
export interface IndexRead extends Omit<PackedIndex, 'format' | 'train' | 'test'> {
  /** SHA-256 of the file: decides everything in it. */
  readonly digest: string;
  /** Chunks of the test part that are in the training part, too. */
  readonly shared: number;
  readonly train: PartRead;
  readonly test: PartRead;
}

/**
 * @param expected digest that it must have; undefined: nobody knows
 * @throws DataError naming `place` and what is wrong
 */
export function readIndex(bytes: Uint8Array, place: string, expected: string | undefined): IndexRead {
  const digest = digestOf(bytes);
  if (expected !== undefined && digest !== expected) {
    throw new DataError(`${place}: it is damaged, or not the index that the coordinator uses`);
  }
  const { input, target, chunkSamples, preparation, ...parts } = parseIndex(bytes, place);
  const part = ({ chunks, ...rest }: PackedPart): PartRead => ({
    ...rest,
    names: new Uint8Array(Buffer.from(chunks.join(''), 'hex')),
    digest: digestOf(Buffer.from(JSON.stringify([digest, chunks]))),
  });
  return {
    input,
    target,
    chunkSamples,
    preparation,
    digest,
    shared: sharedChunks(parts.train, parts.test),
    train: part(parts.train),
    test: part(parts.test),
  };
}

function sharedChunks(train: PackedPart, test: PackedPart): number {
  const known = new Set(train.chunks);
  return test.chunks.filter((chunk) => known.has(chunk)).length;
}

/** The name of a part's chunk. */
export const nameOf = ({ names }: PartRead, chunk: number): string =>
  Buffer.from(names.buffer, names.byteOffset + 32 * chunk, 32).toString('hex');

/** @throws DataError naming `place` and the field that is wrong */
export function parseIndex(bytes: Uint8Array, place: string): PackedIndex {
  const refuse = (why: string) => new DataError(`${place}: ${why}`);
  let value: Partial<PackedIndex>;
  try {
    value = JSON.parse(Buffer.from(bytes).toString()) as Partial<PackedIndex>;
  } catch {
    throw refuse('it is not JSON; expected the index of packed data (kasane data pack)');
  }
  if (value?.format !== FORMAT)
    throw refuse(`its format is ${JSON.stringify(value?.format)}; expected '${FORMAT}'`);
  for (const name of ['input', 'target'] as const) {
    const field = value[name] as Field | undefined;
    const good =
      field !== undefined &&
      Object.hasOwn(fieldTypes, String(field.dtype)) &&
      Array.isArray(field.shape) &&
      field.shape.length <= 8 &&
      field.shape.every((extent) => isCount(extent) && extent > 0 && extent < 2 ** 31);
    if (!good) throw refuse(`${name} is ${JSON.stringify(field)}; expected a dtype and a shape`);
  }
  const size = recordBytes(value as PackedIndex);
  const { chunkSamples } = value;
  if (!isCount(chunkSamples) || chunkSamples < 1 || size > 2 ** 31 || chunkSamples * size > 2 ** 31) {
    throw refuse(`chunkSamples is ${JSON.stringify(chunkSamples)} for records of ${size} bytes`);
  }
  if (typeof value.preparation !== 'object' || value.preparation === null)
    throw refuse('preparation is missing');
  const { classes } = value.preparation;
  if (classes !== undefined && !(Array.isArray(classes) && classes.every((name) => typeof name === 'string')))
    throw refuse('preparation.classes: expected a list of names');
  // Whoever goes by it checks each part of it, on a thread that others wait for.
  const { length } = JSON.stringify(value.preparation);
  if (length > PREPARATION_BYTES)
    throw refuse(`preparation is ${length} bytes; at most ${PREPARATION_BYTES} are supported`);
  for (const name of ['train', 'test'] as const) {
    const part = value[name];
    const good =
      part !== undefined &&
      isCount(part.samples) &&
      part.samples > 0 &&
      Array.isArray(part.chunks) &&
      part.chunks.length === Math.ceil(part.samples / chunkSamples) &&
      part.chunks.every((digest) => /^[0-9a-f]{64}$/.test(String(digest))) &&
      (part.classes === undefined ? value.target!.dtype === 'f32' : isCount(part.classes)) &&
      (part.counts === undefined || areCounts(part.counts, part)) &&
      (classes === undefined || (part.classes ?? 0) <= classes.length) &&
      (part.ranges === undefined || (Array.isArray(part.ranges) && part.ranges.every(isRange)));
    if (!good) throw refuse(`${name}: its samples, chunks, classes, counts or ranges are inconsistent`);
  }
  // Chunks say by their names whether they are whole; of the index nobody else does. Data that was packed before 0.2 has no digest.
  const { digest, ...body } = value as Partial<PackedIndex> & { readonly digest?: unknown };
  if (digest !== undefined && digestOf(JSON.stringify(body)) !== digest)
    throw refuse(
      'it was changed after the data was packed, or is damaged. Copy it again, or pack the data again with `kasane data pack`',
    );
  return value as PackedIndex;
}

/** Whether samples were counted, each as one of the classes. */
const areCounts = (counts: unknown, { samples, classes }: Partial<PackedPart>): boolean =>
  Array.isArray(counts) &&
  counts.every(isCount) &&
  counts.length === classes &&
  counts.reduce((sum, count) => sum + count, 0) === samples;

const isRange = (range: Partial<TargetRange> | null): boolean =>
  typeof range?.name === 'string' &&
  [range.least, range.most].every((found) => Number.isFinite(found?.value) && typeof found?.at === 'string');

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
