/** A task that some workers leave to others is passed on from one to the next, and does not wait in between. Redis's refusals are told of. */
import { MOST_AVOIDED, queuePrefix, REISSUE_QUEUE, TASK_QUEUES } from '@kasane/protocol/internal/queue/queue';
import { TaskConsumer } from '@kasane/worker/internal/job/tasks';
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
  const events = `${queuePrefix(job, key)}:${REISSUE_QUEUE}:events`;
  /** Events by their IDs: the queue keeps only its last ones. */
  const told = new Map<string, Record<string, string>>();
  for (let attempt = 1; attempt <= 8; attempt++) {
    await queue.add('now', [[{ ...task, attempt, avoid }]]);
    const look = async () => {
      for (const [id, fields] of await redis.xrange(events, '-', '+'))
        told.set(
          id,
          Object.fromEntries(fields.flatMap((name, n) => (n % 2 ? [] : [[name, fields[n + 1]!]]))),
        );
      expect(taken).toHaveLength(attempt);
    };
    await vi.waitFor(look, { timeout: 30_000, interval: 5 });
  }
  const histories = new Map<string, string[]>();
  for (const { jobId, event } of told.values()) {
    // That a queue is empty is told of no entry.
    if (jobId) histories.set(jobId, [...(histories.get(jobId) ?? []), event!]);
  }
  expect(taken.filter((worker) => avoid.includes(worker))).toEqual([]);
  expect(histories.size).toBe(8);
  const passed = [...histories.values()].map((history) => {
    // Where the machine is busy the free ones may come late: only then it waits, and not before all others have passed it on.
    const before = history.includes('delayed') ? history.slice(0, history.indexOf('delayed')) : history;
    const times = before.filter((event) => event === 'waiting').length - 1;
    if (before !== history) expect(times).toBe(MOST_AVOIDED + 1);
    return times;
  });
  expect(Math.max(...passed)).toBeGreaterThan(0);
});

it('a queue that Redis refuses to use is told of', async () => {
  const { redis, key } = await startTaskQueue(cleanUp, 'refused');
  const lines: string[] = [];
  for (const name of TASK_QUEUES) await redis.set(`${queuePrefix('refused', key)}:${name}:marker`, 'garbage');
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  const consumer = new TaskConsumer({
    ...{ job: 'refused', worker: 'a', slots: 1, redis, key, log },
    ...{ queues: TASK_QUEUES, reissueQueue: REISSUE_QUEUE },
    handle: async () => {},
  });
  cleanUp.add(() => consumer.close());
  const told = /Redis refuses to hand out tasks from queue tasks-\w+ of job refused: WRONGTYPE/;
  await vi.waitFor(() => expect(lines).toEqual([expect.stringMatching(told)]), { timeout: 10_000 });
});
