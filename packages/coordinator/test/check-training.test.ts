/** What a job says is checked against its data, its model and the memory there is, before it is queued. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anywhere } from '@kasane/data/internal/files/access';
import { checkJob } from '@kasane/protocol/job';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkTraining } from '../src/submit/check-training.ts';
import { loadData } from '../src/submit/load-data.ts';

let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  for (const name of ['cat', 'dog']) {
    mkdirSync(join(folder, 'photos', name), { recursive: true });
    for (let index = 0; index < 6; index++) {
      const create = {
        width: 20,
        height: 20,
        channels: 3 as const,
        background: { r: 40 * index, g: 9, b: name === 'cat' ? 99 : 9 },
      };
      await sharp({ create })
        .jpeg()
        .toFile(join(folder, 'photos', name, `${index}.jpg`));
    }
  }
  const rows = Array.from({ length: 41 }, (_, i) => `${i},${(i * 7) % 11},k${i % 5},${i % 2 ? 'yes' : 'no'}`);
  writeFileSync(join(folder, 't.csv'), `a,b,kind,class\n${rows.join('\n')}\n`);
  writeFileSync(join(folder, 'text.txt'), 'the quick brown fox jumps over the lazy dog. '.repeat(60));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What is said of a job when it is submitted; empty: it is taken. */
