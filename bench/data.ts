/**
 * How fast samples are read: decoding JPEGs as a job does, against sharp alone on as many threads, and packed data; then what the
 * samples are for: the training steps of cnn-224 and resnet-50 on one thread, alone and as a job from that folder of JPEGs.
 *
 *     pnpm bench data [--images 200] [--side 320] [--size 224] [--threads 2] [--presets cnn-224,resnet-50]
 *
 * Both decode the same files to the same size, with the same number of images at once. What the loader adds is its checks, its
 * pool and a copy; it keeps up if the ratio is above 0.9. Decoding is overlapped if a job from JPEGs computes as many samples a second as
 * one from the same samples packed (one worker with one slot, on a machine with a second core for the rest).
 *
 * Found on two virtual cores: sharp alone 309 samples/s, image folder 288, packed 2412 (medians); round by round the folder had 0.92 to 0.97
 * of sharp's speed and took 1.03 of its CPU time. cnn-224: 29.5 samples/s for the gradients alone, as a job 5.8 from packed samples and 6.6
 * from JPEGs (its 51 million weights travel at every step of 8 samples); resnet-50: 2.5, 2.6 and 2.8. Decoding costs a job nothing.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Dataset } from '@kasane/data/dataset';
import { openImageFolder } from '@kasane/data/image-folder';
import { anywhere } from '@kasane/data/internal/files/access';
import { packData } from '@kasane/data/pack';
import { openPacked } from '@kasane/data/packed';
import { epochPermutation } from '@kasane/data/shuffle';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import { fieldBytes } from '@kasane/tensor/internal/field';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { describePreset } from '@kasane/tensor/models/presets';
import { initializeParameters } from '@kasane/tensor/nn/model';
import sharp from 'sharp';
import { trainingGraph } from './rows.ts';
import { median } from './support/median.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '200' },
    side: { type: 'string', default: '320' },
    size: { type: 'string', default: '224' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    presets: { type: 'string', default: 'cnn-224,resnet-50' },
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
/** Of a training step. */
const STEP = 8;

const imageFolder = {
  format: 'imagefolder',
  layout: 'auto',
  validation: 0.01,
  size,
  mean: 0.5,
  std: 0.5,
} as const;

const folder = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
try {
  await writeImages();
  const decoded = await openImageFolder({
    ...imageFolder,
    path: join(folder, 'images'),
    seed: 1,
    channels: 3,
    fit: 'cover',
    background: 'auto',
    onDamaged: 'fail',
    threads,
    keep: false,
  });
  await packData(decoded, join(folder, 'packed'));
  const packed = await openPacked(join(folder, 'packed'), undefined, anywhere);
  const rates = new Map<string, number[]>();
  const costs = new Map<string, number[]>();
  const note = (table: Map<string, number[]>, name: string, value: number) =>
    table.set(name, [...(table.get(name) ?? []), value]);
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of [
      ['sharp alone', sharpAlone],
      ['image folder', () => epoch(decoded.train, round)],
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
    `\n  image folder / sharp alone: ${ratio(rates).toFixed(3)} of its speed, ${ratio(costs).toFixed(3)} of its CPU\n`,
  );
  enableRevectorization();
  for (const preset of values.presets.split(',').filter(Boolean)) {
    const alone = await stepsAlone(preset);
    const from = {
      packed:
        decoded.train.samples / epochSeconds(preset, { format: 'packed', path: join(folder, 'packed') }),
      jpegs: decoded.train.samples / epochSeconds(preset, { ...imageFolder, path: join(folder, 'images') }),
    };
    console.log(
      `  ${preset.padEnd(14)} ${alone.toFixed(2).padStart(7)} samples/s for the gradients alone; as a job ${from.packed.toFixed(2)} from packed samples, ${from.jpegs.toFixed(2)} from JPEGs: ${(from.jpegs / from.packed).toFixed(3)}`,
    );
  }
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

/** Samples a second of a preset's gradients on this thread: the fastest of some steps. */
async function stepsAlone(preset: string): Promise<number> {
  const description = describePreset(preset, { classes: 2, image: size });
  const { model, outputs } = trainingGraph({ name: preset, batch: STEP, description });
  const program = await compileProgram(outputs);
  const parameters = initializeParameters(model, 1);
  for (const { name, offset, size: count } of model.parameters)
    program.inputs[name]?.set(parameters.subarray(offset, offset + count));
  const x = program.inputs.x!;
  for (let i = 0; i < x.length; i++) x[i] = ((i * 7919) % 1009) / 1009;
  const times = Array.from({ length: 6 }, () => {
    const started = performance.now();
    program.run();
    return performance.now() - started;
  });
  return (1000 * STEP) / Math.min(...times);
}

/** Seconds of the fastest epoch of a job with one worker of one thread: the first also compiles and fills memory. */
function epochSeconds(preset: string, data: { readonly format: string; readonly path: string }): number {
  const job = {
    name: preset,
    model: { preset, classes: 2, image: size },
    data,
    training: { epochs: 3, batch: STEP, shards: 1, learningRate: 0.0001, optimizer: { type: 'sgd' } },
    evaluation: { shardSamples: 4 },
  };
  const file = join(folder, `${preset}.json`);
  writeFileSync(file, JSON.stringify(job));
  const cli = join(import.meta.dirname, '../packages/cli/src/bin.js');
  const options = ['--workers', '1', '--slots', '1', '--out', join(folder, `${preset}.safetensors`)];
  const { stderr, status } = spawnSync(process.execPath, [cli, 'train', file, ...options], {
    encoding: 'utf8',
  });
  const seconds = [...stderr.matchAll(/^epoch .* ([\d.]+) s$/gm)].map(([, epoch]) => Number(epoch));
  if (status !== 0 || seconds.length === 0) throw new Error(`kasane train ${file}: ${stderr}`);
  return Math.min(...seconds);
}
