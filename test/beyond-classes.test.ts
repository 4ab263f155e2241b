/** Examples of what is learned beyond classes, as examples/own-model has them: their data by the script as it stands, their jobs for a few steps. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Dataset, readSamples } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { packDataset, type Sample } from '@kasane/data/pack-dataset';
import { openPacked } from '@kasane/data/packed';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { meanAveragePrecision } from '../examples/own-model/average-precision.ts';
import detector from '../examples/own-model/detector.ts';
import siamese from '../examples/own-model/siamese.ts';
import { autoencoder, classifier } from '../examples/own-model/stacked.ts';
import unet from '../examples/own-model/unet.ts';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { checkout } from './support/image.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const folder = temporaryDirectory(cleanUp);

beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
});
afterAll(() => cleanUp.run());

/** Runs a script of the examples that packs data. Returns what it says, and where the data is. */
async function made(script: string): Promise<{ stdout: string; path: string }> {
  const path = join(folder, script);
  const file = join(checkout, 'examples/own-model', `${script}.ts`);
  const { stdout } = await promisify(execFile)(process.execPath, [file, path]);
  return { stdout, path };
}

/** Packs the first samples of each part of such data. */
async function fewOf(path: string, counts: { train: number; test: number }): Promise<string> {
  const { train, test, preparation } = await openPacked(path, undefined, anywhere);
  const first = async (data: Dataset, count: number): Promise<Sample[]> => {
    const { inputs, targets } = await readSamples(
      data,
      Uint32Array.from({ length: count }, (_, i) => i),
    );
    const [each, width] = [inputs.length / count, targets.length / 4 / count];
    const numbers = new Float32Array(targets.buffer);
    return Array.from({ length: count }, (_, i) => ({
      input: inputs.subarray(i * each, (i + 1) * each),
      target: numbers.subarray(i * width, (i + 1) * width),
    }));
  };
  const few = join(temporaryDirectory(cleanUp), 'few');
  const { mean = 0, std = 1 } = preparation;
  const fields = { input: { ...train.input }, target: { shape: train.target.shape }, mean, std };
  await packDataset(few, fields, {
    train: await first(train, counts.train),
    test: await first(test, counts.test),
  });
  return few;
}

/** Trains with one worker, then with two, to the same bits. */
async function learned(job: object): Promise<Job> {
  const alone = await cluster.run(job);
  expect(alone.error).toBe('');
  const second = await cluster.worker();
  const together = await cluster.run(job);
  second.kill('SIGTERM');
  await once(second, 'exit');
  expect(together.digest).toBe(alone.digest);
  expect(together.history.at(-1)!.testLoss).toBe(alone.history.at(-1)!.testLoss);
  expect(alone.history.at(-1)!.testLoss).toBeLessThan(alone.history[0]!.testLoss);
  return alone;
}

it('a U-Net finds the pixels of shapes', { timeout: 120_000 }, async () => {
  const { stdout, path } = await made('shapes');
  expect(stdout).toContain(
    `${path}: 2000 pictures for training, 400 for testing, SHA-256 of the index f73fe3613d9041b5351cb681570b88e0a8c3c77c161810571e4c066c13ef7f80`,
  );
  const data = { ...unet.data, path: await fewOf(path, { train: 160, test: 40 }) };
  const { history } = await learned({ ...unet, data, training: { ...unet.training, epochs: 4, batch: 16 } });
  const overlaps = history.map(({ testMetrics }) => testMetrics!.iou!);
  expect(overlaps.at(-1)!).toBeGreaterThan(0.2);
});

it('one network for three images puts those of one digit closer together', { timeout: 120_000 }, async () => {
  const { stdout, path } = await made('triplets');
  expect(stdout).toContain(
    `${path}: 20000 triplets for training, 4000 for testing, SHA-256 of the index af7a526892f174c7b4293a5ff40711a96aa52889cf8cce976db1f17e19fd4e68`,
  );
  const data = { ...siamese.data, path: await fewOf(path, { train: 600, test: 200 }) };
  const { history } = await learned({ ...siamese, data, training: { ...siamese.training, batch: 30 } });
  expect(history.at(-1)!.testMetric).toBeGreaterThan(0.6);
});

