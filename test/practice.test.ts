/** What people do besides training from start to end: go on, stop early, start from another model's weights. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { decodeSafetensors } from '@kasane/tensor/io/safetensors';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let path = '';

/** Three clouds of points; the last column is the class. */
function table(): string {
  const rows = Array.from({ length: 240 }, (_, i) => {
    const [kind, turn] = [i % 3, i * 2.399];
    const away = 0.4 + (i % 7) / 10;
    return [kind * 1.5 + away * Math.cos(turn), (kind % 2) + away * Math.sin(turn), `k${kind}`].join();
  });
  return `x,y,kind\n${rows.join('\n')}\n`;
}

const job = (training: object, more: object = {}) => ({
  name: 'practice',
  model: { preset: 'tabular', features: 2, outputs: 3, hidden: [16, 16], dropout: 0.1 },
  data: { format: 'csv', path, target: 'kind' },
  training: { epochs: 4, batch: 32, shards: 3, learningRate: 0.01, ...training },
  ...more,
});

const weights = ({ model }: Job) =>
  new Map(decodeSafetensors(readFileSync(model)).tensors.map(({ name, data }) => [name, data]));

async function resume(id: string, epochs: number): Promise<Job> {
  const { client } = cluster;
  try {
    await client.resume(id, epochs);
    for await (const _ of client.watch(id));
    return await client.get(id);
  } finally {
    client.close();
  }
}

function checkpointsOf(id: string) {
  const store = new JobStore(cluster.state);
  try {
    return store.checkpoints(id);
  } finally {
    store.close();
  }
}

function forgetCheckpoints(id: string): void {
  const store = new JobStore(cluster.state);
  for (const { step } of store.checkpoints(id)) store.removeCheckpoint(id, step);
  store.close();
}

beforeAll(async () => {
  await cluster.start();
  path = join(temporaryDirectory(cleanUp), 'clouds.csv');
  writeFileSync(path, table());
  await Promise.all([cluster.worker(), cluster.worker()]);
});
afterAll(() => cleanUp.run());

it('a job that goes on gives the bits of one that was never interrupted', async () => {
  const whole = await cluster.run(job({}));
  expect(whole.state).toBe(JobState.JOB_STATE_SUCCEEDED);

  const half = await cluster.run(job({ epochs: 2 }));
  expect(half.digest).not.toBe(whole.digest);
  await expect(resume(half.id, 0)).rejects.toThrow(/has completed all its epochs; add more with --epochs/);
  expect(half.steps).toBe(half.step);
  const longer = await resume(half.id, 2);
  expect([longer.step, longer.steps]).toEqual([2 * half.step, 2 * half.steps]);
  expect(longer).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, epochs: 4, digest: whole.digest });
  expect(longer.history).toHaveLength(4);

  await expect(resume('nobody', 1)).rejects.toThrow(/there is no job 'nobody'/);
});

it('a cancelled job that is resumed gives the bits of one that was never interrupted', async () => {
  // Many steps, so that the job still runs when the cancelling reaches it.
  const long = job({ epochs: 40 }, { checkpoint: { everySteps: 4 } });
  const whole = await cluster.run(long);
  const { client } = cluster;
  const id = await client.submit(JSON.stringify(long));
  for await (const { step } of client.watch(id)) if (step >= 9) break;
  await client.cancel(id);
  expect((await client.get(id)).state).toBe(JobState.JOB_STATE_CANCELLED);
  client.close();
  expect(await resume(id, 0)).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, digest: whole.digest });
});

