/** A task that some workers leave to others is passed on from one to the next, and does not wait in between. */
import { queuePrefix, REISSUE_QUEUE, TASK_QUEUES } from '@kasane/protocol/queue';
import { TaskConsumer } from '@kasane/worker/tasks';
import { pino } from 'pino';
import { afterAll, expect, it, vi } from 'vitest';
import { CleanUp } from './support/cluster.ts';
import { startTaskQueue, task } from './support/task-queue.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const job = 'passing';
const avoid = ['a', 'b', 'c'];

it('comes to a worker that is not to leave it, one after the other', async () => {
  const { redis, key, queue } = await startTaskQueue(cleanUp, job);
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