it('layers that learn one after another are the start of a classifier', { timeout: 120_000 }, async () => {
  const digits = smallMnist(temporaryDirectory(cleanUp), 600, 100);
  let init: string | undefined;
  for (const layer of [1, 2]) {
    const job = autoencoder(layer);
    const training = { ...job.training, epochs: 2, batch: 60 };
    const data = { ...job.data, path: digits };
    init = (await learned({ ...job, data, training, ...(init !== undefined && { init }) })).model;
  }
  const { stdout, path } = await made('few-labels');
  expect(stdout).toContain(
    `${path}: 300 digits for training, 10000 for testing, SHA-256 of the index 3b17760c1fcdb93b1423b7c9829bc861c44644b6ab7f294365af6c2eba40e382`,
  );
  const short = { ...classifier, data: { ...classifier.data, path } };
  const { client } = cluster;
  const { notes } = await client.check(JSON.stringify({ ...short, init })).finally(() => client.close());
  expect(notes.join('\n')).toMatch(/initialized: code3/);
  expect(notes.join('\n')).not.toMatch(/code1|code2/);
  await learned({ ...short, init, training: { ...short.training, epochs: 3 } });
});

it('a detector finds digits in boxes, and its script says how well', { timeout: 120_000 }, async () => {
  const { stdout, path } = await made('canvases');
  expect(stdout).toContain(
    `${path}: 4000 canvases for training, 500 for testing, SHA-256 of the index f7fe900319d767bbb0c61c2b52a237abe8c526b553f016b4711756807ca20cc4`,
  );
  const few = await fewOf(path, { train: 120, test: 40 });
  const data = { ...detector.data, path: few };
  const training = { ...detector.training, epochs: 4, batch: 12 };
  const { model } = await learned({ ...detector, data, training });
  const script = join(checkout, 'examples/own-model/detections.ts');
  const { stdout: said } = await promisify(execFile)(process.execPath, [script, model, few]);
  expect(said).toMatch(
    /^mAP at IoU 0\.5 of 64 digits on 40 canvases\ndetector +\d+\.\d\d %\nbright patches +\d\d\.\d\d %\n$/,
  );
});

it('average precision counts each thing once, and asks for half of its box', () => {
  const box = (left: number, width = 10) => ({ left, right: left + width, top: 0, bottom: 10 });
  const actual = [0, 20, 40].map((left) => ({ picture: 0, kind: 1, box: box(left) }));
  const found = (lefts: readonly [left: number, width?: number][], kind = 1, picture = 0) =>
    lefts.map(([left, width], i) => ({ picture, kind, score: -i, box: box(left, width) }));
  expect(meanAveragePrecision(found([[0], [20], [40]]), actual)).toBe(1);
  // Found, twice, found: precisions 1, 1/2 and 2/3 at recalls 1/3, 1/3 and 2/3.
  expect(meanAveragePrecision(found([[0], [1], [20]]), actual)).toBeCloseTo(1 / 3 + 2 / 9, 12);
  // Overlaps of 5 / 10 and 4.9 / 10.
  expect(
    meanAveragePrecision(
      found([
        [0, 5],
        [20, 4.9],
      ]),
      actual,
    ),
  ).toBeCloseTo(1 / 3, 12);
  expect(meanAveragePrecision(found([[0]], 2), actual)).toBe(0);
  expect(meanAveragePrecision(found([[0]], 1, 3), actual)).toBe(0);
  const both = [...actual, { picture: 1, kind: 2, box: box(0) }];
  expect(meanAveragePrecision(found([[0]], 2, 1), both)).toBe(0.5);
});
