/** @kasane/client against a real cluster. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { KasaneClient } from '@kasane/client/client';
import type { JobFile } from '@kasane/client/job-file';
import type { LayerDescription } from '@kasane/tensor/nn/model';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let client: KasaneClient;
beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
  client = new KasaneClient({ coordinator: cluster.address });
  cleanUp.add(() => client.close());
});
afterAll(() => cleanUp.run());

it('submits, watches, pauses, resumes, cancels, retries, and fetches weights and history', async () => {
  const job = await client.submit(
    {
      name: 'typed',
      model: { preset: 'mnist-mlp' },
      data: { format: 'idx', path: smallMnist(temporaryDirectory(cleanUp), 1_000, 100) },
      training: { epochs: 4, batch: 10, shards: 2 },
    },
    { priority: 2 },
  );
  for await (const { step } of job.watch()) if (step >= 10) break;
  await job.pause();
  expect(await job.state()).toBe('paused');
  expect((await job.setPriority(1)).priority).toBe(1);
  await job.resume();
  const { model, parameters, bytes } = await job.result();
  expect(parameters).toHaveLength(model.parameterCount);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe((await job.get()).digest);
  expect(await job.history()).toHaveLength(4);
  const again = await job.retry();
  await again.cancel();
  await expect(again.result()).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
  expect((await client.list()).map(({ id }) => id)).toEqual([again.id, job.id]);
});

it('has types: what is misspelt does not compile, and is refused', async () => {
  const training = { epoch: 1 };
  // @ts-expect-error there is no option of this name
  const submitted = client.submit({ name: 'x', model: { preset: 'mnist-mlp' }, training });
  await expect(submitted).rejects.toMatchObject({
    code: 'JOB_INVALID',
    message: expect.stringMatching(/did you mean 'epochs'/),
  });
});

it('refuses what is no data, which JSON would drop', async () => {
  const training = { epochs: () => 3 } as unknown as { epochs: number };
  for (const ask of ['submit', 'check'] as const)
    await expect(client[ask]({ name: 'x', model: { preset: 'mnist-mlp' }, training })).rejects.toMatchObject({
      code: 'JOB_INVALID',
      message: 'training.epochs: it is a function; a job is data',
    });
});

it('has types for each layer and preset', () => {
  const job = (model: JobFile['model']): JobFile => ({ name: 'x', model });
  const layer = (...layers: LayerDescription[]) => job({ input: [4], classes: 2, layers });
  layer({ type: 'dense', units: 10 }, { type: 'relu', name: 'last' });
  job({ preset: 'resnet-18', classes: 10, stem: 'cifar' });
  // @ts-expect-error no such layer
  layer({ type: 'relo' });
  // @ts-expect-error no such option
  layer({ type: 'dense', unit: 10 });
  // @ts-expect-error units is needed
  layer({ type: 'dense' });
  // @ts-expect-error no such choice
  layer({ type: 'lstm', units: 8, returns: 'first' });
  // @ts-expect-error no such preset
  job({ preset: 'resnet-19' });
  // @ts-expect-error no such option
  job({ preset: 'resnet-18', steam: 'x' });
  // @ts-expect-error no such choice
  job({ preset: 'resnet-18', stem: 'x' });
});

it('the README names what there is', () => {
  const text = readFileSync(new URL('../packages/client/README.md', import.meta.url), 'utf8');
  const job = client.job('x');
  for (const [, name] of text
    .split('A job has')[1]!
    .split('. ')[0]!
    .matchAll(/`(\w+)`/g))
    expect(job[name as keyof typeof job], name).toBeTypeOf('function');
});
