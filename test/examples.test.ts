/** Every preset's example trains with two workers, on small real or generated data and with small sizes: its loss falls. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { parseJobFile, parseSweepFile } from '@kasane/protocol/job-file';
import { presetNames } from '@kasane/tensor/models/presets';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const examples = join(import.meta.dirname, '..', 'examples');
const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let folder = '';
/** Most that took part in one job: of a few tiny steps one worker may take all. */
let workers = 0;
const at = (name: string) => join(folder, name);

/** Sizes that a test can afford; data as it is below; steps where the default of 3 epochs is not what shows it. */
interface Small {
  readonly model?: object;
  readonly data: object | (() => object);
  readonly training?: object;
}

const besides = (name: string) => {
  const path = join(examples, 'data', name);
  return { path, test: path };
};
const images = (size: number) => () => ({ path: at('images'), size, validation: 0.25 });
const few = { batch: 12, learningRate: 0.002, optimizer: { type: 'adam' } };
const tokens = { tokens: 128, context: 16, width: 16, depth: 1, heads: 2, dropout: 0 };
const text = () => ({ path: at('book.txt'), context: 16 });
const mail = {
  model: { tokens: 300, context: 12, embed: 8, units: 8 },
  data: () => ({ path: at('mail.csv'), vocabulary: 300, context: 12 }),
};
const resnet = {
  model: { classes: 2, stem: 'cifar', image: 8, width: 4 },
  data: images(8),
  // Batches of twelve small images say little: after three epochs the loss is as the last bits have it.
  training: { ...few, epochs: 8 },
};
const vgg = {
  model: { classes: 2, image: 32, hidden: 16, dropout: 0 },
  data: images(32),
  training: { ...few, learningRate: 0.01, optimizer: { type: 'sgd' } },
};

const small: Readonly<Record<string, Small>> = {
  // What is beside the file.
  perceptron: { data: besides('and.csv') },
  xor: { data: besides('xor.csv') },
  tabular: {
    model: { features: 4 },
    data: () => ({ path: at('flowers.csv'), columns: { size: 'ignore' } }),
  },
  'tabular-regression': {
    model: { features: 4 },
    data: () => ({ path: at('flowers.csv'), target: 'size', columns: { Species: 'ignore' } }),
  },
  'two-inputs': {
    model: {
      output: [1],
      layers: [
        { type: 'input', name: 'numbers', shape: [4] },
        { type: 'input', name: 'species', shape: [1] },
        { type: 'embedding', tokens: 4, units: 2, std: 0.5 },
        { type: 'flatten', name: 'vector' },
        { type: 'concat', from: ['numbers', 'vector'] },
        { type: 'dense', units: 1 },
      ],
    },
    data: () => ({
      path: at('flowers.csv'),
      target: 'size',
      columns: { Species: 'index' },
      inputs: { numbers: ['a', 'b', 'c', 'd'], species: ['Species'] },
    }),
  },
  'mnist-mlp': { data: () => ({ path: at('mnist') }) },
  'mnist-cnn': { data: () => ({ path: at('mnist') }) },
  'cnn-224': { model: { classes: 2, image: 16 }, data: images(16), training: few },
  alexnet: { model: { classes: 2, image: 63, hidden: 32 }, data: images(63), training: few },
  'vgg-11': vgg,
  'vgg-16': vgg,
  'resnet-18': resnet,
  'resnet-34': resnet,
  'resnet-50': resnet,
  'resnet-101': resnet,
  'resnet-152': resnet,
  gpt: { model: tokens, data: text, training: { learningRate: 0.01 } },
  'gpt-local-steps': { model: tokens, data: text, training: { learningRate: 0.01 } },
  llama: { model: { ...tokens, keyValueHeads: 1 }, data: text, training: { learningRate: 0.01 } },
  bert: { model: tokens, data: text, training: { learningRate: 0.01 } },
  'lstm-text': mail,
  'gru-text': mail,
  'lstm-forecast': {
    model: { features: 4, window: 8, units: 8 },
    data: () => ({ path: at('weather.csv'), window: 8 }),
  },
};

const without = <Value>(record: Readonly<Record<string, Value>>, key: string) =>
  Object.fromEntries(Object.entries(record).filter(([other]) => other !== key));

