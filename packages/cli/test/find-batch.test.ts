/** `kasane find-batch`: what measured sizes say, and where it ends. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from '../../../test/support/cluster.ts';
import { batchJob } from '../src/commands/find-batch/batch-job.ts';
import { fastest, hasStopped, type Measured, speedOf, suggested } from '../src/commands/find-batch/sizes.ts';
import { kasane } from './support/kasane.ts';

const measured = (...speeds: readonly number[]): Measured[] =>
  speeds.map((samplesPerSecond, index) => {
    const batch = 2 ** index;
    return { batch, shardSamples: batch, samplesPerSecond, stepMs: 1, computeMs: 1, steps: 9 };
  });

it('takes the median of whole steps in the middle of epochs', () => {
  const steps = Array.from({ length: 20 }, (_, index) => ({ step: index + 1, stepMs: 10, computeMs: 4 }));
  // The first steps compile, the first of an epoch waits for a test, the last has fewer samples; one step is an outlier.
  for (const index of [0, 1, 9, 10, 19, 14]) steps[index] = { step: index + 1, stepMs: 500, computeMs: 400 };
  const sizes = { batch: 60, shards: 4, stepsPerEpoch: 10 };
  expect(speedOf(steps, sizes)).toEqual({
    ...{ batch: 60, shardSamples: 15, samplesPerSecond: 6000, stepMs: 10, computeMs: 4, steps: 15 },
  });
  expect(speedOf(steps.slice(0, 2), sizes)).toBeUndefined();
});

it('suggests the smallest batch that is nearly as fast as the fastest', () => {
  expect(suggested(measured(100, 190, 300, 310, 305))?.batch).toBe(4);
  expect(fastest(measured(100, 190, 300, 310, 305))?.batch).toBe(8);
  expect(suggested([])).toBeUndefined();
});

it('stops after two sizes that are no faster', () => {
  expect(hasStopped(measured(100, 190))).toBe(false);
  expect(hasStopped(measured(100, 190, 191))).toBe(false);
  expect(hasStopped(measured(100, 190, 191, 192))).toBe(true);
  expect(hasStopped(measured(100, 190, 150, 300))).toBe(false);
});

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('refuses a batch that no job may have, by its option', async () => {
  await expect(batchJob('xor', { from: 1e9, seconds: 1 })).rejects.toThrow(
    /^--from 1000000000: expected at most 1000000$/,
  );
});

it('measures sizes as far as memory reaches, and changes no file', { timeout: 240_000 }, async () => {
  const cwd = temporaryDirectory(cleanUp);
  const data = smallMnist(temporaryDirectory(cleanUp), 500, 100);
  const text = `name: sized
model: { preset: mnist-mlp }
data: { path: ${data} }
training: { batch: 7, shards: 2, epochs: 3, stopEarly: { patience: 1 }, schedule: { type: cosine }, learningRate: 100 }
exchange: { every: 1 }
`;
  writeFileSync(join(cwd, 'job.yaml'), text);
  const run = (...args: readonly string[]) =>
    kasane(['find-batch', 'job.yaml', '--workers', '1', '--seconds', '0.2', '--json', ...args], { cwd });
  const { stdout, code } = await run('--from', '20', '--to', '40');
  expect(code).toBe(0);
  const { sizes, ...found } = JSON.parse(stdout);
  expect(found).toMatchObject({ name: 'sized', largest: null, limit: '--to', shards: 2 });
  expect(sizes.map(({ batch, shardSamples }: Measured) => [batch, shardSamples])).toEqual([
    [20, 10],
    [40, 20],
  ]);
  expect([20, 40]).toContain(found.suggestion);
  // 500 samples make three steps of 200.
  const few = await run('--from', '100', '--to', '200');
  expect(JSON.parse(few.stdout)).toMatchObject({
    limit: 'an epoch would have fewer than 4 steps',
    suggestion: 100,
  });
  const none = await run('--from', '400');
  expect(none).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('are too few to measure batches of 400'),
  });
  const wrong = await run('--from', '40', '--to', '20');
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('expected at most --to') });
});
