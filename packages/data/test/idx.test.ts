import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anywhere } from '../src/files/access.ts';
import { openIdx, readIdx } from '../src/idx/idx.ts';
import { mnistDirectory } from '../src/idx/mnist.ts';
import { openData } from '../src/open.ts';

const idx = (shape: number[], data: number[]) => {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = 8;
  header[3] = shape.length;
  for (const [axis, extent] of shape.entries()) header.writeUInt32BE(extent, 4 + 4 * axis);
  return Buffer.concat([header, Buffer.from(data)]);
};
const files = {
  'train-images-idx3-ubyte': idx([3, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
  'train-labels-idx1-ubyte': idx([3], [2, 0, 1]),
  't10k-images-idx3-ubyte': idx([1, 2, 2], [1, 2, 3, 4]),
  't10k-labels-idx1-ubyte': idx([1], [1]),
};

let directory: string;
const path = (name: string) => join(directory, name);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kasane-idx-'));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path(name), bytes);
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('IDX', () => {
  it('reads all of MNIST', () => {
    const { train, test } = openIdx(mnistDirectory());
    expect([train.samples, test.samples, train.classes, test.classes]).toEqual([60_000, 10_000, 10, 10]);
    expect(train.input).toEqual({ dtype: 'u8', shape: [28, 28] });
    expect(train.target).toEqual({ dtype: 'u8', shape: [] });
    const labels = new Uint8Array(3);
    train.gather(Uint32Array.of(0, 1, 59_999), new Uint8Array(3 * 784), labels);
    expect([...labels]).toEqual([5, 0, 8]);
  });

  it('knows whether pictures are dark on bright', async () => {
    const options = { format: 'idx', path: directory, mean: 0, std: 1 } as const;
    expect((await openData(options, anywhere)).preparation.ground).toBeUndefined();
    writeFileSync(
      path('train-images-idx3-ubyte'),
      idx(
        [3, 3, 3],
        [...Array(27).keys()].map((i) => 255 - (i % 9 === 4 ? 250 : 0)),
      ),
    );
    writeFileSync(path('t10k-images-idx3-ubyte'), idx([1, 3, 3], Array(9).fill(255)));
    expect((await openData(options, anywhere)).preparation.ground).toBe('bright');
  });

  it('gathers in the order asked for, and reads .gz', () => {
    rmSync(path('train-images-idx3-ubyte'));
    writeFileSync(path('train-images-idx3-ubyte.gz'), gzipSync(files['train-images-idx3-ubyte']));
    const { train } = openIdx(directory);
    const pixels = new Uint8Array(8);
    const labels = new Uint8Array(2);
    train.gather(Uint32Array.of(2, 0), pixels, labels);
    expect([...pixels, ...labels]).toEqual([9, 10, 11, 12, 1, 2, 3, 4, 1, 2]);
    expect(train.classes).toBe(3);
    expect(() => train.gather(Uint32Array.of(3), pixels, labels)).toThrow('sample 3 of 3');
  });

  const images = 'train-images-idx3-ubyte';
  it.each<[string, (file: string) => void, RegExp]>([
    [
      'truncated',
      (file) => truncateSync(file, 20),
      /truncated: the header says 3 x 2 x 2 .* 28 in all; the file has 20/,
    ],
    [
      'too long',
      (file) => writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from([0])])),
      /too long/,
    ],
    ['empty', (file) => truncateSync(file, 0), /0 bytes/],
    ['cut in its header', (file) => truncateSync(file, 9), /header is truncated/],
    ['something else', (file) => writeFileSync(file, 'hello world'), /two zero bytes/],
    [
      'of floats',
      (file) => writeFileSync(file, Buffer.from([0, 0, 0x0d, 1, 0, 0, 0, 0])),
      /element type 0x0d/,
    ],
    ['gone', (file) => rmSync(file), /train-images-idx3-ubyte.* not found/],
    [
      'one image short',
      (file) => writeFileSync(file, idx([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8])),
      /3 labels for the 2 images/,
    ],
    [
      'of another size',
      (file) => writeFileSync(file, idx([3, 1, 2], [1, 2, 3, 4, 5, 6])),
      /2 x 2, but those of .* are 1 x 2/,
    ],
  ])('refuses a file that is %s, in one line', (_, damage, message) => {
    damage(path(images));
    expect(() => openIdx(directory)).toThrow(message);
    expect(() => openIdx(directory)).toThrow(/^[^\n]+$/);
  });

  it('refuses a damaged .gz', () => {
    writeFileSync(path('x.gz'), gzipSync(files[images]).subarray(0, 30));
    expect(() => readIdx(path('x.gz'))).toThrow(/damaged or not a gzip file/);
  });

  it("reads EMNIST's files, and says that its images are transposed", async () => {
    for (const [name, bytes] of Object.entries(files)) {
      rmSync(path(name));
      writeFileSync(path(`emnist-letters-${name.replace('t10k', 'test')}.gz`), gzipSync(bytes));
    }
    const { train, test, notes } = await openData(
      { format: 'idx', path: directory, mean: 0, std: 1 },
      anywhere,
    );
    expect([train.samples, test.samples]).toEqual([3, 1]);
    expect(notes?.join()).toMatch(/EMNIST stores its images transposed/);
    rmSync(path('emnist-letters-test-labels-idx1-ubyte.gz'));
    expect(() => openIdx(directory)).toThrow(/emnist-letters-t10k-labels-idx1-ubyte not found/);
    for (const [name, bytes] of Object.entries(files)) writeFileSync(path(`emnist-digits-${name}`), bytes);
    expect(() => openIdx(directory)).toThrow(/several datasets: emnist-digits, emnist-letters. Move/);
    // What has the plain names is taken for what it is.
    for (const [name, bytes] of Object.entries(files)) writeFileSync(path(name), bytes);
    expect(openIdx(directory).notes).toEqual([]);
  });

  it('names classes without a training sample', async () => {
    writeFileSync(path('train-labels-idx1-ubyte'), idx([3], [5, 0, 5]));
    writeFileSync(path('t10k-labels-idx1-ubyte'), idx([1], [6]));
    const { notes } = await openData({ format: 'idx', path: directory, mean: 0, std: 1 }, anywhere);
    expect(notes).toEqual([
      expect.stringMatching(/^no training sample has class 6, but test samples do/),
      expect.stringMatching(/^no sample has classes 1, 2, 3, 4, although labels reach 6/),
    ]);
  });

  it('reads a folder again after its files have changed', () => {
    expect(openIdx(directory).train.classes).toBe(3);
    copyFileSync(path('train-labels-idx1-ubyte'), path('copy'));
    writeFileSync(path('train-labels-idx1-ubyte'), idx([3], [4, 0, 1]));
    expect(openIdx(directory).train.classes).toBe(5);
  });
});
