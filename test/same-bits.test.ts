/** Promises 1 and 2: the same bits whoever computes them, and every sample counted once, whatever fails. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { faultsOfLedger } from './support/ledger.ts';

const SAMPLES = 2_990;
const EPOCHS = 3;
const SEED = 7;
const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const mnist = smallMnist(temporaryDirectory(cleanUp), SAMPLES, 500);
let job: object;
let quiet: Job;
let workers: ChildProcess[] = [];
/** Slots that each of them has; 0: they differ in something. */
let slotsOfEach = 0;

/** Exactly this many workers, of so many slots each. Those that are there stay: a start takes longer than a job. */
async function employ(count: number, slots: number): Promise<void> {
  await dismiss(slots === slotsOfEach ? count : 0);
  const missing = Array.from({ length: count - workers.length }, () => cluster.worker(slots));
  workers.push(...(await Promise.all(missing)));
  slotsOfEach = slots;
}

/** @param stay so many of them, at most */
async function dismiss(stay = 0): Promise<void> {
  workers = workers.filter((worker) => worker.exitCode === null && worker.signalCode === null);
  const gone = workers.splice(stay);
  const exits = gone.map((worker) => once(worker, 'exit'));
  for (const worker of gone) worker.kill('SIGKILL');
  await Promise.all(exits);
  if (workers.length === 0) slotsOfEach = 0;
}

function expectCountedOnce(id: string): void {
  const counted = { samples: SAMPLES, epochs: EPOCHS, seed: SEED };
  expect(faultsOfLedger(cluster.ledger(id), counted)).toEqual([]);
}

beforeAll(async () => {
  await cluster.start();
  job = {
    name: 'same-bits',
    model: { preset: 'mnist-mlp' },
    // 2990 is no multiple of 100: the last batch of an epoch is short.
    data: { path: mnist },
    training: { epochs: EPOCHS, batch: 100, shards: 4, seed: SEED },
    evaluation: { shardSamples: 200 },
  };
  await employ(1, 1);
  quiet = await cluster.run(job);
});
afterAll(async () => {
  await dismiss();
  await cleanUp.run();
});

