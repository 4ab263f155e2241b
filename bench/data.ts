/**
 * How fast samples are read: decoding JPEGs as a job does, against sharp alone on as many threads, and packed data.
 *
 *     pnpm bench data [--images 200] [--side 320] [--size 224] [--threads 2]
 *
 * Both decode the same files to the same size, with the same number of images at once. What the loader adds is its checks, its
 * pool and a copy; it keeps up if the ratio is above 0.9.
 *
 * Found on two virtual cores that much other work shared, so take the absolute figures as low: sharp alone 174 samples/s, image folder
 * 149, packed 778 (medians); round by round the folder had 1.02 of sharp's speed and took 1.10 of its CPU time.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Dataset } from '@kasane/data/dataset';
import { openImageFolder } from '@kasane/data/image-folder';
import { packData } from '@kasane/data/pack';
import { openPacked } from '@kasane/data/packed';
import { epochPermutation } from '@kasane/data/shuffle';
import { fieldBytes } from '@kasane/tensor/field';
import sharp from 'sharp';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '200' },
    side: { type: 'string', default: '320' },
    size: { type: 'string', default: '224' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
  },
});
const [images, side, size, threads, rounds] = [
  values.images,
  values.side,
  values.size,
  values.threads,
  values.rounds,
].map(Number) as [number, number, number, number, number];
const BATCH = 32;

const median = (list: readonly number[]) =>
  [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;

const folder = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
try {
  await writeImages();
  const { train, test, preparation } = await openImageFolder({
    format: 'imagefolder',
    path: join(folder, 'images'),
    validation: 0.01,
    seed: 1,
    size,
    channels: 3,
    fit: 'cover',
    onDamaged: 'fail',
    mean: 0.5,
    std: 0.5,
    threads,
    keep: false,
  });
  await packData({ train, test, preparation }, join(folder, 'packed'));
  const packed = await openPacked(join(folder, 'packed'));
  const rates = new Map<string, number[]>();
  const costs = new Map<string, number[]>();
  const note = (table: Map<string, number[]>, name: string, value: number) =>
    table.set(name, [...(table.get(name) ?? []), value]);
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of [
      ['sharp alone', sharpAlone],
      ['image folder', () => epoch(train, round)],
      ['packed', () => epoch(packed.train, round)],
    ] as const) {
      const [started, used] = [performance.now(), process.cpuUsage()];
      const samples = await run();
      const { user, system } = process.cpuUsage(used);
      note(rates, name, (1000 * samples) / (performance.now() - started));
      note(costs, name, (user + system) / 1000 / samples);
    }
  }
  console.log(
    `${images} JPEGs of ${side} x ${side} to ${size} x ${size}, ${threads} at once, medians of ${rounds}\n`,
  );
  for (const name of rates.keys()) {
    const [rate, cost] = [median(rates.get(name)!), median(costs.get(name)!)];
    console.log(
      `  ${name.padEnd(14)} ${rate.toFixed(0).padStart(7)} samples/s ${cost.toFixed(2).padStart(7)} ms of CPU each`,
    );
  }
  const ratio = (table: Map<string, number[]>) =>
    median(table.get('image folder')!.map((value, round) => value / table.get('sharp alone')![round]!));
  console.log(
    `\n  image folder / sharp alone: ${ratio(rates).toFixed(3)} of its speed, ${ratio(costs).toFixed(3)} of its CPU`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Pictures with structure: noise alone does not compress, one colour decodes too fast. */
async function writeImages(): Promise<void> {
  const pixels = new Uint8Array(side * side * 3);
  for (let i = 0; i < images; i++) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const at = 3 * (y * side + x);
        pixels[at] = (x * (1 + (i % 5)) + y) & 255;
        pixels[at + 1] = ((x * y) >> (i % 7)) & 255;
        pixels[at + 2] = 128 + 100 * Math.sin((x + i) / 9) * Math.cos(y / 13);
      }
    }
    const label = join(folder, 'images', i % 2 ? 'odd' : 'even');
    mkdirSync(label, { recursive: true });
    const image = sharp(pixels, { raw: { width: side, height: side, channels: 3 } });
    await image.jpeg({ quality: 85 }).toFile(join(label, `${i}.jpg`));
  }
}

/** Every file once, `threads` at a time, nothing else. */
async function sharpAlone(): Promise<number> {
  const files = ['even', 'odd'].flatMap((label) =>
    readdirSync(join(folder, 'images', label)).map((name) => join(folder, 'images', label, name)),
  );
  let next = 0;
  const work = async () => {
    while (next < files.length) {
      const file = files[next++]!;
      await sharp(file).resize(size, size, { fit: 'cover' }).raw().toBuffer();
    }
  };
  await Promise.all(Array.from({ length: threads }, work));
  return files.length;
}

/** An epoch in its order, by batches, the next one read while the last is taken. */
async function epoch(part: Dataset, round: number): Promise<number> {
  const order = epochPermutation(part.samples, 1, round);
  const read = (first: number) => {
    const indices = order.subarray(first, first + BATCH);
    const inputs = new Uint8Array(indices.length * fieldBytes(part.input));
    const targets = new Uint8Array(indices.length * fieldBytes(part.target));
    return part.gather(indices, inputs, targets);
  };
  let coming = read(0);
  for (let first = BATCH; first < part.samples; first += BATCH) {
    const next = read(first);
    await coming;
    coming = next;
  }
  await coming;
  return part.samples;
}
