/** What a training would do is said without one, and without a trace of it on the disk. */
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from '../../../test/support/cluster.ts';
import { main } from '../../../test/support/commands.ts';

const cleanUp = new CleanUp();
const cwd = temporaryDirectory(cleanUp);
const dryRun = (...args: readonly string[]) =>
  promisify(execFile)(process.execPath, [main, 'train', ...args, '--dry-run'], { cwd });
afterAll(() => cleanUp.run());

it('says the model, the data and the steps, with the options of the command line', async () => {
  writeFileSync(
    join(cwd, 'local.yaml'),
    'name: local\nmodel: { preset: mnist-mlp }\nexchange: { every: 50 }\n',
  );
  const { stdout } = await dryRun('local.yaml', '--epochs', '3', '--batch', '100', '--shards', '2');
  expect(stdout.trim().split('\n')).toEqual([
    'local can be trained; nothing was queued or trained',
    'Model     109,386 parameters',
    'Data      60,000 training samples, 10,000 test samples',
    'Training  3 epochs of 12 rounds (36 rounds in all), rounds of 50 steps with 2 replicas, batches of 100',
    'Network   each round of 50 steps sends 1.3 MB of changes per replica and 1.3 MB of parameters to each worker',
  ]);
  expect(readdirSync(cwd)).toEqual(['local.yaml']);
});

it('says what a step sends over a network where that is much', async () => {
  const { stdout } = await dryRun('mnist-cnn');
  expect(stdout).toContain(
    'Network   each step sends 1.7 MB of gradients per shard and 1.7 MB of parameters',
  );
});

it('refuses what a training would refuse', async () => {
  writeFileSync(
    join(cwd, 'wide.yaml'),
    'name: wide\nmodel: { input: [784], classes: 9, layers: [{ type: dense, units: 9 }] }\n',
  );
  await expect(dryRun('wide.yaml')).rejects.toThrow(/9 classes/);
});