async function said(job: Record<string, object>, backends: readonly string[] = []): Promise<string> {
  const data = { ...job.data, path: join(folder, (job.data as { path: string }).path) };
  try {
    const checked = checkJob({ name: 'a', ...job, data });
    await checkTraining(checked, await loadData(checked, anywhere), backends);
    return '';
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message.replaceAll(folder, '')}`;
  }
}

const image = (more: object = {}) => ({
  format: 'imagefolder',
  path: 'photos',
  size: 16,
  validation: 0.4,
  ...more,
});
const pixels = (input: number[], ...layers: object[]) => ({ input, classes: 2, layers });
const dense = { type: 'dense', units: 2 };
const flat = [{ type: 'flatten' }, dense];
const pooled = [{ type: 'conv2d', filters: 2, size: 3 }, { type: 'globalAveragePool' }, dense];
const table = (more: object = {}) => ({ format: 'csv', path: 't.csv', target: 'class', ...more });
const normed = pixels([7], { type: 'dense', units: 4 }, { type: 'batchNorm' }, dense);

describe('channels', () => {
  it.each<[object, number]>([
    [{ channels: 1 }, 1],
    [{ channels: 1, mean: 0.5 }, 1],
    [{ channels: 1, mean: [0.5], std: [0.2] }, 1],
    [{}, 3],
    [{ mean: 0.5 }, 3],
    [{ mean: 0.5, std: 0.25 }, 3],
    [{ std: [0.25] }, 3],
  ])('%j: means and deviations fit', async (data, channels) => {
    expect(await said({ model: pixels([16, 16, channels], ...flat), data: image(data) })).toBe('');
  });

  it.each<[object, RegExp]>([
    [
      { mean: [1, 2] },
      /^JOB_INVALID: job: data.mean: 2 numbers for images of 3 channels: expected one number, or 3/,
    ],
    [{ std: [0.1, 0.2, 0.3, 0.4] }, /data.std: 4 numbers for images of 3 channels/],
    [
      { channels: 1, mean: [0.1, 0.2, 0.3] },
      /data.mean: 3 numbers for images of 1 channel: expected one number/,
    ],
  ])('%j is refused', async (data, message) => {
    const channels = 'channels' in data ? 1 : 3;
    expect(await said({ model: pixels([16, 16, channels], ...flat), data: image(data) })).toMatch(message);
  });
});

describe('shapes', () => {
  it.each<[number[], object[], string]>([
    [[16, 16, 3], pooled, ''],
    [
      [3, 16, 16],
      pooled,
      'samples are 16 x 16 x 3, but the model takes 3 x 16 x 16: the same number of values in another order',
    ],
    [[16, 48], [{ type: 'flatten' }, dense], ''],
    [
      [16, 48],
      [{ type: 'layerNorm' }, ...flat],
      'the same number of values in another order; set model.input: [16, 16, 3]',
    ],
    [[768], [dense], ''],
    [[3, 16, 16], flat, ''],
    [[16, 16, 1], pooled, 'samples are 16 x 16 x 3, but the model takes 16 x 16 x 1'],
  ])('a model of input %j', async (input, layers, message) => {
    const answer = await said({ model: pixels(input, ...layers), data: image() });
    if (message === '') expect(answer).toBe('');
    else expect(answer).toContain(message);
  });

  it('tokens are no vector of features, and know their vocabulary', async () => {
    const data = { format: 'text', path: 'text.txt', context: 8 };
    const model = (tokens: number) => ({
      input: [8],
      output: [8, 40],
      layers: [
        { type: 'embedding', tokens, units: 4 },
        { type: 'dense', units: 40 },
      ],
    });
    const objective = { type: 'next-token' };
    expect(await said({ model: model(40), data, objective })).toBe('');
    expect(await said({ model: model(20), data, objective })).toMatch(
      /^DATA_INVALID: .*texts have \d+ different tokens, but layer embedding1 \(embedding\) has 20 rows/,
    );
  });

  it('an embedding takes numbers of categories, and has a row for each', async () => {
    const model = (tokens: number) => ({
      classes: 2,
      layers: [
        { type: 'input', name: 'kinds', shape: [1] },
        { type: 'embedding', tokens, units: 2 },
        ...flat,
      ],
    });
    const data = (kind: string) => table({ columns: { kind }, inputs: { kinds: ['kind'] } });
    expect(await said({ model: model(6), data: data('index') })).toBe('');
    expect(await said({ model: model(5), data: data('index') })).toContain("column 'kind' has 5 categories");
    const numbers = { ...table({ inputs: { kinds: ['a'] } }) };
    expect(await said({ model: model(6), data: numbers })).toContain(
      "column 'a' goes into layer embedding1 (embedding), which takes category indices; set data.columns: { a: index }",
    );
  });

  it.each<[object, string]>([
    [{ type: 'crop', padding: 16 }, 'crop with padding 16 may leave nothing of images of 16 x 16'],
    [{ type: 'cutout', size: 40 }, 'cutout of size 40 leaves nothing of images of 16 x 16'],
    [{ type: 'crop', padding: 4 }, ''],
  ])('augmentation leaves something of the image: %j', async (step, message) => {
    const answer = await said({ model: pixels([16, 16, 3], ...flat), data: image({ augment: [step] }) });
    if (message === '') expect(answer).toBe('');
    else expect(answer).toContain(message);
  });
});

describe('statistics of one sample', () => {
  // 33 rows to train with.
  it.each<[object, string]>([
    [{ batch: 8, shards: 8 }, 'Use training.batch: 7 and training.shards: 2'],
    [{ batch: 8, shards: 2 }, 'Use training.batch: 7'],
    [{ batch: 11, shards: 2, accumulate: 5 }, 'Use training.accumulate: 1'],
    [{ batch: 11, shards: 11 }, 'Use training.shards: 5'],
  ])('%j is refused, with what would do', async (training, right) => {
    const answer = await said({ model: normed, data: table(), training });
    expect(answer).toMatch(
      /^JOB_INVALID: training: layer batchNorm1 \(batchNorm\) takes mean and variance over/,
    );
    expect(answer).toContain('33 training samples in batches of');
    expect(answer).toContain(right);
  });

  it.each([
    { batch: 11, shards: 5 },
    { batch: 7, shards: 2 },
    { batch: 64, shards: 1 },
  ])('%j is taken', async (training) => {
    expect(await said({ model: normed, data: table(), training })).toBe('');
  });

  it('one image has many pixels', async () => {
    const model = pixels(
      [16, 16, 3],
      { type: 'conv2d', filters: 2, size: 3 },
      { type: 'batchNorm' },
      ...flat,
    );
    expect(await said({ model, data: image(), training: { batch: 2, shards: 2 } })).toBe('');
  });

  it.each([
    ['layerNorm', 'layer layerNorm1 (layerNorm) takes mean and variance'],
    ['rmsNorm', 'layer rmsNorm1 (rmsNorm) takes the mean square'],
  ])('a %s over one number is refused', async (type, message) => {
    const model = pixels([7], { type: 'dense', units: 1 }, { type }, dense);
    expect(await said({ model, data: table() })).toContain(message);
  });
});

describe('memory', { timeout: 120_000 }, () => {
  const wide = (size: number) => ({
    model: pixels(
      [size, size, 3],
      { type: 'conv2d', filters: 256, size: 3, padding: 1 },
      { type: 'globalAveragePool' },
      dense,
    ),
    data: image({ size }),
    training: { batch: 8, shards: 1 },
  });

  it('what no worker can hold is refused with its bytes', async () => {
    expect(await said(wide(2048))).toMatch(
      /^LIMIT: model: \d+ samples at once take \d+ bytes \(\d+\.\d GiB\) on a worker, which has 4294967296 \(4.0 GiB\); not even one sample fits/,
    );
    expect(await said(wide(1024))).toMatch(/; 1 sample fits: increase training.accumulate/);
    expect(await said(wide(128))).toBe('');
  });

  it('a GPU may hold it, where the job may be computed on one', async () => {
    const { training, ...job } = wide(1024);
    const fast = { ...job, training: { ...training, math: 'fast' } };
    expect(await said(fast, ['NVIDIA, webgpu'])).toBe('');
    expect(await said(fast, ['wasm 6x16'])).toMatch(/^LIMIT: /);
  });

  it('the coordinator needs room for the gradient of each shard', async () => {
    const model = pixels([7], { type: 'dense', units: 8000 }, { type: 'dense', units: 8000 }, dense);
    const training = { batch: 1024, shards: 1024 };
    expect(await said({ model, data: table(), training })).toMatch(
      /^LIMIT: training.shards: the gradients of 1024 shards of \d+ parameters take \d+ bytes/,
    );
  });

  it('steps are counted by 32 bits', async () => {
    expect(
      await said({ model: normed, data: table(), training: { epochs: 100_000, batch: 33, shards: 1 } }),
    ).toBe('');
  });
});

it('lays out no model for somebody who is gone', async () => {
  const definition = { version: 1, inputs: [[2]], nodes: [['neg', 0]], output: 1 };
  const job = checkJob({
    ...{ name: 'a', training: { batch: 8 } },
    model: {
      ...{ input: [2], classes: 2, definitions: { mine: definition } },
      layers: [{ type: 'mine' }, { type: 'dense', units: 2 }],
    },
    data: { format: 'csv', path: join(folder, 't.csv'), columns: { kind: 'ignore' }, target: 'class' },
  });
  const data = await loadData(job, anywhere);
  await checkTraining(job, data, []);
  await expect(checkTraining(job, data, [], AbortSignal.abort())).rejects.toThrow('exited');
});
