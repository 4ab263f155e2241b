/** A model defined by a program, with its own layer, loss and data: coordinator and workers train it like any other job. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KasaneClient } from '@kasane/client/client';
import { defineModel } from '@kasane/client/model';
import { packDataset } from '@kasane/data/pack-dataset';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Node } from '@kasane/tensor/graph';
import { constant } from '@kasane/tensor/ops/leaf';
import { abs, add, mul, sub } from '@kasane/tensor/ops/pointwise';
import { mean } from '@kasane/tensor/ops/reduce';
import { afterAll, beforeAll, expect, it } from 'vitest';
import vae from '../examples/own-model/vae.ts';
import { disagreement, runOnnx } from '../packages/tensor/test/support/onnx.ts';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { gatedModel, points } from './support/gated-model.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const folder = join(temporaryDirectory(cleanUp), 'points');

const model = gatedModel(24, 0.05);

const job = {
  name: 'own-model',
  model,
  data: { format: 'packed', path: folder },
  // 600 samples in batches of 64: the last is short, and its shards are shorter still.
  training: { epochs: 16, batch: 64, shards: 3, learningRate: 0.01 },
} as const;

let client: KasaneClient;
beforeAll(async () => {
  await cluster.start();
  client = new KasaneClient({ coordinator: cluster.address });
  cleanUp.add(() => client.close());
  await packDataset(
    folder,
    { input: { dtype: 'f32', shape: [2] }, target: { shape: [2] } },
    { train: points(600, 0), test: points(90, 1_000) },
  );
});
afterAll(() => cleanUp.run());

it('trains to the same bits with one worker, and with two of which one dies', {
  timeout: 120_000,
}, async () => {
  const first = await cluster.worker();
  const alone = await cluster.run(job);
  expect(alone.error).toBe('');
  const [begin, end] = [alone.history[0]!, alone.history.at(-1)!];
  expect(end.testLoss).toBeLessThan(begin.testLoss / 4);
  expect(end.testMetric).toBeLessThan(0.15);

  await cluster.worker();
  let killed = false;
  const together = await cluster.run(job, (step) => {
    if (step < 20 || killed) return;
    killed = true;
    first.kill('SIGKILL');
  });
  expect(killed).toBe(true);
  expect(together.digest).toBe(alone.digest);
  expect(together.history.at(-1)!.testLoss).toBe(end.testLoss);
});

it('is a job like any other for the client: by its names, from its weights, in less memory', {
  timeout: 120_000,
}, async () => {
  const plain = await (await client.submit(job)).result();
  expect(plain.model.layers.map(({ name, type }) => [name, type])).toEqual([
    ['gated1', 'gated'],
    ['gated2', 'gated-2'],
    ['out', 'dense'],
  ]);
  expect(plain.model.parameters.map(({ name }) => name)).toContain('gated2.gateWeight');
  const low = await (await client.submit({ ...job, training: { ...job.training, memory: 'low' } })).result();
  expect(low.parameters).toEqual(plain.parameters);
});

it('starts from its own weights, pauses and goes on', { timeout: 120_000 }, async () => {
  const first = await client.submit(job);
  for await (const { step } of first.watch()) if (step >= 30) break;
  await first.pause();
  await first.resume();
  const { bytes, parameters } = await first.result();
  const init = join(folder, 'first.safetensors');
  writeFileSync(init, bytes);
  const slow = { ...job, init, training: { ...job.training, epochs: 1, learningRate: 1e-6 } };
  const second = await (await client.submit(slow)).result();
  expect(Math.max(...second.parameters.map((value, i) => Math.abs(value - parameters[i]!)))).toBeLessThan(
    1e-4,
  );
});

it('gives in ONNX Runtime what it gives here', { timeout: 120_000 }, async () => {
  const { model: trained, parameters } = await (await client.submit(job)).result();
  for (const run of await runOnnx(trained, [1, 5], undefined, parameters))
    expect(disagreement(run)).toBeLessThan(1e-5);
});

it('trains the example, a variational autoencoder, to the same bits with both workers', {
  timeout: 120_000,
}, async () => {
  const data = { ...vae.data, path: smallMnist(temporaryDirectory(cleanUp), 600, 100) };
  const short = { ...vae, data, training: { ...vae.training, epochs: 2, batch: 60 } };
  const one = await cluster.run(short);
  expect(one.error).toBe('');
  expect(one.history[1]!.testMetric).toBeLessThan(one.history[0]!.testMetric);
  await cluster.worker();
  expect((await cluster.run(short)).digest).toBe(one.digest);
});

it('says of what is wrong with a loss and a metric where to look', { timeout: 120_000 }, async () => {
  const wrong = async (
    loss: (score: Node) => Node,
    metric: (score: Node) => Node,
    kind: 'accuracy' | 'error' = 'accuracy',
  ) => {
    const scored = defineModel({
      input: [2],
      build: (m, x) => m.layer('dense', { units: 2 }, x),
      loss: {
        target: { dtype: 'f32', shape: [2] },
        of: ({ output, target }) => loss(mean(abs(sub(output!, target!)), [1])),
        metric: {
          kind,
          of: ({ output, target }) => metric(mean(abs(sub(output!, target!)), [1])),
        },
      },
    });
    return (await cluster.run({ ...job, model: scored })).error;
  };
  const same = (score: Node) => score;
  expect(await wrong((score) => mul(score, constant(Number.NaN)), same)).toMatch(
    /the loss is NaN.*; the weights had not been updated yet: look for extreme values/,
  );
  const overflowing = (score: Node) => mul(add(score, constant(3)), constant(3e38));
  expect(await wrong(same, overflowing, 'error')).toMatch(
    /its error adds up to Infinity over \d+ losses: the metric of/,
  );
  expect(await wrong(same, (score) => add(score, constant(50)))).toMatch(
    /its accuracy adds up to \S+ over \d+ losses, but the accuracy of a sample is between 0 and 1: .* set its kind to error/,
  );
});

it('says that nothing is learned where the gradient is always 0', { timeout: 120_000 }, async () => {
  const lossOf = (of: (output: Node, target: Node) => Node) =>
    defineModel({
      input: [2],
      build: (m, x) => m.layer('dense', { units: 2 }, x),
      loss: {
        target: { dtype: 'f32', shape: [2] },
        of: ({ output, target }) => mean(of(output!, target!), [1]),
      },
    });
  const training = { ...job.training, epochs: 2 };
  const toldOf = async (of: (output: Node, target: Node) => Node) => {
    const handle = await client.submit({ ...job, training, model: lossOf(of) });
    await handle.result();
    return (await handle.events()).filter(({ code }) => code === 'no-gradient').map(({ text }) => text);
  };
  const typo = await toldOf((output, target) => mul(abs(sub(output, target)), constant(0)));
  expect(typo).toHaveLength(2);
  expect(typo[0]).toMatch(/^nothing was learned in epoch 1: the gradients of all its steps were 0\. Check/);
  expect(await toldOf((output) => sub(output, output))).toHaveLength(2);
  expect(await toldOf((output, target) => abs(sub(output, target)))).toEqual([]);
});

it('is cancelled at once while its weights are drawn, which may take minutes', {
  timeout: 120_000,
}, async () => {
  const large = defineModel({
    input: [2],
    build(m, x) {
      const scaled = m.scope('large', (s) => {
        const weights = Array.from({ length: 12 }, (_, i) =>
          s.parameter(`w${i}`, [1290, 1290], { kind: 'orthogonal' }),
        );
        return weights.reduce((product, weight) => mul(product, mean(weight)), x);
      });
      return m.layer('dense', { units: 2 }, scaled);
    },
    loss: {
      target: { dtype: 'f32', shape: [2] },
      of: ({ output, target }) => mean(abs(sub(output!, target!)), [1]),
    },
  });
  const handle = await client.submit({ ...job, model: large });
  await expect.poll(async () => (await handle.get()).state).toBe(JobState.JOB_STATE_RUNNING);
  await handle.cancel();
  expect((await handle.get()).state).toBe(JobState.JOB_STATE_CANCELLED);
});

it('refuses a graph that has been changed, by its path', async () => {
  const changed = structuredClone(job) as unknown as {
    model: { definitions: { gated: { nodes: [string, ...unknown[]][] } } };
  };
  changed.model.definitions.gated.nodes[0]![0] = 'eval';
  await expect(client.submit(changed as never)).rejects.toMatchObject({
    code: 'JOB_INVALID',
    message: expect.stringMatching(/definitions\.gated\.nodes\[0\]: \(eval\) no operation 'eval'/),
  });
});
