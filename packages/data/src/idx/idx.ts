/**
 * The IDX format of the MNIST family (Y. LeCun, http://yann.lecun.com/exdb/mnist): two zero bytes, a type code, the
 * number of dimensions, each dimension as a big-endian uint32, then the elements. Only unsigned bytes are read here.
 */

import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { counted } from '@kasane/tensor/internal/counted';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { countsOf, DataError, type Dataset } from '../dataset.ts';
import { listData } from '../files/folder.ts';
import { readRegularSync, statRegular } from '../files/regular-file.ts';

/** Bytes of one file, unpacked. */
const LARGEST_FILE = 2 ** 30;
/** A packed file that unpacks to more than so many times its size, and to more than this, is no data but an attack. */
const MOST_PACKED = 100;
const UNPACKED_BYTES = 1 << 24;

const names = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

/** What one part of a folder consists of. */
interface IdxPart {
  /** Of one sample. */
  readonly shape: readonly number[];
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
  readonly classes: number;
  readonly digest: string;
}

/** What a reader in a thread of its own brings of a folder. */
export interface IdxFolder {
  readonly train: IdxPart;
  readonly test: IdxPart;
}

export interface IdxData {
  readonly train: Dataset;
  readonly test: Dataset;
  readonly notes: readonly string[];
}

/**
 * Reads the four files of a folder: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
 * t10k-labels-idx1-ubyte, each plain or with .gz; or those of EMNIST, such as emnist-letters-test-labels-idx1-ubyte.gz.
 * @throws DataError naming the file and what is wrong with it
 */
export function readIdxFolder(directory: string): IdxFolder {
  const [trainImages, trainLabels, testImages, testLabels] = pathsOf(directory);
  const folder = { train: readPair(trainImages, trainLabels), test: readPair(testImages, testLabels) };
  const [a, b] = [folder.train.shape, folder.test.shape];
  if (a.join() === b.join()) return folder;
  throw new DataError(
    `${testImages}: images of ${b.join(' x ')}, but those of ${trainImages} are ${a.join(' x ')}`,
  );
}

/** As `openIdxApart`, on this thread: for tests and tools. @throws DataError */
export function openIdx(directory: string): IdxData {
  const key = stampOf(directory);
  return kept(key) ?? keep(key, dataOf(directory, readIdxFolder(directory)));
}

/** What was opened last is kept for so long, in milliseconds, so that the next job on the same files does not read them again. */
const KEPT_MS = 30_000;
let newest: { readonly key: string; readonly value: IdxData } | undefined;
let forget: NodeJS.Timeout | undefined;

/** The folder that was opened last, while it is kept. */
function kept(key: string): IdxData | undefined {
  return newest?.key === key ? keep(key, newest.value) : undefined;
}

/** Not for good: MNIST takes as much memory as all else in the process. */
function keep(key: string, value: IdxData): IdxData {
  newest = { key, value };
  clearTimeout(forget);
  forget = setTimeout(() => {
    newest = undefined;
  }, KEPT_MS).unref();
  return value;
}

/** @param read reads a folder that is not the one that was opened last, or has changed since */
export async function openIdxOnce(
  directory: string,
  read: (directory: string) => Promise<IdxFolder>,
): Promise<IdxData> {
  const key = stampOf(directory);
  return kept(key) ?? keep(key, dataOf(directory, await read(directory)));
}

const dataOf = (directory: string, { train, test }: IdxFolder): IdxData => ({
  train: datasetOf(train),
  test: datasetOf(test),
  // G. Cohen et al., EMNIST: an extension of MNIST to handwritten letters (2017), keeps the columns of MATLAB.
  notes: prefixOf(directory).startsWith('emnist')
    ? [
        `${directory}: EMNIST stores its images transposed (rows and columns swapped). Transpose the images that you give to predictions, too`,
      ]
    : [],
});

/** Changes when a file does. */
const stampOf = (directory: string): string =>
  pathsOf(directory)
    .map((path) => ({ path, found: statRegular(path) }))
    .map(({ path, found }) => `${path}:${found.mtimeMs}:${found.size}`)
    .join('\n');

function pathsOf(directory: string): [string, string, string, string] {
  const before = prefixOf(directory);
  return names.map((name) => locate(directory, name, before)) as [string, string, string, string];
}

/** What stands before the names of the files, such as `emnist-letters-`. @throws DataError when it is not the same in all of them */
function prefixOf(directory: string): string {
  if (kindOfPath(directory) !== 'folder' || names.some((name) => found(directory, name) !== undefined))
    return '';
  const files = listData(directory).files.map((path) => basename(path));
  const prefixes = [
    ...new Set(
      files.flatMap(
        (file) => /^(.+[-_.])(?:train|t10k|test)-images[-.]idx3-ubyte(?:\.gz)?$/.exec(file)?.[1] ?? [],
      ),
    ),
  ];
  if (prefixes.length <= 1) return prefixes[0] ?? '';
  throw new DataError(
    `${directory}: it contains several datasets: ${prefixes.map((prefix) => prefix.slice(0, -1)).join(', ')}. Move the four files of the one to train on into a separate folder`,
  );
}

