/** A task that some workers leave to others is passed on from one to the next, and does not wait in between. */
import { startRedis } from '@kasane/cli/redis/start';
import { TaskQueue } from '@kasane/coordinator/queue/task-queue';
import { queuePrefix, REISSUE_QUEUE, TASK_QUEUES } from '@kasane/protocol/queue';
import { heard } from '@kasane/protocol/redis-errors';
import { newTaskKey } from '@kasane/protocol/task-signature';
import { TaskConsumer } from '@kasane/worker/tasks';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, expect, it, vi } from 'vitest';
import { CleanUp } from './support/cluster.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const job = 'passing';
const task = { kind: 'train', step: 0, shard: 0, attempt: 1, epoch: 0, first: 0, samples: 4 } as const;
const avoid = ['a', 'b', 'c'];

it('comes to a worker that is not to leave it, one after the other', async () => {
  const server = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => server.close());
  const redis = heard(new Redis(server.url, { maxRetriesPerRequest: null }));
  cleanUp.add(() => redis.disconnect());
  const key = newTaskKey();
  const queue = new TaskQueue(job, redis, 60, key);
  cleanUp.add(() => queue.close());
  const taken: string[] = [];
  for (const worker of ['a', 'b', 'c', 'd', 'e']) {
    const consumer = new TaskConsumer({
      ...{ job, worker, slots: 1, redis, key, log: pino({ level: 'silent' }) },
      ...{ queues: TASK_QUEUES, reissueQueue: REISSUE_QUEUE },
      handle: async () => void taken.push(worker),
    });
    cleanUp.add(() => consumer.close());
  }
  const events = `${queuePrefix(job)}:${REISSUE_QUEUE}:events`;
  const seen = new Set<string | undefined>();
  for (let attempt = 1; attempt <= 8; attempt++) {
    await queue.add('now', [[{ ...task, attempt, avoid }]]);
    await vi.waitFor(() => expect(taken).toHaveLength(attempt), { timeout: 30_000, interval: 5 });
    for (const [, fields] of await redis.xrange(events, '-', '+'))
      seen.add(fields[fields.indexOf('event') + 1]);
  }
  expect(taken.filter((worker) => avoid.includes(worker))).toEqual([]);
  expect([...seen]).toContain('waiting');
  expect([...seen]).not.toContain('delayed');
});
