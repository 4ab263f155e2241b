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
