/** Further metrics of tests through a whole cluster: what the coordinator adds up from its workers is what `kasane eval` finds in one place. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate } from '@kasane/cli/internal/commands/eval/eval';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const path = temporaryDirectory(cleanUp);
const folder = temporaryDirectory(cleanUp);

const digits = (training: object = {}) => ({
  name: 'digits',
  model: {
    input: [784],
    classes: 10,
    layers: [{ type: 'dense', units: 16 }, { type: 'relu' }, { type: 'dense', units: 10 }],
  },
  data: { path },
  training: { epochs: 3, batch: 32, shards: 2, ...training },
  evaluation: { shardSamples: 64 },
});
const line = () => ({
  name: 'line',
  model: { input: [1], output: [1], layers: [{ type: 'dense', units: 1 }] },
  objective: { type: 'regression' },
  data: { format: 'csv', path: join(folder, 'line.csv'), target: 'y', task: 'regression' },
  training: { epochs: 2, batch: 8 },
  evaluation: { shardSamples: 7 },
});

async function trained(spec: object): Promise<Job> {
  const ended = await cluster.run(spec);
  expect(ended.error).toBe('');
  expect(ended.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  return ended;
}

/** What `kasane eval --json` prints of a job's weights. */
async function evaluated({ model }: Job, options: object): Promise<Record<string, unknown>> {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await evaluate(model, { coordinator: '127.0.0.1:1', json: true, ...options });
    return JSON.parse(String(out.mock.calls[0]![0])) as Record<string, unknown>;
  } finally {
    out.mockRestore();
  }
}

let alone: Job;
beforeAll(async () => {
  await cluster.start();
  smallMnist(path, 310, 150);
  const rows = Array.from({ length: 200 }, (_, i) => `${i % 17},${3 * (i % 17) + Math.sin(i)}`);
  writeFileSync(join(folder, 'line.csv'), `x,y\n${rows.join('\n')}\n`);
  await cluster.worker();
  alone = await trained(digits());
  await cluster.worker(2);
});
afterAll(() => cleanUp.run());

it('each epoch has them, the same with one worker and with three', async () => {
  const metrics = alone.history.map(({ testMetrics }) => testMetrics);
  expect(metrics.map((one) => Object.keys(JSON.parse(JSON.stringify(one))).sort())).toEqual(
    Array(3).fill(['f1', 'precision', 'recall']),
  );
  const more = await trained(digits());
  expect(more.history.map(({ testMetrics }) => testMetrics)).toEqual(metrics);
});

it('they are those that the weights have', async () => {
  const matrix = join(folder, 'confusion.csv');
  const record = await evaluated(alone, { data: path, confusion: matrix });
  expect(record.metrics).toEqual(alone.history.at(-1)!.testMetrics);
  const confusion = record.confusion as number[][];
  expect(confusion.flat().reduce((sum, times) => sum + times)).toBe(150);
  const right = confusion.reduce((sum, row, index) => sum + row[index]!, 0);
  expect(right / 150).toBeCloseTo(record.value as number, 6);
  const classes = record.classes as { name: string; samples: number; rocAuc: number }[];
  expect(classes.map(({ samples }) => samples)).toEqual(confusion.map((row) => row.reduce((a, b) => a + b)));
  for (const { rocAuc } of classes) expect(rocAuc).toBeGreaterThan(0.5);
  const lines = readFileSync(matrix, 'utf8').trimEnd().split('\n');
  expect(lines[0]).toBe('actual,0,1,2,3,4,5,6,7,8,9');
  expect(lines.slice(1)).toEqual(confusion.map((row, index) => [index, ...row].join()));
});

it('the coordinator keeps the confusion matrix of the newest test', async () => {
  const record = await evaluated(alone, { data: path });
  const { client } = cluster;
  try {
    const { epoch, classes, counts } = await client.confusion(alone.id);
    expect([epoch, classes]).toEqual([3, Array.from({ length: 10 }, (_, digit) => String(digit))]);
    expect(counts).toEqual((record.confusion as number[][]).flat());
    const other = await trained(line());
    expect(await client.confusion(other.id)).toEqual({ epoch: 0, classes: [], counts: [] });
    await client.delete(alone.id);
    await expect(client.confusion(alone.id)).rejects.toThrow(`there is no job '${alone.id}'`);
  } finally {
    client.close();
  }
});

it('of a regression, too', async () => {
  const job = await trained(line());
  const { testMetrics } = job.history.at(-1)!;
  const record = await evaluated(job, { data: join(folder, 'line.csv') });
  const { rmse, r2 } = record.metrics as { rmse: number; r2: number };
  expect(testMetrics).toEqual({ rmse: expect.closeTo(rmse, 9), r2: expect.closeTo(r2, 9) });
  expect(rmse).toBeCloseTo(Math.sqrt(record.loss as number), 5);
});

it('stop a training early', async () => {
  const stopEarly = { on: 'f1', patience: 1, least: 1 };
  const job = await trained(digits({ epochs: 9, stopEarly }));
  expect(job.history).toHaveLength(2);
  const best = [...job.history].sort((a, b) => b.testMetrics!.f1! - a.testMetrics!.f1!)[0]!;
  expect((await evaluated(job, { data: path })).metrics).toEqual(best.testMetrics);
});

it('a job is refused that watches one that it does not have', async () => {
  const spec = { ...line(), training: { epochs: 2, stopEarly: { on: 'f1' } } };
  await expect(cluster.client.submit(JSON.stringify(spec))).rejects.toThrow(
    'training.stopEarly.on: the tests of this job have no f1; expected loss, metric, rmse, r2',
  );
});

it('a confusion matrix is refused where there is none', async () => {
  const job = await trained(line());
  await expect(
    evaluated(job, { data: join(folder, 'line.csv'), confusion: join(folder, 'none.csv') }),
  ).rejects.toThrow(/is not a classifier; only classifiers of at most 100 classes have a confusion matrix/);
});
