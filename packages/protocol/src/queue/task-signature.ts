/**
 * What travels through Redis can be replaced by whoever reaches it. So a coordinator signs the tasks of a run with a key that only its
 * workers are given, over the data link, and a task carries the digest of its batch.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const KEY_BYTES = 32;

/** For one run of a job. Never in Redis. */
export const newTaskKey = (): Buffer => randomBytes(KEY_BYTES);

/** Signs the tasks of a queue entry. @param tasks as JSON keeps them */
export function signTasks(key: Uint8Array, job: string, tasks: unknown): string {
  return createHmac('sha256', key)
    .update(`${job}\n${JSON.stringify(tasks)}`)
    .digest('base64url');
}

/** Whether an entry of the queue is as the holder of the key wrote it. @param data of the entry, as it came */
export function areTasksSigned(key: Uint8Array, job: string, data: unknown): boolean {
  const { tasks, signature } = (data ?? {}) as { tasks?: unknown; signature?: unknown };
  if (typeof signature !== 'string' || tasks === undefined) return false;
  const [right, said] = [Buffer.from(signTasks(key, job, tasks)), Buffer.from(signature)];
  return right.length === said.length && timingSafeEqual(right, said);
}

/** Of a staged batch, as its task carries it. */
export const digestOfBatch = (batch: Uint8Array): string =>
  createHash('sha256').update(batch).digest('base64url');