it('stops when the test set says so, and keeps the weights of the best epoch', async () => {
  const stopEarly = { patience: 2, least: 0.02 };
  const stopped = await cluster.run(
    job({ epochs: 60, learningRate: 0.05, stopEarly }, { checkpoint: { keep: 1 } }),
  );
  expect(stopped.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  expect(stopped.history.length).toBeLessThan(60);
  const best = [...stopped.history].sort((a, b) => a.testLoss - b.testLoss || a.epoch - b.epoch)[0]!;
  const perEpoch = stopped.step / stopped.history.length;
  const steps = checkpointsOf(stopped.id).map(({ step }) => step);
  expect(steps).toEqual([...new Set([stopped.step, best.epoch * perEpoch])]);
  const kept = checkpointsOf(stopped.id).find(({ step }) => step === best.epoch * perEpoch)!;
  const { tensors } = decodeSafetensors(readFileSync(kept.path));
  for (const [name, data] of weights(stopped)) {
    expect(data).toEqual(tensors.find((tensor) => tensor.name === name)!.data);
  }
});

it('returns the best epoch of all when a job that was stopped early goes on', async () => {
  // So high a rate that epochs get worse.
  const stopEarly = { patience: 2 };
  const more = { checkpoint: { keep: 1 } };
  const stopped = await cluster.run(job({ epochs: 60, learningRate: 1, stopEarly }, more));
  const perEpoch = stopped.step / stopped.history.length;
  const resumed = await resume(stopped.id, 4);
  // It was asked to go on although more did not help.
  expect(resumed.step).toBe(stopped.step + 4 * perEpoch);
  const { history } = await cluster.client.get(stopped.id);
  cluster.client.close();
  const [best] = [...history].sort((a, b) => a.testLoss - b.testLoss || a.epoch - b.epoch);
  expect(best!.epoch).toBeLessThan(history.length);
  const kept = checkpointsOf(stopped.id).find(({ step }) => step === best!.epoch * perEpoch)!;
  const { tensors } = decodeSafetensors(readFileSync(kept.path));
  for (const [name, data] of weights(resumed))
    expect(data).toEqual(tensors.find((tensor) => tensor.name === name)!.data);
});

it('starts from the weights of another model, with a new head and a frozen body', async () => {
  const source = await cluster.run(job({ epochs: 1 }));
  const [first] = weights(source).keys();
  const next = job({ epochs: 1, freeze: ['hidden-0'] }, { init: source.model });
  const model = { ...next.model, hidden: [16, 8] };
  const transferred = await cluster.run({ ...next, model });
  expect(transferred.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  const [before, after] = [weights(source), weights(transferred)];
  expect(first).toBe('hidden-0.weight');
  expect(after.get('hidden-0.weight')).toEqual(before.get('hidden-0.weight'));
  expect(after.get('head.weight')!.length).toBe(8 * 3);
  // Another file in its place: a job that has not begun is refused, one that goes on from a checkpoint does not need it.
  const copy = join(temporaryDirectory(cleanUp), 'weights.safetensors');
  writeFileSync(copy, readFileSync(source.model));
  const { client } = cluster;
  const id = await client.submit(JSON.stringify({ ...next, model, init: copy }));
  for await (const _ of client.watch(id));
  writeFileSync(copy, readFileSync(transferred.model));
  expect(await resume(id, 1)).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, epochs: 2 });
  forgetCheckpoints(id);
  const refused = await resume(id, 1);
  client.close();
  expect(refused.state).toBe(JobState.JOB_STATE_FAILED);
  expect(refused.error).toMatch(
    /init: .*weights\.safetensors: its SHA-256 is .*, but was .* when the job was submitted/,
  );
  const missing = cluster.run({ ...next, init: '/nowhere.safetensors' });
  await expect(missing).rejects.toThrow(/init: \/nowhere\.safetensors: .*not found/);
  expect(existsSync(source.model)).toBe(true);
});

it('whoever submits is told what is worth knowing of the data and of the starting weights', async () => {
  const source = await cluster.run(job({ epochs: 1 }));
  const numbered = join(temporaryDirectory(cleanUp), 'numbered.csv');
  const rows = table().trim().split('\n');
  writeFileSync(numbered, `${rows.map((row, i) => `${i || 'Id'},${row}`).join('\n')}\n`);
  const next = {
    ...job({ epochs: 1 }, { init: source.model }),
    model: { preset: 'tabular', features: 3, outputs: 3, hidden: [16, 16], dropout: 0.1 },
    data: { format: 'csv', path: numbered, target: 'kind' },
  };
  const expected = [
    expect.stringMatching(/^column 'Id' seems to number the rows.*data\.columns/),
    expect.stringMatching(/^starting from .*: 5 of 6 parameters loaded; initialized: hidden-0\.weight/),
  ];
  const { client } = cluster;
  const heard: string[] = [];
  const id = await client.submit(JSON.stringify(next), 0, undefined, (note) => heard.push(note));
  expect(heard).toEqual(expected);
  expect((await client.check(JSON.stringify(next))).notes).toEqual(expected);
  const search = { trials: 1, parameters: { 'training.learningRate': { choices: [0.01] } } };
  const ofSweep: string[] = [];
  await client.sweeps.submit(JSON.stringify({ ...next, search }), 0, undefined, (note) => ofSweep.push(note));
  expect(ofSweep).toEqual(expected);
  // For those who look later, in any client.
  for await (const _ of client.watch(id));
  const notes = (await client.events(id)).filter(({ code }) => code === 'note');
  client.close();
  expect(notes.map(({ args }) => (JSON.parse(args) as { note: string }).note)).toEqual(expected);
});

it('a network of one half of the classes learns the other half sooner than a fresh one', async () => {
  const half = (name: string, data: string, training: object, more: object = {}) => ({
    name,
    model: {
      input: [28, 28, 1],
      classes: 5,
      layers: [
        { type: 'conv2d', name: 'body-conv1', filters: 8, size: 5, stride: 2 },
        { type: 'relu' },
        { type: 'conv2d', name: 'body-conv2', filters: 16, size: 5, stride: 2 },
        { type: 'relu' },
        { type: 'flatten' },
        { type: 'dense', units: 5, name },
      ],
    },
    data: { path: data },
    training: { batch: 25, learningRate: 0.003, ...training },
    ...more,
  });
  const first = smallMnist(temporaryDirectory(cleanUp), 2000, 100, [0, 4]);
  const second = smallMnist(temporaryDirectory(cleanUp), 100, 1000, [5, 9]);
  const source = await cluster.run(half('first-half', first, { epochs: 2 }));
  const short = half('second-half', second, { epochs: 4 });
  const [scratch, whole, head] = [
    await cluster.run(short),
    await cluster.run({ ...short, init: source.model }),
    await cluster.run(half('second-half', second, { epochs: 4, freeze: ['body'] }, { init: source.model })),
  ];
  const reached = ({ history }: Job) => history.at(-1)!.testMetric;
  expect([whole.step, head.step]).toEqual([scratch.step, scratch.step]);
  expect(reached(whole)).toBeGreaterThan(reached(scratch) + 0.05);
  expect(reached(head)).toBeGreaterThan(reached(scratch) + 0.05);
  expect(weights(head).get('body-conv2.weight')).toEqual(weights(source).get('body-conv2.weight'));
});
