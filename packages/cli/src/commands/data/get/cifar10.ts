/** Writes CIFAR-10 as folders of images. Its package has 10,000 images in one PNG, an image in each row of 1024 pixels. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

const SIDE = 32;
const IMAGE_BYTES = SIDE * SIDE * 3;
const BATCH = 10_000;
const classes = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');
export const CLASSES = classes.length;
/** Training images of a class. */
export const PER_CLASS = 5000;

const parts = {
  train: { images: [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.png`), labels: 'train_lables.json' },
  test: { images: ['test_batch.png'], labels: 'test_lables.json' },
};

export interface Chosen {
  /** First and last class, by number. */
  readonly classes: readonly [number, number];
  /** Training images of each class; a fifth of it for testing. */
  readonly perClass: number;
}

/** @param put writes a file, by its path in the folder */
export async function writeCifar10(
  source: string,
  chosen: Chosen,
  put: (path: string, content: Uint8Array) => void,
): Promise<void> {
  for (const [part, files] of Object.entries(parts)) {
    const labels = JSON.parse(readFileSync(join(source, files.labels), 'utf8')) as number[];
    const most = part === 'train' ? chosen.perClass : chosen.perClass / 5;
    const [first, last] = chosen.classes;
    const written = classes.map(() => 0);
    for (const [batch, file] of files.images.entries()) {
      const pixels = await pixelsOf(join(source, file));
      for (let row = 0; row < pixels.length / IMAGE_BYTES; row++) {
        const label = labels[batch * BATCH + row]!;
        const number = written[label]!;
        if (label < first || label > last || number >= most) continue;
        written[label] = number + 1;
        const image = sharp(pixels.subarray(row * IMAGE_BYTES, (row + 1) * IMAGE_BYTES), {
          raw: { width: SIDE, height: SIDE, channels: 3 },
        });
        const name = `${String(number).padStart(4, '0')}.png`;
        const png = await image.png({ compressionLevel: 1 }).toBuffer();
        put(join(part, classes[label]!, name), png);
      }
    }
  }
}

async function pixelsOf(file: string): Promise<Buffer> {
  const { data, info } = await sharp(file, { limitInputPixels: false })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3 || data.length % IMAGE_BYTES !== 0)
    throw new Error(`${file}: expected rows of ${SIDE} x ${SIDE} pixels`);
  return data;
}
