/** Local steps: replicas train several steps on their own, and what they have changed is averaged. The same bits whoever computes them. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { decodeSafetensors } from '@kasane/tensor/io/safetensors';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, type TestCluster, temporaryDirectory } from './support/cluster.ts';
import { type ExchangeCluster, ExchangeClusters } from './support/exchange-cluster.ts';
import { faultsOfLedger } from './support/ledger.ts';

const DONE = JobState.JOB_STATE_SUCCEEDED;
const WAITED = { timeout: 300_000, interval: 100 };
const SAMPLES = 1000;
const SEED = 7;
const cleanUp = new CleanUp();
const path = temporaryDirectory(cleanUp);
afterAll(() => cleanUp.run());

const model = {
  input: [784],
  classes: 10,
  layers: [
    { type: 'dense', units: 100, name: 'first' },
    { type: 'batchNorm' },
    { type: 'relu' },
    { type: 'dropout', rate: 0.2 },
    { type: 'dense', units: 10 },
  ],
};
// 1000 samples are 20 steps of 50, in rounds of 6, 6, 6 and 2, in which three replicas have shares of different sizes.
const job = {
  name: 'local-steps',
  model,
  data: { path },
  training: {
    ...{ epochs: 4, batch: 50, seed: SEED, accumulate: 2, clipNorm: 1 },
    optimizer: { type: 'adamw', weightDecay: 0.01, decayBiasAndNorm: false },
    ema: { decay: 0.99 },
    schedule: { type: 'cosine', warmupSteps: 10 },
  },
  exchange: { every: 6, replicas: 3 },
  checkpoint: { everySteps: 10 },
};
const ROUNDS = 4 * 4;

const clusters = new ExchangeClusters(cleanUp);

async function trained(cluster: TestCluster, spec: object, onStep?: (step: number) => void): Promise<Job> {
  const ended = await cluster.run(spec, onStep);
  expect(ended.error).toBe('');
  expect(ended.state).toBe(DONE);
  return ended;
}

function weightsOf(cluster: TestCluster, { id }: Job): Map<string, Float32Array> {
  const store = new JobStore(cluster.state);
  try {
    const { tensors } = decodeSafetensors(readFileSync(store.checkpoints(id)[0]!.path));
    return new Map(tensors.map(({ name, data }) => [name, data as Float32Array]));
  } finally {
    store.close();
  }
}

let digest = '';
let alone: ExchangeCluster;
beforeAll(async () => {
  smallMnist(path, SAMPLES, 100);
  alone = await clusters.of(1, 'coordinator');
  const ended = await trained(alone.cluster, job);
  digest = ended.digest;
  const counted = { samples: SAMPLES, epochs: 4, seed: SEED };
  expect(faultsOfLedger(alone.cluster.ledger(ended.id), counted)).toEqual([]);
  expect(alone.cluster.ledger(ended.id)).toHaveLength(ROUNDS * 3);
});

describe('a round', () => {
  it('of one replica whose change is taken in whole is its steps one after the other', async () => {
    const training = {
      ...{ epochs: 2, batch: 50, shards: 1, seed: SEED, learningRate: 0.1, clipNorm: 2 },
      optimizer: { type: 'sgd' },
      schedule: { type: 'cosine', warmupSteps: 10 },
    };
    const plain = { ...job, training, exchange: {} };
    const local = { ...plain, exchange: { every: 6, outer: { learningRate: 1, momentum: 0 } } };
    const [one, other] = [await trained(alone.cluster, plain), await trained(alone.cluster, local)];
    const [expected, found] = [weightsOf(alone.cluster, one), weightsOf(alone.cluster, other)];
    for (const [name, values] of expected) {
      // The change is a difference that is added again: that rounds. A bias before batch norm is next to nothing.
      const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0.01);
      const apart = values.map((value, i) => Math.abs(value - (found.get(name)?.[i] ?? Number.NaN)));
      expect(
        apart.every((far) => far <= 1e-4 * most),
        name,
      ).toBe(true);
    }
    expect(other.history.at(-1)!.trainLoss).toBeCloseTo(one.history.at(-1)!.trainLoss, 4);
  });

  it('learns, with the optimizer of DiLoCo', async () => {
    const { clipNorm: _, ema: __, accumulate: ___, ...training } = job.training;
    const ended = await trained(alone.cluster, { ...job, training: { ...training, epochs: 10 } });
    expect(ended.history.at(-1)!.testMetric).toBeGreaterThan(0.7);
  });

  it('changes the result with its length and its replicas', async () => {
    const others = [
      { every: 5, replicas: 3 },
      { every: 6, replicas: 2 },
      { every: 6, replicas: 3, optimizerState: 'reset' },
      { every: 6, replicas: 3, outer: {} },
    ];
    const digests = [];
    for (const exchange of others) digests.push((await trained(alone.cluster, { ...job, exchange })).digest);
    expect(new Set([digest, ...digests]).size).toBe(4);
    expect(digests[3]).toBe(digest);
  });
});

describe('the same weights', () => {
  it.each([
    [2, 'coordinator'],
    [3, 'coordinator'],
    [2, 'workers'],
    [3, 'workers'],
  ] as const)('with %i workers, by way of the %s', async (workers, exchange) => {
    const { cluster } = await clusters.of(workers, exchange);
    expect((await trained(cluster, job)).digest).toBe(digest);
  });

  it('in one worker of several slots, through shared memory', async () => {
    const { cluster } = await clusters.of(0, 'coordinator');
    const child = await cluster.worker(3);
    expect((await trained(cluster, job)).digest).toBe(digest);
    child.kill('SIGKILL');
  });

  it.each(['coordinator', 'workers'] as const)(
    'when a worker is killed in a round, by way of the %s',
    async (exchange) => {
      const { cluster, children } = await clusters.of(3, exchange);
      const ended = await trained(cluster, job, (step) => {
        if (step === 5) children[1]!.kill('SIGKILL');
      });
      expect(ended.digest).toBe(digest);
    },
  );

  it('when a worker stands still, and goes on', async () => {
    const { cluster, children } = await clusters.of(3, 'workers');
    let stopped = false;
    const ended = await trained(cluster, job, (step) => {
      if (stopped || step < 4) return;
      stopped = true;
      children[2]!.kill('SIGSTOP');
      void sleep(3_000).then(() => children[2]!.kill('SIGCONT'));
    });
    // Links that broke meanwhile are tried again much later: the next test has another one.
    children[2]!.kill('SIGKILL');
    expect(ended.digest).toBe(digest);
  });

  it('when the coordinator starts again between two checkpoints, and when Redis is emptied', async () => {
    const { cluster } = await clusters.of(2, 'coordinator');
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job));
    await vi.waitFor(async () => expect((await client.get(id)).step).toBeGreaterThanOrEqual(5), WAITED);
    await cluster.stopCoordinator();
    await cluster.startCoordinator();
    await vi.waitFor(async () => expect((await client.get(id)).step).toBeGreaterThanOrEqual(9), WAITED);
    const redis = new Redis(cluster.redisUrl);
    await redis.flushall();
    redis.disconnect();
    await vi.waitFor(async () => expect((await client.get(id)).state).toBe(DONE), WAITED);
    expect(await client.get(id)).toMatchObject({ digest });
    const counted = { samples: SAMPLES, epochs: 4, seed: SEED };
    expect(faultsOfLedger(cluster.ledger(id), counted)).toEqual([]);
    client.close();
  });

  it('when it is paused, and goes on', async () => {
    const { cluster } = await clusters.of(2, 'coordinator');
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job));
    await vi.waitFor(async () => expect((await client.get(id)).step).toBeGreaterThanOrEqual(5), WAITED);
    await client.pause(id);
    await vi.waitFor(
      async () => expect((await client.get(id)).state).toBe(JobState.JOB_STATE_PAUSED),
      WAITED,
    );
    await client.resume(id, 0);
    await vi.waitFor(async () => expect((await client.get(id)).state).toBe(DONE), WAITED);
    expect(await client.get(id)).toMatchObject({ digest });
    client.close();
  });
});
