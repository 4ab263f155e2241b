/** Averages of the weights, gradient accumulation and mixup through a whole cluster: the same bits whoever computes them. */
import { readFileSync } from 'node:fs';
import { evaluate } from '@kasane/cli/internal/commands/eval/eval';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { decodeSafetensors } from '@kasane/tensor/io/safetensors';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const path = temporaryDirectory(cleanUp);

const job = (training: object = {}, augment: object[] = [], more: object = {}) => ({
  name: 'averages',
  model: {
    input: [784],
    classes: 10,
    layers: [
      { type: 'dense', units: 16, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'dropout', rate: 0.1 },
      { type: 'dense', units: 10 },
    ],
  },
  // 310 is no multiple of 32: the last batch of an epoch has shards of other sizes.
  data: { path, augment },
  training: { epochs: 3, batch: 32, shards: 2, ...training },
  evaluation: { shardSamples: 64 },
  ...more,
});
const everything = job({ accumulate: 3, ema: { decay: 0.9 } }, [
  { type: 'crop', padding: 2 },
  { type: 'mixup' },
]);

const tensorsOf = (file: string) =>
  new Map(decodeSafetensors(readFileSync(file)).tensors.map(({ name, data }) => [name, data]));

function lastCheckpoint({ id }: Job): Map<string, Float32Array> {
  const store = new JobStore(cluster.state);
  try {
    return tensorsOf(store.checkpoints(id)[0]!.path) as Map<string, Float32Array>;
  } finally {
    store.close();
  }
}

async function trained(spec: object): Promise<Job> {
  const ended = await cluster.run(spec);
  expect(ended.error).toBe('');
  expect(ended.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  return ended;
}

let alone: Job;
beforeAll(async () => {
  await cluster.start();
  smallMnist(path, 310, 150);
  await cluster.worker();
  alone = await trained(everything);
  // From here on there are three, one of which gets everything over the data link.
  await Promise.all([cluster.worker(2), cluster.worker(1, { sharedMemory: false })]);
});
afterAll(() => cleanUp.run());

describe('all of it', () => {
  it('gives the same bits with one worker and with three', async () => {
    expect((await trained(everything)).digest).toBe(alone.digest);
  });

  it('each of it counts', async () => {
    const { data, training } = everything;
    const { ema, accumulate, ...plain } = training as unknown as Record<string, unknown>;
    const others = [
      { ...everything, training: { ...plain, accumulate } },
      { ...everything, training: { ...plain, ema } },
      { ...everything, data: { ...data, augment: [{ type: 'crop', padding: 2 }] } },
    ];
    const digests = new Set([alone.digest]);
    for (const other of others) digests.add((await trained(other)).digest);
    expect(digests.size).toBe(4);
  });

  it('learns: accuracy of mixtures is by their shares, of the test set what it always is', () => {
    const [first, last] = [alone.history[0]!, alone.history.at(-1)!];
    expect(last.testLoss).toBeLessThan(first.testLoss);
    for (const { trainMetric } of alone.history) {
      expect(trainMetric).toBeGreaterThan(0);
      expect(trainMetric).toBeLessThan(1);
    }
    // Counts of whole images.
    expect(150 * last.testMetric).toBeCloseTo(Math.round(150 * last.testMetric), 4);
  });
});

describe('averages', () => {
  it('are what comes out, and are in the checkpoint beside what is trained', () => {
    const [model, checkpoint] = [tensorsOf(alone.model), lastCheckpoint(alone)];
    expect(model.size).toBe(7);
    for (const [name, values] of model) {
      expect(values).toEqual(checkpoint.get(`optimizer.average/${name}`));
      expect(values).not.toEqual(checkpoint.get(name));
    }
  });

  it('are what is tested: the weights that come out have the loss that the last test had', async () => {
    const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    await evaluate(alone.model, { coordinator: '127.0.0.1:1', data: path, json: true });
    const record = JSON.parse(String(out.mock.calls[0]![0])) as { loss: number; value: number };
    out.mockRestore();
    expect(record.loss).toBeCloseTo(alone.history.at(-1)!.testLoss, 5);
    expect(record.value).toBeCloseTo(alone.history.at(-1)!.testMetric, 5);
  });

  it('leave what is trained alone', async () => {
    const { ema: _, ...training } = everything.training as unknown as Record<string, unknown>;
    const without = lastCheckpoint(await trained({ ...everything, training }));
    for (const [name, values] of without) expect(lastCheckpoint(alone).get(name)).toEqual(values);
  });

  it('go on where they were when a job is resumed', async () => {
    const long = {
      ...everything,
      training: { ...everything.training, epochs: 15 },
      checkpoint: { everySteps: 4 },
    };
    const whole = await trained(long);
    const { client } = cluster;
    try {
      const id = await client.submit(JSON.stringify(long));
      for await (const { step } of client.watch(id)) if (step >= 9) break;
      await client.cancel(id);
      expect((await client.get(id)).state).toBe(JobState.JOB_STATE_CANCELLED);
      await client.resume(id, 0);
      for await (const _ of client.watch(id));
      expect(await client.get(id)).toMatchObject({ error: '', digest: whole.digest });
    } finally {
      client.close();
    }
  });

  it('are those of the best epoch where a job stops early', async () => {
    const stopEarly = { patience: 2, least: 1, on: 'loss' };
    const spec = { ...everything, training: { ...everything.training, epochs: 9, stopEarly } };
    const stopped = await trained(spec);
    expect(stopped.history).toHaveLength(3);
    const best = [...stopped.history].sort((a, b) => a.testLoss - b.testLoss)[0]!;
    const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    await evaluate(stopped.model, { coordinator: '127.0.0.1:1', data: path, json: true });
    const record = JSON.parse(String(out.mock.calls[0]![0])) as { loss: number };
    out.mockRestore();
    expect(record.loss).toBeCloseTo(best.testLoss, 5);
  });
});
