/**
 * The IDX format of the MNIST family (Y. LeCun, http://yann.lecun.com/exdb/mnist): two zero bytes, a type code, the
 * number of dimensions, each dimension as a big-endian uint32, then the elements. Only unsigned bytes are read here.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { sameField } from '@kasane/tensor/field';
import { kindOfPath } from '@kasane/tensor/node/regular-file';
import { countsOf, DataError, type Dataset } from './dataset.ts';
import { readRegularSync, statRegular } from './regular-file.ts';

/** Bytes of one file, unpacked. */
const LARGEST_FILE = 2 ** 31;

const parts = {
  train: { images: 'train-images-idx3-ubyte', labels: 'train-labels-idx1-ubyte' },
  test: { images: 't10k-images-idx3-ubyte', labels: 't10k-labels-idx1-ubyte' },
} as const;

/** Opened folders, so that one job after another on the same files does not read them again; the newest alone is kept. */
let cache: { key: string; value: { train: Dataset; test: Dataset } } | undefined;

/**
 * Reads the four files of a folder: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
 * t10k-labels-idx1-ubyte, each plain or with .gz.
 * @throws DataError naming the file and what is wrong with it
 */
export function openIdx(directory: string): { train: Dataset; test: Dataset } {
  const paths = Object.values(parts).flatMap(({ images, labels }) => [
    locate(directory, images),
    locate(directory, labels),
  ]);
  const key = paths
    .map((path) => ({ path, found: statRegular(path) }))
    .map(({ path, found }) => `${path}:${found.mtimeMs}:${found.size}`)
    .join('\n');
  if (cache?.key === key) return cache.value;
  const [trainImages, trainLabels, testImages, testLabels] = paths as [string, string, string, string];
  const value = { train: openPair(trainImages, trainLabels), test: openPair(testImages, testLabels) };
  const [a, b] = [value.train.input, value.test.input];
  if (!sameField(a, b)) {
    throw new DataError(
      `${testImages}: images of ${b.shape.join(' x ')}, but those of ${trainImages} are ${a.shape.join(' x ')}`,
    );
  }
  cache = { key, value };
  return value;
}

/** The file as it is there: MNIST copies write a dot or a dash before "idx". */
function locate(directory: string, name: string): string {
  const names = [name, name.replace('-idx', '.idx')].flatMap((plain) => [plain, `${plain}.gz`]);
  const found = names
    .map((candidate) => join(directory, candidate))
    .find((path) => kindOfPath(path) !== 'nothing');
  if (found) return found;
  throw new DataError(
    `${directory}: there is no ${names.join(', ')}; a folder with the four IDX files of MNIST is expected`,
  );
}

function openPair(imagesPath: string, labelsPath: string): Dataset {
  const images = readIdx(imagesPath);
  const labels = readIdx(labelsPath);
  if (images.shape.length < 2) {
    throw new DataError(
      `${imagesPath}: ${images.shape.length} dimension; images have at least two (count and pixels)`,
    );
  }
  if (labels.shape.length !== 1) {
    throw new DataError(`${labelsPath}: ${labels.shape.length} dimensions; labels have one`);
  }
  const [samples, ...sampleShape] = images.shape as [number, ...number[]];
  if (samples !== labels.shape[0]) {
    throw new DataError(
      `${labelsPath}: ${labels.shape[0]} labels for the ${samples} images of ${imagesPath}`,
    );
  }
  if (samples === 0) throw new DataError(`${imagesPath}: no images`);
  const size = sampleShape.reduce((product, extent) => product * extent, 1);
  let largest = 0;
  for (const label of labels.data) largest = Math.max(largest, label);
  const digest = createHash('sha256').update(images.data).update(labels.data).digest('hex');
  return {
    samples,
    input: { dtype: 'u8', shape: sampleShape },
    target: { dtype: 'u8', shape: [] },
    classes: largest + 1,
    counts: countsOf(labels.data, largest + 1),
    digest,
    gather: (indices, pixelsOut, labelsOut) => {
      for (let i = 0; i < indices.length; i++) {
        const index = indices[i]!;
        if (index >= samples) throw new RangeError(`sample ${index} of ${samples}`);
        pixelsOut.set(images.data.subarray(index * size, (index + 1) * size), i * size);
        labelsOut[i] = labels.data[index]!;
      }
    },
  };
}

/** Reads one IDX file of unsigned bytes, plain or .gz. @throws DataError */
export function readIdx(path: string): { shape: number[]; data: Uint8Array } {
  let bytes: Uint8Array = readRegularSync(path, LARGEST_FILE);
  if (path.endsWith('.gz')) {
    try {
      bytes = gunzipSync(bytes, { maxOutputLength: LARGEST_FILE });
    } catch (cause) {
      throw new DataError(`${path}: not a whole gzip file (${(cause as Error).message})`, { cause });
    }
  }
  if (bytes.length < 4) throw new DataError(`${path}: ${bytes.length} bytes; an IDX file begins with four`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0) !== 0) {
    throw new DataError(
      `${path}: begins with 0x${view.getUint32(0).toString(16).padStart(8, '0')}; an IDX file begins with two zero bytes`,
    );
  }
  const type = bytes[2]!;
  if (type !== 0x08) {
    throw new DataError(
      `${path}: element type 0x${type.toString(16).padStart(2, '0')}; only unsigned bytes (0x08) are read`,
    );
  }
  const rank = bytes[3]!;
  const header = 4 + 4 * rank;
  if (rank === 0 || bytes.length < header) {
    throw new DataError(
      `${path}: ${bytes.length} bytes with a header of ${rank} dimensions; the header is cut short`,
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
