/** The contract of the task queue: names, what a task carries, where its batch is staged. All of it small and plain. */
import { createHmac } from 'node:crypto';
import * as z from '../gen/zod.js';
import { LOOK_AHEAD_STEPS } from '../limits.ts';

const RUN_CHARACTERS = 8;
/**
 * Keys of all queues of one run share this BullMQ prefix; the tag keeps them in one slot of a Redis Cluster. Each run has its own: a
 * coordinator on a restored copy of a state directory trains the same jobs, maybe on the Redis of the one that was copied.
 * @param key that the run's tasks are signed with
 */
export function queuePrefix(job: string, key: Uint8Array): string {
  const run = createHmac('sha256', key).update('queues').digest('hex').slice(0, RUN_CHARACTERS);
  return `{kasane:${job}:${run}}`;
}
/** Matches the keys of all runs of a job. */
export const everyRunOf = (job: string): string => `{kasane:${job}:${'[0-9a-f]'.repeat(RUN_CHARACTERS)}}:*`;
/** The prefix that a key of a run begins with. */
export const prefixOf = (key: string): string => key.slice(0, key.indexOf('}') + 1);
/** There while a coordinator uses the queues of a run. */
export const inUseKey = (prefix: string): string => `${prefix}:in-use`;
/**
 * Tasks handed out ahead of their step: those of even steps (or groups of steps) in one queue, those of odd ones in the
 * other. A worker takes from each no more than its share of a step, so it can hold tasks of the next step without taking those
 * that belong to others: with one queue for all, whoever fetched first held a whole step and computed it alone.
 */
export const TASK_QUEUES: readonly string[] = ['tasks-even', 'tasks-odd'];
/** Re-issued tasks: a queue of their own, so that a worker full of look-ahead tasks still takes them. */
export const REISSUE_QUEUE = 'reissues';

/** Redis key of a staged batch. Several values when it exceeds STAGED_VALUE_BYTES: part 0, 1, ... @param prefix of the run */
export function batchKey(
  prefix: string,
  kind: TaskData['kind'],
  step: number,
  shard: number,
  part: number,
): string {
  return `${prefix}:batch:${kind}:${step}:${shard}:${part}`;
}

/** Shards that one task may have: a level of the tree of shards has powers of two. */
export const MOST_SHARDS_OF_TASK = 32;
/** Workers that a task may name as not to compute it. */
export const MOST_AVOIDED = 8;

/** One task. The samples themselves are in Redis under `batchKey`, or the worker reads them. */
export const taskDataSchema = z.object({
  kind: z.enum(['train', 'evaluate']),
  /** Training: step counted from 0 = parameter version needed. Evaluation: the version to evaluate. */
  step: z.int().nonnegative(),
  /** Which of the step's tasks: its shard, or its group of shards. */
  shard: z.int().nonnegative(),
  attempt: z.int().positive(),
  epoch: z.int().nonnegative(),
  /** The first of its samples, in the order of the epoch; in evaluation in that of the test data. */
  first: z.int().nonnegative(),
  samples: z.int().positive(),
  /** Training, a group of shards: how many of the samples each has, in order. Their gradients are added along the tree of shards. */
  shards: z.array(z.int().positive()).min(2).max(MOST_SHARDS_OF_TASK).optional(),
  /** Number of Redis values that the batch frame is cut into; 0 where the worker reads the samples itself. */
  parts: z.int().nonnegative(),
  /** SHA-256 of the batch frame; absent where the worker reads the samples itself. */
  digest: z.string().max(64).optional(),
  /** Workers that leave it to others: they hold another attempt of it, or failed at it. */
  avoid: z.array(z.string().max(128)).max(MOST_AVOIDED).optional(),
  /** The span that those of its worker are parts of. */
  traceparent: z.string().max(64).optional(),
});
export type TaskData = z.infer<typeof taskDataSchema>;

/**
 * What a queue entry carries: one task, or those of the same shard in several steps. An entry costs both sides and Redis as much
 * as a short computation does, so where steps are short it carries several.
 */
export const queueEntrySchema = z.object({
  tasks: z.array(taskDataSchema).min(1).max(LOOK_AHEAD_STEPS),
  /** Of the tasks, by `signTasks`. */
  signature: z.string().max(64),
});
export type QueueEntryData = z.infer<typeof queueEntrySchema>;

/** BullMQ job id, by an entry's first task: the same attempt can not be queued twice. No colon: BullMQ keeps it for itself. */
export const taskJobId = (task: Pick<TaskData, 'kind' | 'step' | 'shard' | 'attempt'>): string =>
  `${task.kind}-${task.step}-${task.shard}-${task.attempt}`;
