/** A worker whose share grows while it holds tasks takes more at once: what it holds may wait for what it does not hold yet. */
import { setTimeout as sleep } from 'node:timers/promises';
import { queuePrefix, REISSUE_QUEUE, TASK_QUEUES } from '@kasane/protocol/internal/queue/queue';
import { TaskConsumer } from '@kasane/worker/internal/job/tasks';
import { pino } from 'pino';
import { afterAll, expect, it, vi } from 'vitest';
import { CleanUp } from './support/cluster.ts';
import { startTaskQueue, task } from './support/task-queue.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** A consumer with one slot, which holds what it fetches for ever. */
async function consuming(job: string) {
  const { redis, key, queue } = await startTaskQueue(cleanUp, job);
  const held: number[] = [];
  const consumer = new TaskConsumer({
    ...{ job, worker: 'w', slots: 1, redis, key, log: pino({ level: 'silent' }) },
    ...{ queues: TASK_QUEUES, reissueQueue: REISSUE_QUEUE },
    handle: ({ shard }) => {
      held.push(shard);
      return new Promise(() => {});
    },
  });
  cleanUp.add(() => consumer.close());
  return { redis, key, queue, consumer, held };
}

it.each([0, 1, 5, 50])(
  'takes its share where that grows %i ms after it began, and nothing is held',
  async (ms) => {
    const { consumer, held, queue } = await consuming(`early-${ms}`);
    await sleep(ms);
    consumer.share(2);
    await queue.add('ahead', [[task]]);
    await vi.waitFor(() => expect(held).toEqual([0]), { timeout: 30_000 });
    consumer.share(3);
    await queue.add('ahead', [[{ ...task, shard: 1 }]]);
    await vi.waitFor(() => expect(held).toEqual([0, 1]), { timeout: 30_000 });
  },
);

it('takes more while what it holds does not end, and nothing more once it drains', async () => {
  const { redis, key, queue, consumer, held } = await consuming('shared');
  await queue.add(
    'ahead',
    [0, 1, 2, 3].map((shard) => [{ ...task, shard }]),
  );
  await vi.waitFor(() => expect(held).toEqual([0]), { timeout: 30_000 });
  consumer.share(3);
  await vi.waitFor(() => expect(held).toEqual([0, 1, 2]), { timeout: 30_000 });
  await consumer.pause();
  consumer.share(4);
  consumer.restart();
  await sleep(300);
  expect(held).toHaveLength(3);
  expect(await redis.llen(`${queuePrefix('shared', key)}:tasks-even:wait`)).toBe(1);
});

it('takes nothing while its share is 0, of either kind, and begins again with one', async () => {
  const { queue, consumer, held } = await consuming('resting');
  consumer.share(0);
  await queue.add('ahead', [[task]]);
  await queue.add('now', [[{ ...task, shard: 1 }]]);
  await sleep(300);
  // A consumer that is asking when it is told to stop gets what it asked for.
  const before = held.length;
  expect(before).toBeLessThanOrEqual(2);
  await queue.add('ahead', [[{ ...task, shard: 2 }]]);
  await queue.add('now', [[{ ...task, shard: 3 }]]);
  await sleep(300);
  expect(held).toHaveLength(before);
  consumer.share(1);
  await vi.waitFor(() => expect(held).toEqual(expect.arrayContaining([3])), { timeout: 30_000 });
});