/** The names that a file may have: MNIST copies write a dot or a dash before "idx", and EMNIST calls the test part so. */
const candidates = (name: string): string[] =>
  [name, name.replace('t10k', 'test')]
    .flatMap((one) => [one, one.replace('-idx', '.idx')])
    .flatMap((one) => [one, `${one}.gz`]);

const found = (directory: string, name: string): string | undefined =>
  candidates(name)
    .map((candidate) => join(directory, candidate))
    .find((path) => kindOfPath(path) !== 'nothing');

/** The file as it is there. */
function locate(directory: string, name: string, prefix: string): string {
  const path = found(directory, prefix + name);
  if (path) return path;
  try {
    statRegular(join(directory, prefix + name));
  } catch (cause) {
    throw new DataError(
      `${directory}: ${prefix + name} not found, with or without .gz; expected a folder with the four IDX files of MNIST`,
      { cause },
    );
  }
  return join(directory, prefix + name);
}

function readPair(imagesPath: string, labelsPath: string): IdxPart {
  const images = readIdx(imagesPath);
  const labels = readIdx(labelsPath);
  if (images.shape.length < 2) {
    throw new DataError(
      `${imagesPath}: ${images.shape.length} dimension; expected at least two for images (count and pixels)`,
    );
  }
  if (labels.shape.length !== 1) {
    throw new DataError(`${labelsPath}: ${labels.shape.length} dimensions; expected one for labels`);
  }
  const [samples, ...sampleShape] = images.shape as [number, ...number[]];
  if (samples !== labels.shape[0]) {
    throw new DataError(
      `${labelsPath}: ${counted(labels.shape[0]!, 'label')} for the ${counted(samples, 'image')} of ${imagesPath}`,
    );
  }
  if (samples === 0) throw new DataError(`${imagesPath}: it contains no images`);
  let largest = 0;
  for (const label of labels.data) largest = Math.max(largest, label);
  const digest = createHash('sha256').update(images.data).update(labels.data).digest('hex');
  return { shape: sampleShape, pixels: images.data, labels: labels.data, classes: largest + 1, digest };
}

function datasetOf({ shape, pixels, labels, classes, digest }: IdxPart): Dataset {
  const samples = labels.length;
  const size = shape.reduce((product, extent) => product * extent, 1);
  return {
    samples,
    input: { dtype: 'u8', shape },
    target: { dtype: 'u8', shape: [] },
    classes,
    counts: countsOf(labels, classes),
    digest,
    gather: (indices, pixelsOut, labelsOut) => {
      for (let i = 0; i < indices.length; i++) {
        const index = indices[i]!;
        if (index >= samples) throw new RangeError(`sample ${index} of ${samples}`);
        pixelsOut.set(pixels.subarray(index * size, (index + 1) * size), i * size);
        labelsOut[i] = labels[index]!;
      }
    },
  };
}

/** Reads one IDX file of unsigned bytes, plain or .gz. @throws DataError */
export function readIdx(path: string): { shape: number[]; data: Uint8Array } {
  let bytes: Uint8Array = readRegularSync(path, LARGEST_FILE);
  if (path.endsWith('.gz')) {
    const most = Math.min(LARGEST_FILE, Math.max(UNPACKED_BYTES, MOST_PACKED * bytes.length));
    try {
      bytes = gunzipSync(bytes, { maxOutputLength: most });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
        throw new DataError(
          `${path}: it unpacks to more than ${most} bytes, over ${MOST_PACKED} times its size. If that is correct, unpack it first`,
          { cause },
        );
      throw new DataError(
        `${path}: it is damaged or not a gzip file (${(cause as Error).message}). Download or compress it again`,
        {
          cause,
        },
      );
    }
  }
  if (bytes.length < 4)
    throw new DataError(`${path}: ${counted(bytes.length, 'byte')}; an IDX file starts with four`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0) !== 0) {
    throw new DataError(
      `${path}: it starts with 0x${view.getUint32(0).toString(16).padStart(8, '0')}; an IDX file starts with two zero bytes`,
    );
  }
  const type = bytes[2]!;
  if (type !== 0x08) {
    throw new DataError(
      `${path}: element type 0x${type.toString(16).padStart(2, '0')}; only unsigned bytes (0x08) are supported. Convert its values to bytes`,
    );
  }
  const rank = bytes[3]!;
  const header = 4 + 4 * rank;
  if (rank === 0 || bytes.length < header) {
    throw new DataError(
      `${path}: ${counted(bytes.length, 'byte')} with a header of ${counted(rank, 'dimension')}; the header is truncated`,
    );
  }
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (header + size !== bytes.length) {
    const what = bytes.length < header + size ? 'truncated' : 'too long';
    throw new DataError(
      `${path}: ${what}: the header says ${shape.join(' x ')} bytes after ${header}, ${header + size} in all; the file has ${bytes.length}`,
    );
  }
  return { shape, data: bytes.subarray(header) };
}
