/** A coordinator on a restored backup trains the same jobs as the one that still runs: neither takes anything of the other's from their Redis. */
import { join } from 'node:path';
import { backUp } from '@kasane/coordinator/internal/store/backup';
import { everyRunOf, inUseKey } from '@kasane/protocol/internal/queue/queue';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { startTaskQueue, task } from './support/task-queue.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('both end with the digest of a quiet run, and the first loses no tasks', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  const cluster = new TestCluster(cleanUp, { log });
  await cluster.start();
  await cluster.worker();
  const job = {
    name: 'copied',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 2_000, 300), route: 'staged' },
    training: { epochs: 12, batch: 20, shards: 2, seed: 3 },
  };
  const quiet = await cluster.run(job);
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const redis = new Redis(cluster.redisUrl);
  cleanUp.add(() => redis.disconnect());
  const id = await client.submit(JSON.stringify(job));
  lines.length = 0;
  let copy: TestCluster | undefined;
  for await (const { step } of client.watch(id)) {
    if (copy || step < 120) continue;
    const target = join(temporaryDirectory(cleanUp), 'copy');
    await backUp(cluster.state, target);
    copy = new TestCluster(cleanUp, {}, target);
    await copy.startOn(cluster.redisUrl);
    await copy.worker();
  }
  const { client: other } = copy!;
  cleanUp.add(() => other.close());
  for await (const _ of other.watch(id)); // to its end
  for (const asked of [client, other])
    expect(await asked.get(id)).toMatchObject({ error: '', digest: quiet.digest });
  expect(lines.filter((line) => line.includes('no worker has fetched'))).toEqual([]);
  await vi.waitFor(async () => expect(await redis.keys(`{kasane:${id}*`)).toEqual([]));
}, 120_000);

it('what a killed coordinator left goes with the end of the run, what another one uses stays', async () => {
  const { redis, queue } = await startTaskQueue(cleanUp, 'left');
  await queue.add('ahead', [[task]]);
  const [own] = await redis.keys(everyRunOf('left'));
  expect(own).toBeDefined();
  const [killed, used] = ['{kasane:left:00000000}', '{kasane:left:11111111}'];
  const others = ['{kasane:left-00000000}:x', '{kasane:left-over:00000000}:x', '{kasane:left:over}:x'];
  for (const key of [`${killed}:x`, `${used}:x`, inUseKey(used), ...others]) await redis.set(key, 1);
  await queue.obliterate();
  expect((await redis.keys('*')).sort()).toEqual([`${used}:x`, inUseKey(used), ...others].sort());
});
