/** What a training would do is said without one, and without a trace of it on the disk. */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
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
  expect(stdout).toContain('Network   each step sends 1.7 MB of gradients per task and 1.7 MB of parameters');
});

it('reads paths of a job file from its folder, and says where else something is', async () => {
  const rows = Array.from({ length: 40 }, (_, i) => `${i % 7},${i % 3},${i % 2 ? 'a' : 'b'}`);
  for (const folder of ['jobs', 'jobs/data', 'data']) mkdirSync(join(cwd, folder));
  writeFileSync(join(cwd, 'jobs/data/near.csv'), `x,y,z\n${rows.join('\n')}\n`);
  writeFileSync(join(cwd, 'data/far.csv'), `x,y,z\n${rows.join('\n')}\n`);
  const job = (path: string) =>
    `name: near\nmodel: { preset: tabular, features: 2, outputs: 2 }\ndata: { format: csv, path: ${path}, target: z }\n`;
  writeFileSync(join(cwd, 'jobs/near.yaml'), job('data/near.csv'));
  writeFileSync(join(cwd, 'jobs/far.yaml'), job('data/far.csv'));
  const { stdout } = await dryRun('jobs/near.yaml');
  expect(stdout).toContain('training samples');
  await expect(dryRun('jobs/far.yaml')).rejects.toThrow(
    'kasane: jobs/far.yaml: data.path: data/far.csv does not exist there; paths in a job file are relative to its folder: use ../data/far.csv',
  );
  // What the command line says is meant from here.
  expect((await dryRun('jobs/far.yaml', '--data', 'data/far.csv')).stdout).toContain('training samples');
});

it('refuses what a training would refuse', async () => {
  writeFileSync(
    join(cwd, 'wide.yaml'),
    'name: wide\nmodel: { input: [784], classes: 9, layers: [{ type: dense, units: 9 }] }\n',
  );
  await expect(dryRun('wide.yaml')).rejects.toThrow(/9 classes/);
});
