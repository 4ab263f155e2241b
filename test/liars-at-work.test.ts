/**
 * Workers that take part in a job and lie all the time, or do nothing: the job of the honest one beside them ends with the weights of a
 * quiet run. They claim what they have not fetched, which any worker with a token can.
 */
import { RunPlan } from '@kasane/coordinator/internal/run/plan';
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import { TaskFailure_Reason, type TaskId, type WorkerMessage } from '@kasane/protocol/gen/kasane/v1/training';
import { checkJob } from '@kasane/protocol/job';
import { ARRIVING_BYTES, PROTOCOL_VERSION } from '@kasane/protocol/limits';
import { CoordinatorStream } from '@kasane/worker/internal/connection/stream';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { RedisWriter } from './support/redis-proof.ts';

type Said = NonNullable<WorkerMessage['message']>;

const SHARDS = 4;
const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
/** Floats of the honest job's model. */
let parameters = 0;
/** Of the job that runs: which samples its tasks take, as any worker knows that has fetched one. */
let plan: RunPlan | undefined;
let job: { readonly training: object };
let quiet: string;
let writer: RedisWriter;

beforeAll(async () => {
  const { stepsAhead } = RunPlan.prototype;
  vi.spyOn(RunPlan.prototype, 'stepsAhead').mockImplementation(function (this: RunPlan, ...of) {
    plan = this;
    return stepsAhead.apply(this, of);
  });
  await cluster.start();
  writer = new RedisWriter(cluster.redisUrl);
  cleanUp.add(() => writer.close());
  const path = smallMnist(temporaryDirectory(cleanUp), 320, 100);
  job = {
    ...{ name: 'honest', model: { preset: 'mnist-mlp' }, data: { path } },
    training: { epochs: 3, batch: 32, shards: SHARDS },
  };
  // What it sends takes buffers of the coordinator's.
  await cluster.worker(1, { sharedMemory: false });
  parameters = checkJob(job).model.parameterCount;
  const { error, digest } = await cluster.run(job);
  expect(error).toBe('');
  quiet = digest;
});
afterAll(() => cleanUp.run());

/** What a liar does in each step, with each of its tasks. */
type Lie = (stream: CoordinatorStream, task: TaskId) => void;

const failing =
  (reason: TaskFailure_Reason): Lie =>
  (stream, task) =>
    stream.send({ $case: 'failure', value: { task, reason, message: 'it did not work' } });

/** An answer whose numbers an honest worker could have sent, but for one. */
const answering =
  (wrong: Partial<Extract<Said, { $case: 'result' }>['value']>): Lie =>
  (stream, task) => {
    const times = { computeMs: 1, samplesMs: 1, slotMs: 0, sentAt: Date.now(), testCounts: [], testSums: [] };
    const numbers = { samples: 8, lossSum: 18, metricSum: 1, counted: 8, samplesDigest: 7 };
    stream.send({ $case: 'result', value: { task, ...numbers, ...times, ...wrong } });
  };

/** Answers in everything as an honest worker's, with all of a gradient, but that its loss is no number. */
const nan: Lie = (stream, task) => {
  const { step, shard } = task;
  const of = { kind: 'train', step, shard, epoch: plan!.epochOf(step) } as const;
  const samples = plan!.samplesOf(of);
  const header = { kind: 'gradient', job: task.job, step, shard, attempt: task.attempt } as const;
  const bytes = 4 * parameters;
  for (let at = 0; at < bytes; at += ARRIVING_BYTES) {
    const part = new Uint8Array(Math.min(ARRIVING_BYTES, bytes - at));
    void stream.sendFrame({ ...header, partition: 0, offset: at / 4 }, part);
  }
  const samplesDigest = plan!.digest(of);
  answering({ samples, counted: samples, lossSum: Number.NaN, samplesDigest })(stream, task);
};

