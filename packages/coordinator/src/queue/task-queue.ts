/**
 * All of BullMQ and Redis on the coordinator's side: staged batches and queue entries of one job. Redis is a carrier,
 * not the truth: whatever is said here may be lost, and `steps/decide.ts` puts it back.
 */
import { createRequire } from 'node:module';
import {
  batchKey,
  everyRunOf,
  inUseKey,
  prefixOf,
  type QueueEntryData,
  queuePrefix,
  REISSUE_QUEUE,
  TASK_QUEUES,
  type TaskData,
  taskJobId,
} from '@kasane/protocol/internal/queue/queue';
import { digestOfBatch, signTasks } from '@kasane/protocol/internal/queue/task-signature';
import { tracing } from '@kasane/protocol/internal/tracing';
import { STAGED_VALUE_BYTES } from '@kasane/protocol/limits';
import type { Queue, QueueOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { QueueSettings, type QueueSettingsOptions, unlinkMatching } from './queue-settings.ts';

/** Of BullMQ's files those that are needed: its index loads as many again, for what nobody uses here. */
const require = createRequire(import.meta.url);
const { Queue: BullQueue } = require('bullmq/dist/cjs/classes/queue.js') as typeof import('bullmq');

interface Staging {
  readonly task: NewTask;
  /** Undefined where workers read the samples themselves. */
  readonly batch: Buffer | Promise<Buffer> | undefined;
}

export type NewTask = Omit<TaskData, 'parts' | 'digest'>;

interface Staged {
  readonly task: NewTask;
  readonly batch: Buffer | undefined;
}

/** Redis may be away when a job ends: so long, in milliseconds, it is waited for. */
const ENDING_MS = 2_000;

const within = async (ms: number, work: Promise<unknown>): Promise<void> => {
  let late: NodeJS.Timeout | undefined;
  const end = new Promise((resolve) => {
    late = setTimeout(resolve, ms);
  });
  await Promise.race([work, end]).finally(() => clearTimeout(late));
};

/** Spans of what is done with a queue, where spans are asked for. */
function telemetry(): Pick<QueueOptions, 'telemetry'> {
  const traces = tracing();
  return traces ? { telemetry: traces.queues as NonNullable<QueueOptions['telemetry']> } : {};
}

export class TaskQueue {
  readonly #job: string;
  readonly #redis: Redis;
  readonly #expirySeconds: number;
  readonly #key: Uint8Array;
  readonly #prefix: string;
  readonly #ahead: readonly Queue[];
  readonly #now: Queue;
  readonly #settings: QueueSettings;
  /** Resolves when what was last handed out ahead is staged. */
  #lastAhead: Promise<void> = Promise.resolve();

  /**
   * @param expirySeconds after which a staged batch that nobody removed goes by itself
   * @param key that tasks are signed with
   * @param onEmptied called when tasks were lost because another program wrote to a queue
   */
  constructor(
    job: string,
    redis: Redis,
    expirySeconds: number,
    key: Uint8Array,
    log: Pick<Logger, 'warn' | 'debug'>,
    onEmptied: QueueSettingsOptions['onEmptied'],
  ) {
    this.#key = key;
    this.#prefix = queuePrefix(job, key);
    this.#job = job;
    this.#expirySeconds = expirySeconds;
    this.#redis = redis;
    const queue = (name: string) => {
      const made = new BullQueue(name, {
        connection: redis,
        prefix: this.#prefix,
        skipWaitingForReady: true,
        // `inspectRedis` has looked.
        skipVersionCheck: true,
        streams: { events: { maxLen: 16 } },
        ...telemetry(),
        defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
      });
      // Said once for the connection they share.
      made.on('error', () => {});
      return made;
    };
    this.#ahead = TASK_QUEUES.map(queue);
    this.#now = queue(REISSUE_QUEUE);
    this.#settings = new QueueSettings({
      ...{ job, prefix: this.#prefix, queues: [...this.#ahead, this.#now] },
      ...{ redis, log, onEmptied },
    });
  }

  /**
   * Stages the batches of tasks and queues them, each group as one entry: `ahead` for tasks of coming steps, `now` for tasks
   * that can run at once; without `batchOf` nothing is staged. Rejects when Redis is away, and with what `batchOf` says.
   */
  async add(
    route: 'ahead' | 'now',
    groups: readonly (readonly NewTask[])[],
    batchOf?: (task: NewTask) => Buffer | Promise<Buffer>,
  ): Promise<void> {
    const batches = groups.map((tasks) => tasks.map((task) => ({ task, batch: batchOf?.(task) })));
    for (const { batch } of batches.flat()) if (batch instanceof Promise) batch.catch(() => {}); // awaited later
    if (route === 'now') return this.#stageAll(route, batches);
    // In the order of the calls: a worker that holds tasks of a later step would keep one of an earlier step waiting.
    const staged = this.#lastAhead.then(() => this.#stageAll(route, batches));
    this.#lastAhead = staged.catch(() => {});
    return staged;
  }

  async #stageAll(route: 'ahead' | 'now', batches: readonly (readonly Staging[])[]): Promise<void> {
    if (!batches.flat().some(({ batch }) => batch instanceof Promise)) {
      return this.#stage(route, batches as Staged[][]);
    }
    // What is read first is wanted first.
    for (const group of batches) {
      const staged: Staged[] = [];
      for (const { task, batch } of group) staged.push({ task, batch: await batch });
      await this.#stage(route, [staged]);
    }
  }

  async #stage(route: 'ahead' | 'now', groups: readonly (readonly Staged[])[]): Promise<void> {
    const staging = this.#redis.pipeline();
    const entries = groups.map((group) => {
      const tasks = group.map(({ task, batch }): TaskData => {
        const parts = Math.ceil((batch?.length ?? 0) / STAGED_VALUE_BYTES);
        for (let part = 0; part < parts; part++) {
          const value = batch!.subarray(part * STAGED_VALUE_BYTES, (part + 1) * STAGED_VALUE_BYTES);
          const key = batchKey(this.#prefix, task.kind, task.step, task.shard, part);
          staging.set(key, value, 'EX', this.#expirySeconds);
        }
        return { ...task, parts, ...(batch && { digest: digestOfBatch(batch) }) };
      });
      const data: QueueEntryData = { tasks, signature: signTasks(this.#key, this.#job, tasks) };
      const { kind, traceparent } = tasks[0]!;
      // The span of the first of its tasks is that of an entry.
      const traced = traceparent !== undefined && {
        telemetry: { metadata: JSON.stringify({ traceparent }) },
      };
      return { name: kind, data, opts: { jobId: taskJobId(tasks[0]!), ...traced } };
    });
    const byQueue = new Map<Queue, typeof entries>();
    for (const entry of entries) {
      const { tasks } = entry.data;
      const turn = Math.floor(tasks[0]!.step / tasks.length);
      const queue = route === 'now' ? this.#now : this.#ahead[turn % this.#ahead.length]!;
      byQueue.set(queue, [...(byQueue.get(queue) ?? []), entry]);
    }
    if (staging.length > 0) for (const [error] of (await staging.exec()) ?? []) if (error) throw error;
    await Promise.all(
      [...byQueue].map(([queue, part]) => {
        const { traceparent } = part[0]!.data.tasks[0]!;
        const add = () => queue.addBulk(part);
        return traceparent === undefined ? add() : tracing()!.within(traceparent, add);
      }),
    );
  }

  /** Removes the staged batches of tasks that have been counted. */
  async unstage(tasks: readonly Pick<NewTask, 'kind' | 'step' | 'shard'>[], partsOf: number): Promise<void> {
    const keys = tasks.flatMap((task) =>
      Array.from({ length: partsOf }, (_, part) =>
        batchKey(this.#prefix, task.kind, task.step, task.shard, part),
      ),
    );
    if (keys.length > 0) await this.#redis.unlink(...keys);
  }

  /** Removes from Redis, if it answers, everything of the run, and what is left of the job's runs whose coordinators were killed. */
  obliterate(): Promise<void> {
    return removeRuns(this.#redis, this.#job, this.#prefix);
  }

  async close(): Promise<void> {
    this.#settings.close();
    await within(ENDING_MS, Promise.allSettled([...this.#ahead, this.#now].map((queue) => queue.close())));
  }
}

/** Removes from Redis, if it answers, what is left of a job's runs whose coordinators were killed. @param own a run that has ended, too */
export function removeRuns(redis: Redis, job: string, own?: string): Promise<void> {
  const inUse = new Map<string, Promise<boolean>>(own === undefined ? [] : [[own, Promise.resolve(false)]]);
  const isLeft = (key: string) => {
    const prefix = prefixOf(key);
    const asked = inUse.get(prefix) ?? redis.exists(inUseKey(prefix)).then((count) => count > 0);
    inUse.set(prefix, asked);
    return asked.then((used) => !used);
  };
  return within(ENDING_MS, unlinkMatching(redis, everyRunOf(job), isLeft));
}

/** Number of Redis values that a batch of this many samples is cut into, at most. */
export function batchParts(samples: number, sampleBytes: number): number {
  return Math.ceil((samples * sampleBytes + 8192) / STAGED_VALUE_BYTES);
}