const specOf = (name: string) =>
  parseJobFile(readFileSync(join(examples, `${name}.yaml`), 'utf8'), `${name}.yaml`).spec;

beforeAll(async () => {
  folder = temporaryDirectory(cleanUp);
  mkdirSync(at('mnist'));
  smallMnist(at('mnist'), 96, 32);
  for (const kind of ['light', 'dark']) {
    mkdirSync(join(at('images'), kind), { recursive: true });
    for (let i = 0; i < 16; i++) {
      const background = { r: kind === 'light' ? 255 - 9 * i : 9 * i, g: 8 * i, b: 120 };
      const image = sharp({ create: { width: 20, height: 20, channels: 3, background } });
      await image.png().toFile(join(at('images'), kind, `${i}.png`));
    }
  }
  const rows = (head: string, count: number, row: (i: number) => unknown[]) =>
    `${[head, ...Array.from({ length: count }, (_, i) => row(i).join())].join('\n')}\n`;
  const flower = (i: number) => [i % 7, (i * 5) % 11, i % 3, (i * i) % 5];
  writeFileSync(
    at('flowers.csv'),
    rows('a,b,c,d,Species,size', 90, (i) => [...flower(i), `s${i % 3}`, flower(i)[0]! + 2 * flower(i)[1]!]),
  );
  const weather = (i: number) => [i % 5, 10 + 8 * Math.sin(i / 6), 3 + 8 * Math.sin(i / 6), (i * 3) % 4];
  writeFileSync(at('weather.csv'), rows('precipitation,temp_max,temp_min,wind', 120, weather));
  const letter = (i: number) => [
    i % 2 ? `win money now ${i % 7}` : `see you at lunch ${i % 5}`,
    i % 2 ? 'spam' : 'ham',
  ];
  writeFileSync(at('mail.csv'), rows('text,label', 80, letter));
  writeFileSync(at('book.txt'), 'Call me Ishmael. Some years ago, never mind how long. '.repeat(24));
  await cluster.start();
  await Promise.all([cluster.worker(), cluster.worker()]);
});
afterAll(() => cleanUp.run());

describe('examples', () => {
  it('are there for every preset, and tried here', () => {
    const files = readdirSync(examples).filter((file) => file.endsWith('.yaml'));
    const jobs = files.map((file) => file.slice(0, -'.yaml'.length));
    expect(presetNames.filter((name) => !jobs.includes(name) || !small[name])).toEqual([]);
  });

  it.each(Object.entries(small))('%s trains', async (name, { model, data, training }) => {
    const spec = specOf(name);
    const { freeze: _, stopEarly: __, ...given } = spec.training;
    const own = typeof data === 'function' ? data() : data;
    const job = await cluster.run({
      ...spec,
      model: { ...spec.model, ...model },
      data: { ...spec.data, ...own },
      training: { ...given, epochs: 3, batch: 16, schedule: { type: 'constant' }, ...training },
      evaluation: { shardSamples: 16 },
    });
    expect(job.error).toBe('');
    expect(job.state).toBe(JobState.JOB_STATE_SUCCEEDED);
    workers = Math.max(workers, job.workers);
    const losses = job.history.map(({ trainLoss }) => trainLoss);
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
  });

  it.each(readdirSync(examples).filter((file) => file.startsWith('sweep-')))(
    '%s ends with a trained network',
    async (name) => {
      const { base, search } = parseSweepFile(readFileSync(join(examples, name), 'utf8'), name);
      const { client } = cluster;
      const id = await client.sweeps.submit(
        JSON.stringify({
          ...base,
          data: { ...(base.data as object), path: at('mnist') },
          training: { ...(base.training as object), batch: 32 },
          // Batches of some hundred samples are more than there are.
          search: { ...search, trials: 12, parameters: without(search.parameters, 'training.batch') },
        }),
      );
      for await (const _ of client.sweeps.watch(id));
      const { sweep, trials } = await client.sweeps.get(id);
      client.close();
      expect(sweep).toMatchObject({ state: SweepState.SWEEP_STATE_SUCCEEDED, trials: 12, failed: 0 });
      expect(trials.some(({ parent }) => parent > 0)).toBe(search.sampler === 'population');
    },
  );

  it('were computed by two workers', () => expect(workers).toBe(2));
});
