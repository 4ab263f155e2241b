/** The model of a program, with its own layer and loss, trains to the weights that it gets in PyTorch: test/fixtures/own-model/train.py. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KasaneClient } from '@kasane/client/client';
import { packDataset } from '@kasane/data/pack-dataset';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { initialWeights, orders, ownModel, settings } from './fixtures/own-model/setup.ts';
import { CleanUp, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { points } from './support/gated-model.ts';

interface Trained {
  readonly steps: number;
  readonly initial: readonly number[];
  readonly orders: readonly (readonly number[])[];
  readonly firstLoss: number;
  /** Between PyTorch's float32 and its float64, at most. */
  readonly float32Error: number;
  /** Of float64. */
  readonly weights: readonly number[];
}
const trained = JSON.parse(
  readFileSync(new URL('fixtures/own-model/trained.json', import.meta.url), 'utf8'),
) as Trained;

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const folder = join(temporaryDirectory(cleanUp), 'points');
beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
  const fields = { input: { dtype: 'f32', shape: [2] }, target: { shape: [2] } } as const;
  await packDataset(folder, fields, { train: points(settings.samples, 0), test: points(32, 1000) });
});
afterAll(() => cleanUp.run());

const farthest = (some: ArrayLike<number>, others: ArrayLike<number>): number =>
  Array.from(some).reduce((most, value, i) => Math.max(most, Math.abs(value - others[i]!)), 0);

it('PyTorch had the same weights and batches to begin with', () => {
  // Where this changes, make the fixture anew.
  expect(orders()).toEqual(trained.orders);
  expect([...initialWeights()]).toEqual(trained.initial);
});

it.each([1, 3])(
  'after 100 steps in shards of %i, the weights are those of PyTorch to float32 rounding',
  {
    timeout: 120_000,
  },
  async (shards) => {
    const client = new KasaneClient({ coordinator: cluster.address });
    try {
      const { epochs, batch, seed, learningRate } = settings;
      const job = await client.submit({
        name: 'own-model-pytorch',
        model: ownModel,
        data: { format: 'packed', path: folder },
        training: { epochs, batch, seed, learningRate, shards, optimizer: { type: 'adam' } },
      });
      const { parameters } = await job.result();
      expect(trained.steps).toBe(100);
      expect(farthest(parameters, trained.initial)).toBeGreaterThan(0.3);
      // PyTorch itself is 7e-7 from what float64 gives: two ways of rounding may be as far apart as that, and then some.
      expect(trained.float32Error).toBeLessThan(1e-6);
      expect(farthest(parameters, trained.weights)).toBeLessThan(3e-6);
    } finally {
      client.close();
    }
  },
);
