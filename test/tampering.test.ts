/** Somebody else writes to the Redis of a cluster: what is replaced there is refused, and changes no bit of what is learnt. */

import { setTimeout as sleep } from 'node:timers/promises';
import { TASK_QUEUES } from '@kasane/protocol/internal/queue/queue';
import { areTasksSigned, newTaskKey, signTasks } from '@kasane/protocol/internal/queue/task-signature';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { runPrefix } from './support/task-queue.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('ends with the digest of a quiet run', async () => {
  const cluster = new TestCluster(cleanUp);
  await cluster.start();
  await cluster.worker();
  const job = {
    name: 'tampered',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 1_000, 100), route: 'staged' },
    training: { epochs: 2, batch: 20, shards: 2, seed: 3 },
  };
  const quiet = await cluster.run(job);
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const redis = new Redis(cluster.redisUrl);
  cleanUp.add(() => redis.disconnect());
  const id = await client.submit(JSON.stringify(job));
  const prefix = await runPrefix(redis, id);
  const queue = new Queue(TASK_QUEUES[0]!, { connection: redis, prefix });
  let replaced = 0;
  let over = false;
  // Batches get the samples of other shards, and tasks are put in that nobody signed, as fast as that goes.
  const tampering = (async () => {
    for (let count = 0; !over; count++) {
      const keys = (await redis.keys(`${prefix}:batch:*`)).sort();
      const [key, other] = [keys.at(-2), keys.at(-1)];
      const value = other === undefined ? null : await redis.getBuffer(other);
      if (key !== undefined && value && (await redis.set(key, value, 'EX', 60, 'XX'))) replaced++;
      const forged = {
        kind: 'train',
        step: count,
        shard: 0,
        attempt: 1,
        epoch: 0,
        first: 0,
        samples: 10,
        parts: 1,
      };
      await queue.add('train', { tasks: [forged], signature: 'x' }, { jobId: `forged-${count}` });
      await sleep(50);
    }
  })();
  for await (const _ of client.watch(id));
  over = true;
  await tampering;
  expect(replaced).toBeGreaterThan(0);
  expect(await client.get(id)).toMatchObject({ error: '', digest: quiet.digest });
});

it('knows what is signed', () => {
  const key = newTaskKey();
  const tasks = [{ step: 1, shard: 0 }];
  const entry = { tasks, signature: signTasks(key, 'a', tasks) };
  expect(areTasksSigned(key, 'a', JSON.parse(JSON.stringify(entry)))).toBe(true);
  expect(areTasksSigned(key, 'b', entry)).toBe(false);
  expect(areTasksSigned(newTaskKey(), 'a', entry)).toBe(false);
  expect(areTasksSigned(key, 'a', { ...entry, tasks: [{ step: 2, shard: 0 }] })).toBe(false);
  for (const other of [
    undefined,
    null,
    1,
    [],
    {},
    { tasks },
    { ...entry, signature: '' },
    { ...entry, signature: 1 },
  ])
    expect(areTasksSigned(key, 'a', other)).toBe(false);
});
