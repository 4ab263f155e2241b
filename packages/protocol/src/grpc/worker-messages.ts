/**
 * What workers may say: for each field of each message the values that an honest worker can send. The table is typed over the
 * messages, so that a new field does not compile without its range. Checked where a message arrives, before anything looks at it.
 */
import { CONFUSION_CLASSES, MOST_OUTPUTS } from '@kasane/tensor/internal/test-metrics';
import { KasaneError } from '../errors.ts';
import { TaskKind } from '../gen/kasane/v1/common.ts';
import { TaskFailure_Reason, type TaskId, type WorkerMessage } from '../gen/kasane/v1/training.ts';
import { BATCH_BYTES, SLOTS, WORKER_TIME_MS } from '../limits.ts';
import { NONCE_BYTES } from '../queue/redis-proof.ts';

/** The values that a field may have. */
export interface FieldRule {
  /** What is expected, for messages. */
  readonly expected: string;
  readonly allows: (value: unknown) => boolean;
}
/** The rules of a message that is part of another one. */
export interface PartRules {
  readonly part: Readonly<Record<string, FieldRule>>;
}

type Said = NonNullable<WorkerMessage['message']>;
type Rules<T> = { readonly [K in keyof T]-?: NonNullable<T[K]> extends TaskId ? PartRules : FieldRule };

const UINT32 = 2 ** 32 - 1;
/** Numbers of a tally, at most: see tally.ts. */
const MOST_COUNTS = Math.max(3 * MOST_OUTPUTS, 3 * CONFUSION_CLASSES + CONFUSION_CLASSES ** 2) + 1;

const count = (least: number, most: number): FieldRule => ({
  expected: `a whole number from ${least} to ${most}`,
  allows: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
});
const number = (least: number, most: number): FieldRule => ({
  expected: `a number from ${least} to ${most}`,
  allows: (value) => typeof value === 'number' && value >= least && value <= most,
});
/** Sums of a computation may be infinite or no number at all: what follows from that is decided where they are counted. */
const sum: FieldRule = { expected: 'a number', allows: (value) => typeof value === 'number' };
const flag: FieldRule = { expected: 'true or false', allows: (value) => typeof value === 'boolean' };
const oneOf = (values: readonly number[]): FieldRule => ({
  expected: `one of ${values.join(', ')}`,
  allows: (value) => values.includes(value as number),
});
/** For people: it is shortened where it is kept, and what terminals take for orders is written out (plain-text.ts). */
const text: FieldRule = { expected: 'text', allows: (value) => typeof value === 'string' };
const job: FieldRule = {
  expected: '1 to 128 characters',
  allows: (value) => typeof value === 'string' && value.length >= 1 && value.length <= 128,
};
const session: FieldRule = {
  expected: 'none, or 16 to 64 bytes',
  allows: (value) =>
    value === undefined ||
    (value instanceof Uint8Array && (value.length === 0 || (value.length >= 16 && value.length <= 64))),
};
/** Whether it can be the weight of these samples is for the job's plan to say. */
const weight: FieldRule = {
  expected: 'none, or a number of at least 0',
  allows: (value) => value === undefined || (typeof value === 'number' && value >= 0 && value < Infinity),
};
const layout: FieldRule = {
  expected: 'none, or a whole number of at least 1',
  allows: (value) => value === undefined || (Number.isInteger(value) && (value as number) >= 1),
};
const nonce: FieldRule = {
  expected: `${NONCE_BYTES} bytes`,
  allows: (value) => value instanceof Uint8Array && value.length === NONCE_BYTES,
};
/** Whether they fit the job is for its plan to say. */
const list = (rule: FieldRule, most: number): FieldRule => ({
  expected: `a list of at most ${most}, each ${rule.expected}`,
  allows: (value) => Array.isArray(value) && value.length <= most && value.every(rule.allows),
});
const milliseconds = number(0, WORKER_TIME_MS);

const task: PartRules = {
  part: {
    job,
    kind: oneOf([TaskKind.TASK_KIND_TRAIN, TaskKind.TASK_KIND_EVALUATE]),
    step: count(0, UINT32),
    shard: count(0, UINT32),
    attempt: count(1, UINT32),
  } satisfies Rules<TaskId>,
};

/** The table: every message that a worker sends, every field of it. */
export const workerMessages: { readonly [S in Said as S['$case']]: Rules<S['value']> } = {
  hello: {
    worker: {
      expected: 'an id of 1 to 128 letters, digits and .:_-',
      allows: (value) => typeof value === 'string' && /^[\w.:-]{1,128}$/.test(value),
    },
    host: text,
    slots: count(1, SLOTS),
    backend: text,
    protocol: count(0, UINT32),
    session,
  },
  heartbeat: { busy: count(0, SLOTS), waiting: count(0, UINT32) },
  claim: { task },
  roundProgress: { task, steps: count(0, UINT32) },
  result: {
    task,
    // Each takes more than a byte of a batch.
    samples: count(1, BATCH_BYTES),
    lossSum: sum,
    metricSum: sum,
    counted: count(0, UINT32),
    weight,
    samplesDigest: count(0, UINT32),
    computeMs: milliseconds,
    samplesMs: milliseconds,
    slotMs: milliseconds,
    sentAt: number(0, 8.64e15),
    layout,
    testCounts: list(count(0, UINT32), MOST_COUNTS),
    testSums: list(sum, MOST_COUNTS),
  },
  failure: {
    task,
    reason: oneOf(Object.values(TaskFailure_Reason).filter((value) => value > 0)),
    message: text,
  },
  drain: {},
  memoryOpened: { job },
  dataReach: { job, able: flag, why: text },
  jobRefused: { job, why: text },
  versionMissing: { job, version: count(0, UINT32) },
  redisWritten: { nonce, redis: text },
  peersOpened: { address: text, why: text },
  peerReach: { worker: text, able: flag, bytesPerSecond: number(0, 1e15), why: text },
};

/**
 * Checks every field of a worker's message.
 * @throws KasaneError PROTOCOL naming the field, what came and what is expected
 */
export function checkWorkerMessage({ $case, value }: Said): void {
  checkFields($case, workerMessages[$case], value as unknown as Readonly<Record<string, unknown>>);
}

function checkFields(
  path: string,
  rules: Readonly<Record<string, FieldRule | PartRules>>,
  value: Readonly<Record<string, unknown>>,
): void {
  for (const [field, rule] of Object.entries(rules)) {
    const given = value[field];
    if ('part' in rule) {
      if (typeof given !== 'object' || given === null)
        throw new KasaneError('PROTOCOL', `${path}.${field} is missing`);
      checkFields(`${path}.${field}`, rule.part, given as Readonly<Record<string, unknown>>);
    } else if (!rule.allows(given))
      throw new KasaneError('PROTOCOL', `${path}.${field} is ${brief(given)}; expected ${rule.expected}`);
  }
}

/** A value for a message: short, whatever it is. */
function brief(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 40 ? `${JSON.stringify(value.slice(0, 40))}...` : JSON.stringify(value);
  return String(value).slice(0, 40);
}
