/** A queue of tasks with the Redis behind it, without coordinator and workers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { TaskQueue } from '@kasane/coordinator/internal/queue/task-queue';
import { everyRunOf, prefixOf } from '@kasane/protocol/internal/queue/queue';
import { heard } from '@kasane/protocol/internal/queue/redis-errors';
import { newTaskKey } from '@kasane/protocol/internal/queue/task-signature';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import type { CleanUp } from './cluster.ts';

/** What a task may carry. */
export const task = { kind: 'train', step: 0, shard: 0, attempt: 1, epoch: 0, first: 0, samples: 4 } as const;

/** The prefix of the keys of a job's run, once it has a queue. */
export async function runPrefix(redis: Redis, job: string): Promise<string> {
  for (;;) {
    const [key] = await redis.keys(everyRunOf(job));
    if (key !== undefined) return prefixOf(key);
    await sleep(20);
  }
}

export async function startTaskQueue(cleanUp: CleanUp, job: string) {
  const server = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => server.close());
  const redis = heard(new Redis(server.url, { maxRetriesPerRequest: null }));
  cleanUp.add(() => redis.disconnect());
  const key = newTaskKey();
  const queue = new TaskQueue(job, redis, 60, key, pino({ level: 'silent' }), () => {});
  cleanUp.add(() => queue.close());
  return { redis, key, queue };
}
