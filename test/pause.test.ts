/** Jobs that are held back, and jobs that begin once more: they end with the weights that they would have had. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { faultsOfLedger } from './support/ledger.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let job: object;
let quiet: Job;
let worker: ChildProcess;

beforeAll(async () => {
  await cluster.start();
  job = {
    name: 'held',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 2_000, 300) },
    training: { epochs: 4, batch: 20, shards: 2, seed: 3 },
    // In several rounds, so that a test can be interrupted, too.
    evaluation: { shardSamples: 50 },
  };
  worker = await cluster.worker();
  quiet = await cluster.run(job);
  expect(quiet.error).toBe('');
});
afterAll(() => cleanUp.run());

/** Resolves once the job is as wanted. */
async function until(id: string, wanted: (job: Job) => boolean): Promise<Job> {
  const { client } = cluster;
  try {
    for await (const now of client.watch(id)) if (wanted(now)) return now;
    throw new Error(`job ${id} ended before`);
  } finally {
    client.close();
  }
}

describe('a paused job', () => {
  it('keeps its steps, outlives its coordinator, and ends with the same bits', async () => {
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job));
    await until(id, ({ step }) => step >= 30);
    const paused = await client.pause(id);
    expect(paused.state).toBe(JobState.JOB_STATE_PAUSED);
    expect(paused.waitingFor).toEqual({
      code: 'paused',
      args: JSON.stringify({ job: id }),
      text: `paused; resume it with \`kasane resume ${id}\``,
    });
    expect(paused.step).toBeGreaterThanOrEqual(30);
    expect(paused.step).toBeLessThan(quiet.step);
    await expect(client.pause(id)).rejects.toThrow('is already paused');
    client.close();
    await cluster.stopCoordinator();
    await cluster.startCoordinator();
    const again = cluster.client;
    const still = await again.get(id);
    expect([still.state, still.step]).toEqual([JobState.JOB_STATE_PAUSED, paused.step]);
    const resumed = await again.resume(id, 0);
    expect(resumed.submittedAt).toBe(paused.submittedAt);
    // Not one step is done twice.
    const first = await until(id, ({ state, steps }) => state === JobState.JOB_STATE_RUNNING && steps > 0);
    expect(first.step).toBeGreaterThanOrEqual(paused.step);
    for await (const now of again.watch(id)) if (hasEnded(now.state)) break;
    const ended = await again.get(id);
    again.close();
    expect(ended.error).toBe('');
    expect(ended.digest).toBe(quiet.digest);
    expect(ended.history.map(({ testLoss }) => testLoss)).toEqual(
      quiet.history.map(({ testLoss }) => testLoss),
    );
    expect(faultsOfLedger(cluster.ledger(id), { samples: 2_000, epochs: 4, seed: 3 })).toEqual([]);
  });

  it('has the same bits however often it is paused, between epochs and in them', async () => {
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job));
    for (const step of [1, 99, 100, 101, 250]) {
      await until(id, (now) => now.step >= step);
      await client.pause(id);
      await client.resume(id, 0);
    }
    for await (const now of client.watch(id)) if (hasEnded(now.state)) break;
    const ended = await client.get(id);
    client.close();
    expect(ended.digest).toBe(quiet.digest);
    expect(ended.history).toHaveLength(4);
  });

  it('can be cancelled; then it can be retried, from the start, with the same bits', async () => {
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job), 7);
    await expect(client.retry(id)).rejects.toThrow(
      `job ${id} has not ended; wait for it, or cancel it with \`kasane cancel ${id}\``,
    );
    await client.pause(id);
    expect((await client.cancel(id)).state).toBe(JobState.JOB_STATE_CANCELLED);
    await expect(client.pause(id)).rejects.toThrow('has already ended (cancelled)');
    await expect(client.setPriority(id, 1)).rejects.toThrow('has already ended (cancelled)');
    const next = await client.retry(id);
    expect(next).not.toBe(id);
    for await (const now of client.watch(next)) if (hasEnded(now.state)) break;
    const ended = await client.get(next);
    expect([ended.digest, ended.priority]).toEqual([quiet.digest, 7]);
    expect(hasEnded((await client.resume(id, 0)).state)).toBe(false);
    await until(id, ({ state }) => state === JobState.JOB_STATE_RUNNING);
    await client.cancel(id);
    client.close();
  });
});

it('a worker that is asked to drain stops, and its tasks go to others', async () => {
  const { client } = cluster;
  await expect(client.drain('nobody')).rejects.toThrow("no worker 'nobody' is connected");
  const id = await client.submit(JSON.stringify(job));
  await until(id, ({ step }) => step >= 10);
  const { workers } = await client.status();
  const gone = once(worker, 'exit');
  expect(await client.drain(workers[0]!.id)).toMatchObject({ draining: true });
  expect(await gone).toEqual([0, null]);
  await cluster.worker();
  for await (const now of client.watch(id)) if (hasEnded(now.state)) break;
  expect((await client.get(id)).digest).toBe(quiet.digest);
  client.close();
});