describe('same bits', () => {
  it('trains at all: far better than chance, weights digested', () => {
    expect(quiet.state).toBe(JobState.JOB_STATE_SUCCEEDED);
    expect(quiet.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(quiet.history).toHaveLength(EPOCHS);
    expect(quiet.history.at(-1)!.testMetric).toBeGreaterThan(0.7);
    expectCountedOnce(quiet.id);
  });

  it('depend on the seed', async () => {
    const other = await cluster.run({ ...job, training: { epochs: EPOCHS, batch: 100, shards: 4, seed: 8 } });
    expect(other.digest).not.toBe(quiet.digest);
  });

  it.each([
    [2, 1],
    [4, 1],
    [1, 2],
    [2, 2],
    [4, 2],
  ])('with %i workers of %i slots', async (count, slots) => {
    await employ(count, slots);
    expect((await cluster.run(job)).digest).toBe(quiet.digest);
  });

  it('with slots of two threads, beside one of one', async () => {
    await dismiss();
    workers = await Promise.all([2, 1].map((threads) => cluster.worker(1, { threads })));
    expect((await cluster.run(job)).digest).toBe(quiet.digest);
  });

  it('through shared memory and over data links at once', async () => {
    await dismiss();
    workers = await Promise.all([true, false].map((sharedMemory) => cluster.worker(1, { sharedMemory })));
    expect((await cluster.run(job)).digest).toBe(quiet.digest);
  });

  it.each(['staged', 'direct'])('%s: samples through Redis, or read by the workers', async (route) => {
    await employ(2, 1);
    const same = { ...job, data: { path: mnist, route } };
    expect((await cluster.run(same)).digest).toBe(quiet.digest);
  });

  it('of a network with branches, batch norm and recurrence, on one worker or two', async () => {
    const other = {
      ...job,
      model: {
        input: [28, 28, 1],
        classes: 10,
        layers: [
          { type: 'conv2d', filters: 4, size: 3, stride: 2, padding: 1, name: 'stem' },
          { type: 'conv2d', filters: 4, size: 3, padding: 1, bias: false },
          { type: 'batchNorm' },
          { type: 'relu', name: 'branch' },
          { type: 'add', from: ['stem', 'branch'] },
          { type: 'averagePool', size: 2 },
          { type: 'reshape', shape: [7, 28] },
          { type: 'gru', units: 12 },
          { type: 'dense', units: 10 },
        ],
      },
      training: { epochs: 2, batch: 100, shards: 4, seed: SEED, learningRate: 0.01 },
    };
    await employ(1, 1);
    const alone = await cluster.run(other);
    await employ(2, 1);
    const together = await cluster.run(other);
    expect(alone.error).toBe('');
    expect(alone.history.at(-1)!.testMetric).toBeGreaterThan(0.5);
    expect(together.digest).toBe(alone.digest);
  });

  it('of a network whose versions arrive in many parts, computed with the first of them or all, and beside a worker that stops', async () => {
    const wide = {
      ...job,
      model: {
        input: [28, 28],
        classes: 10,
        layers: [
          { type: 'flatten' },
          ...[512, 512, 512].flatMap((units) => [{ type: 'dense', units }, { type: 'relu' }]),
          { type: 'dense', units: 10 },
        ],
      },
      training: { epochs: 2, batch: 100, shards: 4, seed: SEED },
    };
    await employ(1, 2);
    const whole = await cluster.run(wide);
    expect(whole.error).toBe('');
    await dismiss();
    workers = await Promise.all([true, false].map((sharedMemory) => cluster.worker(1, { sharedMemory })));
    let stopped = false;
    const parts = await cluster.run(wide, (step) => {
      if (stopped || step < 10) return;
      stopped = true;
      // What it holds is handed out a second time before it is given up; what it then still computes is of a version that is past.
      workers[0]!.kill('SIGSTOP');
      setTimeout(() => workers[0]!.kill('SIGCONT'), 2000);
    });
    expect(stopped).toBe(true);
    expect(parts.digest).toBe(whole.digest);
  });

  it('when a worker is killed and another joins late', async () => {
    await employ(2, 1);
    let killedAt = -1;
    let joined: Promise<unknown> | undefined;
    const ended = await cluster.run(job, (step) => {
      if (killedAt < 0 && step >= 20) {
        killedAt = step;
        workers[0]!.kill('SIGKILL');
      }
      if (!joined && step >= 45) joined = cluster.worker().then((worker) => workers.push(worker));
    });
    await joined;
    expect(killedAt).toBeGreaterThanOrEqual(20);
    expect(workers).toHaveLength(3);
    expect(ended.digest).toBe(quiet.digest);
    expectCountedOnce(ended.id);
  });

  it('when Redis forgets everything in mid-run', async () => {
    await employ(2, 1);
    const redis = new Redis(cluster.redisUrl);
    let flushed: Promise<unknown> | undefined;
    const ended = await cluster.run(job, (step) => {
      if (step >= 20) flushed ??= redis.flushall();
    });
    expect(await flushed).toBe('OK');
    redis.disconnect();
    expect(ended.digest).toBe(quiet.digest);
    expectCountedOnce(ended.id);
  });

  it('when the coordinator stops in mid-run and comes back', async () => {
    await employ(2, 1);
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job));
    for await (const now of client.watch(id)) if (now.step >= 40) break;
    client.close();
    await cluster.stopCoordinator();
    await cluster.startCoordinator();
    const again = cluster.client;
    for await (const now of again.watch(id)) if (now.state > JobState.JOB_STATE_RUNNING) break;
    const ended = await again.get(id);
    again.close();
    expect(ended.error).toBe('');
    expect(ended.digest).toBe(quiet.digest);
    expectCountedOnce(id);
  });
});
