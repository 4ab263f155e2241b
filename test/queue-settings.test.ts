/** What BullMQ's dashboards set on the queues of a job, or another program writes over them, holds nobody up, and is told of with what to do instead. */
import { REISSUE_QUEUE, TASK_QUEUES } from '@kasane/protocol/internal/queue/queue';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { runPrefix } from './support/task-queue.ts';

const cleanUp = new CleanUp();
const lines: string[] = [];
const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
const cluster = new TestCluster(cleanUp, { log });
let redis: Redis;
let job: object;
let digest = '';

beforeAll(async () => {
  await cluster.start();
  redis = new Redis(cluster.redisUrl);
  cleanUp.add(() => redis.disconnect());
  job = {
    name: 'settings',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 2_000, 300) },
    training: { epochs: 3, batch: 20, shards: 2, seed: 3 },
  };
  await cluster.worker();
  await cluster.worker();
  ({ digest } = await cluster.run(job));
  expect(digest).not.toBe('');
});
afterAll(() => cleanUp.run());

/** Runs the job, and has another program write to its queues after step 20: the job ends with the digest of an undisturbed one. */
async function disturbed(write: (keyOf: (queue: string, part: string) => string) => Promise<unknown>) {
  const { client } = cluster;
  cleanUp.add(() => client.close());
  lines.length = 0;
  const id = await client.submit(JSON.stringify(job));
  let isDone = false;
  for await (const { step } of client.watch(id)) {
    if (isDone || step < 20) continue;
    isDone = true;
    const prefix = await runPrefix(redis, id);
    await write((queue, part) => `${prefix}:${queue}:${part}`);
  }
  expect(isDone).toBe(true);
  expect(await client.get(id)).toMatchObject({ error: '', digest });
  return { id, events: await client.events(id) };
}
const queues = [...TASK_QUEUES, REISSUE_QUEUE];

it.each([
  ['paused', { paused: '1' }, "had paused the job's queues"],
  ['held at no task at once', { concurrency: '0' }, 'had limited how fast workers take tasks'],
  ['held at a task an hour', { max: '1', duration: '3600000' }, 'had limited how fast workers take tasks'],
])(
  'queues that are %s go on by themselves',
  async (_, settings, told) => {
    const { id } = await disturbed(async (keyOf) => {
      // As BullMQ's `pause`, `setGlobalConcurrency` and `setGlobalRateLimit` do.
      for (const queue of queues)
        await redis.multi().hset(keyOf(queue, 'meta'), settings).del(keyOf(queue, 'marker')).exec();
    });
    expect(lines.filter((line) => line.includes('another program'))).toEqual([expect.stringContaining(told)]);
    expect(lines.join()).toContain(`kasane pause ${id}`);
  },
  60_000,
);

it('queues whose keys another program overwrites are emptied, and their tasks handed out again', async () => {
  const { events } = await disturbed(async (keyOf) => {
    const set = redis.multi();
    for (const queue of queues)
      for (const part of ['wait', 'active', 'meta', 'events', 'id', 'marker'])
        set.set(keyOf(queue, part), 'garbage');
    await set.exec();
  });
  expect(lines.join('\n')).toMatch(/another program has overwritten \S+:wait in Redis.*WRONGTYPE.*emptied/);
  expect(events.map(({ text }) => text).join('\n')).toMatch(/WRONGTYPE: string instead of list/);
}, 60_000);
