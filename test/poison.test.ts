/** What is no number, or no frame, is refused where it arrives: it never reaches weights, and whoever sends it is sent away. */
import { once } from 'node:events';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { PROTOCOL_VERSION } from '@kasane/protocol/limits';
import { CoordinatorStream } from '@kasane/worker/internal/connection/stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let data: { path: string };

/** A job whose weights overflow with its first update. */
const diverging = (skipNotFinite: number) => ({
  name: 'diverging',
  model: { preset: 'mnist-mlp' },
  data,
  training: {
    epochs: 1,
    batch: 64,
    shards: 2,
    learningRate: 1e30,
    optimizer: { type: 'sgd' },
    skipNotFinite,
  },
});

beforeAll(async () => {
  await cluster.start();
  data = { path: smallMnist(temporaryDirectory(cleanUp), 640, 100) };
  await cluster.worker(1);
  await cluster.worker(1);
});
afterAll(() => cleanUp.run());

it('a loss that is no number stops the job, naming step, shard, samples and layer', async () => {
  const { state, error } = await cluster.run(diverging(0));
  expect(state).toBe(JobState.JOB_STATE_FAILED);
  expect(error).toMatch(/^step 2, task \d, samples \d+ to \d+ of epoch 1: the loss is (NaN|Infinity)/);
  // Two workers say so, and it is said once.
  expect(error).toMatch(
    /: the loss is [^(;:]+, the gradient of layer \S+ is not finite \(\S+, \S+\); reduce training\.learningRate, [^;]+$/,
  );
});

it('updates are left out where the job says so, and no more of them', async () => {
  const { state, error } = await cluster.run(diverging(3));
  expect(state).toBe(JobState.JOB_STATE_FAILED);
  expect(error).toMatch(/^step 5, /);
});

it('an epoch counts what was not left out, and is worse than any number where everything was', async () => {
  const whole = { ...diverging(0).training, shards: 1 };
  const of = (epochs: number, batch: number, skipNotFinite: number, shards = 1) =>
    cluster.run({ ...diverging(0), training: { ...whole, shards, epochs, batch, skipNotFinite } });
  const { error, history } = await of(3, 640, 2);
  expect(error).toBe('');
  expect(history[0]!.trainLoss).toBeLessThan(10);
  expect(history.map(({ trainLoss, trainMetric }) => [trainLoss, trainMetric])).toEqual([
    [expect.any(Number), expect.any(Number)],
    [Number.POSITIVE_INFINITY, 0],
    [Number.POSITIVE_INFINITY, 0],
  ]);
  // The second of two steps is left out: the epoch is the first step, however many shards, and tasks, a step has.
  for (const shards of [1, 2, 8]) {
    const half = await of(1, 320, 1, shards);
    const right = half.history[0]!.trainMetric * 320;
    expect(right).toBeCloseTo(Math.round(right), 6);
    expect(half.history[0]!.trainLoss).toBeLessThan(10);
  }
});

const wrong = { job: 'j', version: 1, partition: 0, offset: 0, total: 1, digest: 0 };

it.each([
  ['liar', { kind: 'parameters', ...wrong }, "a worker does not send 'parameters' frames"],
  ['prober', { kind: 'probe', answer: true }, 'an answer to a probe that was not sent'],
] as const)(
  'a worker whose frames do not fit is quarantined at the third, and nobody else notices: %s',
  async (worker, header, why) => {
    const hello = { worker, host: 'here', slots: 1, backend: 'none', protocol: PROTOCOL_VERSION };
    let welcomes = 0;
    const refused = await new Promise<{ code: string; message: string }>((resolve) => {
      const stream: CoordinatorStream = new CoordinatorStream({
        coordinator: cluster.address,
        hello,
        heartbeat: () => ({ busy: 0, waiting: 0 }),
        onMessage: ({ $case }) => {
          if ($case !== 'welcome') return;
          welcomes++;
          // The link is opened after this call.
          setImmediate(() => void stream.sendFrame(header, new Uint8Array(4)));
        },
        onFrame: () => {},
        onBroken: () => {},
        onRefused: resolve,
      });
      cleanUp.add(() => stream.close());
    });
    expect(refused).toMatchObject({ code: 'QUARANTINED' });
    expect(refused.message).toContain(`3 bad frames; the last one: ${why}`);
    expect(welcomes).toBe(3);
    const { client } = cluster;
    const { workers, quarantined } = await client.status();
    client.close();
    expect(quarantined.at(-1)).toMatchObject({ id: worker, host: 'here', why: { code: 'bad-frames' } });
    expect(workers).toHaveLength(2);
  },
);

it('with no worker at all a job waits, and goes on', async () => {
  const job = { ...diverging(0), name: 'waiting', training: { epochs: 2, batch: 64, shards: 2 } };
  const quiet = await cluster.run(job);
  expect(quiet.error).toBe('');
  // Batches expire much faster than nobody comes.
  const lonely = new TestCluster(cleanUp, { batchExpirySeconds: 1 });
  await lonely.start();
  const { client } = lonely;
  const id = await client.submit(JSON.stringify(job));
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(await client.get(id)).toMatchObject({
    step: 0,
    waitingFor: { code: 'no-worker', args: '{"step":1}' },
  });
  const worker = await lonely.worker(1);
  for await (const now of client.watch(id)) if (now.state > JobState.JOB_STATE_RUNNING) break;
  const ended = await client.get(id);
  client.close();
  worker.kill();
  await once(worker, 'exit');
  expect(ended.error).toBe('');
  expect(ended.digest).toBe(quiet.digest);
});