/** Its first four bytes, and never the rest. */
const beginning: Lie = (stream, { job, step, shard, attempt }) => {
  const header = { kind: 'gradient', job, step, shard, attempt, partition: 0, offset: 0 } as const;
  void stream.sendFrame(header, new Uint8Array(4));
};

const lies: Readonly<Record<string, Lie>> = {
  'say that computations fail': failing(TaskFailure_Reason.REASON_COMPUTE),
  'say that batches are damaged': failing(TaskFailure_Reason.REASON_BATCH_DAMAGED),
  'hand everything back': failing(TaskFailure_Reason.REASON_HANDED_BACK),
  'answer for other samples': answering({}),
  'answer that nothing is a number': answering({ lossSum: Number.NaN, metricSum: Number.NaN }),
  'begin to send gradients': beginning,
  'begin to send gradients, and fail': (stream, task) => {
    beginning(stream, task);
    failing(TaskFailure_Reason.REASON_COMPUTE)(stream, task);
  },
  'hold everything': () => {},
};

/** A worker that claims every task of each step, three attempts of it, and then lies. */
async function liar(name: string, lie: Lie | undefined): Promise<CoordinatorStream> {
  const stream: CoordinatorStream = new CoordinatorStream({
    coordinator: cluster.address,
    hello: { worker: name, host: 'here', slots: 4, backend: 'none', protocol: PROTOCOL_VERSION },
    heartbeat: () => ({ busy: 0, waiting: 0 }),
    onMessage: (message) => void writer.answer(message, (answer) => stream.send(answer)),
    onFrame: ({ header }) => {
      if (!lie || header.kind !== 'parameters' || header.offset > 0) return;
      for (const attempt of [1, 2, 3])
        for (let shard = 0; shard < SHARDS; shard++) {
          const { job, version: step } = header;
          const task = { job, kind: TaskKind.TASK_KIND_TRAIN, step, shard, attempt };
          stream.send({ $case: 'claim', value: { task } });
          lie(stream, task);
        }
    },
    onBroken: () => {},
    onRefused: () => {},
  });
  const { client } = cluster;
  const isThere = async () => (await client.status()).workers.some(({ id }) => id === name);
  await vi.waitFor(async () => expect(await isThere()).toBe(true), { timeout: 30_000 });
  client.close();
  return stream;
}

it.each(Object.keys(lies))('two workers that %s', async (what) => {
  const name = what.replaceAll(/\W+/g, '-');
  const liars = await Promise.all([1, 2].map((which) => liar(`${name}-${which}`, lies[what])));
  try {
    expect(await cluster.run(job)).toMatchObject({ error: '', digest: quiet });
  } finally {
    for (const one of liars) one.close();
  }
});

/** Under many names, one after the other or all at once. */
it.each([
  ['fail', 10, failing(TaskFailure_Reason.REASON_COMPUTE), 0],
  ['answer that nothing is a number', 4, nan, 0],
  ['answer that nothing is a number, where steps may be left out', 4, nan, 100],
  ['begin to send gradients', 7, beginning, 0],
] as const)('many names that %s', async (what, names, lie, skipNotFinite) => {
  const name = what.replaceAll(/\W+/g, '-');
  const liars = await Promise.all(
    Array.from({ length: names }, (_, which) => liar(`many-${name}-${which}`, lie)),
  );
  try {
    // Two steps: what drips in holds a buffer for two seconds each time.
    const training = { ...job.training, epochs: 1, batch: 160, skipNotFinite };
    const { error, digest } = await cluster.run({ ...job, training });
    expect(error).toBe('');
    for (const one of liars) one.close();
    expect((await cluster.run({ ...job, training })).digest).toBe(digest);
  } finally {
    for (const one of liars) one.close();
  }
});

it('two workers that fetch nothing, nearly all slots of the cluster', async () => {
  const liars = await Promise.all(['idle-1', 'idle-2'].map((name) => liar(name, undefined)));
  try {
    expect(await cluster.run(job)).toMatchObject({ error: '', digest: quiet });
  } finally {
    for (const one of liars) one.close();
  }
});
