/** A task's samples: fetched from where the coordinator staged them, verified, and prepared for a slot. */
import { crc32 } from 'node:zlib';
import { messageOf } from '@kasane/protocol/errors';
import { TaskFailure_Reason } from '@kasane/protocol/gen/kasane/v1/training';
import { batchKey, type TaskData } from '@kasane/protocol/internal/queue/queue';
import { digestOfBatch } from '@kasane/protocol/internal/queue/task-signature';
import { decodeFrame } from '@kasane/protocol/internal/wire/frame';
import { BATCH_BYTES } from '@kasane/protocol/limits';
import { fieldBytes, formatField, sameField } from '@kasane/tensor/internal/field';
import type { OwnData, OwnSamples } from './own-data.ts';
import type { SampleReader } from './sample-reader.ts';

export interface Samples {
  /** As the network's input, row-major. */
  readonly x: Float32Array;
  /** Class indices or tokens; float32 for anything else. */
  readonly target: Int32Array | Float32Array;
  /** Indices in the dataset. */
  readonly ids: Uint32Array;
  /** CRC-32 of `ids` as little-endian uint32. */
  readonly digest: number;
}

/** The batch is missing, or does not match the task. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
  readonly reason: TaskFailure_Reason;
  constructor(reason: TaskFailure_Reason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Identifies a run in Redis. */
export interface RunKeys {
  readonly job: string;
  /** Prefix of the run's keys. */
  readonly prefix: string;
}

/** The Redis commands used here. */
export interface BatchSource {
  mgetBuffer(...keys: string[]): Promise<(Buffer | null)[]>;
}

/**
 * Fetches a task's samples and writes their inputs to `x`, which must have the matching length. If none are staged, reads them from
 * `own`.
 * @throws BatchError if the samples are missing, cannot be read, or are damaged
 */
export async function fetchSamples(
  source: BatchSource,
  { job, prefix }: RunKeys,
  task: TaskData,
  reader: SampleReader,
  x: Float32Array,
  own: Pick<OwnData, 'read'>,
): Promise<Samples> {
  if (task.parts === 0) return readOwn(own, task, reader, x);
  const keys = Array.from({ length: task.parts }, (_, part) =>
    batchKey(prefix, task.kind, task.step, task.shard, part),
  );
  const parts = await source.mgetBuffer(...keys).catch((error: unknown) => {
    throw new BatchError(
      TaskFailure_Reason.REASON_BATCH_MISSING,
      `Redis did not answer: ${messageOf(error)}`,
    );
  });
  if (!areParts(parts, keys.length)) {
    const isMissing = Array.isArray(parts) && parts.includes(null);
    const why = isMissing ? 'is not in Redis' : 'was asked for, and Redis answered something else';
    throw new BatchError(
      TaskFailure_Reason.REASON_BATCH_MISSING,
      `the batch of step ${task.step} shard ${task.shard} ${why}`,
    );
  }
  const frame = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  if (digestOfBatch(frame) !== task.digest)
    throw new BatchError(
      TaskFailure_Reason.REASON_BATCH_DAMAGED,
      `the batch of step ${task.step} shard ${task.shard} in Redis is not the one that was staged: another program has replaced it`,
    );
  return decodeSamples(frame, job, task, reader, x);
}

/** Whether Redis gave a valid reply: an invalid one does not mean that the task cannot be computed. */
const areParts = (parts: unknown, count: number): parts is Buffer[] =>
  Array.isArray(parts) && parts.length === count && parts.every((part) => Buffer.isBuffer(part));

/** @throws BatchError */
export function decodeSamples(
  frame: Uint8Array,
  job: string,
  task: TaskData,
  reader: SampleReader,
  x: Float32Array,
): Samples {
  const damaged = (why: string) =>
    new BatchError(
      TaskFailure_Reason.REASON_BATCH_DAMAGED,
      `the batch of step ${task.step} shard ${task.shard}: ${why}`,
    );
  let decoded: ReturnType<typeof decodeFrame>;
  try {
    decoded = decodeFrame(frame, BATCH_BYTES);
  } catch (error) {
    throw damaged(messageOf(error));
  }
  const { header, payload } = decoded;
  if (header.kind !== 'batch') throw damaged(`it is a '${header.kind}' frame`);
  const count = header.samples;
  if (
    header.job !== job ||
    header.step !== task.step ||
    header.shard !== task.shard ||
    count !== task.samples
  ) {
    throw damaged(
      `it is ${count} samples of job ${header.job} step ${header.step} shard ${header.shard}; expected ${task.samples}`,
    );
  }
  const { input, target } = reader;
  if (!sameField(header.input, input) || !sameField(header.target, target)) {
    throw damaged(
      `it has ${formatField(header.input)} and ${formatField(header.target)}; the job expects ${formatField(input)} and ${formatField(target)}`,
    );
  }
  const [targetBytes, inputBytes] = [count * fieldBytes(target), count * fieldBytes(input)];
  const end = 4 * count + targetBytes + inputBytes;
  if (payload.length !== end) throw damaged(`${payload.length} bytes; ${count} samples take ${end}`);
  // Copied, because the frame is a view at an arbitrary offset, and so is a Buffer's slice.
  const idBytes = new Uint8Array(payload.subarray(0, 4 * count));
  const ids = new Uint32Array(idBytes.buffer, idBytes.byteOffset, count);
  const targetEnd = 4 * count + targetBytes;
  const [targets, inputs] = [payload.subarray(4 * count, targetEnd), payload.subarray(targetEnd)];
  return samplesOf(task, { ids, inputs, targets }, reader, x);
}

function samplesOf(
  { kind, epoch, shards }: TaskData,
  { ids, inputs, targets }: OwnSamples,
  reader: SampleReader,
  x: Float32Array,
): Samples {
  const target = reader.read(inputs, targets, x, { kind, epoch, ids, shards });
  return { x, target, ids, digest: crc32(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength)) };
}

async function readOwn(
  own: Pick<OwnData, 'read'>,
  task: TaskData,
  reader: SampleReader,
  x: Float32Array,
): Promise<Samples> {
  const samples = await own.read(task).catch((error: unknown) => {
    throw new BatchError(TaskFailure_Reason.REASON_BATCH_MISSING, messageOf(error));
  });
  try {
    return samplesOf(task, samples, reader, x);
  } finally {
    samples.release?.();
  }
}
