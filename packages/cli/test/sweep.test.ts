/** `kasane sweep` and `kasane sweeps` as people use them: what they print, what they leave, and what they refuse. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSweepFile } from '@kasane/protocol/job-file';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from '../../../test/support/cluster.ts';
import { kasane } from './support/kasane.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
const cwd = temporaryDirectory(cleanUp);
const job = `name: small
model: { preset: mnist-mlp }
data: { path: mnist, format: idx }
training: { epochs: 2, batch: 50, shards: 2 }
`;
const search = `search:
  metric: testAccuracy
  sampler: grid
  parameters:
    training.learningRate: { choices: [0.01, 0.0000001] }
`;
beforeAll(() => {
  const data = smallMnist(temporaryDirectory(cleanUp), 500, 100);
  writeFileSync(join(cwd, 'sweep.yaml'), `${job}${search}`.replace('path: mnist', `path: ${data}`));
  writeFileSync(join(cwd, 'job.yaml'), job);
});
const run = (...args: readonly string[]) => kasane(args, { cwd, limitMs: 120_000 });

it('ends with a table, the best weights, and a job file that trains the same', {
  timeout: 240_000,
}, async () => {
  const { stdout, stderr, code } = await run('sweep', 'sweep.yaml', '--workers', '1');
  expect({ stderr, code }).toMatchObject({ code: 0 });
  expect(stderr).toMatch(
    /^trial 1: test accuracy \d\d\.\d\d % after 2 epochs \(training\.learningRate 0\.01\)$/m,
  );
  const lines = stdout.split('\n');
  expect(lines[1]).toMatch(/^TRIAL +STATE +EPOCHS +TEST ACCURACY +training\.learningRate$/);
  expect(lines[2]).toMatch(/^1 +succeeded +2\/2 +\d\d\.\d\d % +0\.01$/);
  expect(lines[3]).toMatch(/^2 +succeeded/);
  expect(stdout).toContain('Best of 2 trials in ');
  expect(stdout).toContain('\n  kasane predict .kasane/small.safetensors INPUT\n');
  const digest = /^SHA-256 {2}(\w{64})$/m.exec(stdout)![1];
  const digestOf = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(cwd, name)))
      .digest('hex');
  expect(digestOf('.kasane/small.safetensors')).toBe(digest);
  const again = /^ {2}kasane (train \S+)$/m.exec(stdout)![1]!.split(' ');
  expect(await run(...again, '--out', 'again.safetensors')).toMatchObject({ code: 0 });
  expect(digestOf('again.safetensors')).toBe(digest);
});

it('of several metrics, ends with the weights and job files of the front', { timeout: 240_000 }, async () => {
  const several = readFileSync(join(cwd, 'sweep.yaml'), 'utf8')
    .replace('metric: testAccuracy', 'metric: [testAccuracy, parameters]')
    .replace(
      /training.learningRate: .*/,
      'model: { choices: [{ preset: mnist-mlp }, { input: [784], classes: 10, layers: [{ type: dense, units: 10 }] }] }',
    );
  writeFileSync(join(cwd, 'several.yaml'), several);
  const { stdout, stderr, code } = await run(
    'sweep',
    'several.yaml',
    '--workers',
    '1',
    '--json',
    '--out',
    'w.safetensors',
  );
  expect({ stderr, code }).toMatchObject({ code: 0 });
  expect(stderr).toMatch(/^trial 2: test accuracy \d\d\.\d\d %, parameters 7,850 after 2 epochs/m);
  const ended = JSON.parse(stdout);
  expect(ended).toMatchObject({
    objectives: [
      { metric: 'testAccuracy', minimize: false },
      { metric: 'parameters', minimize: true },
    ],
    front: ended.models.length,
  });
  const [large, small] = [1, 2].map((number) =>
    ended.ranking.find(({ trial }: { trial: number }) => trial === number),
  );
  expect(small).toMatchObject({ front: true, metrics: { parameters: 7850, testAccuracy: small.value } });
  expect(large.front).toBe(large.value > small.value);
  for (const { trial, model, jobFile, digest } of ended.models) {
    expect(model).toBe(join(cwd, `w-${trial}.safetensors`));
    expect(createHash('sha256').update(readFileSync(model)).digest('hex')).toBe(digest);
    expect(JSON.parse(readFileSync(jobFile, 'utf8'))).toMatchObject({
      model: { [trial === 1 ? 'preset' : 'classes']: expect.anything() },
    });
  }
  const again = await run('sweep', 'several.yaml', '--workers', '1', '--out', 'w.safetensors');
  expect(again).toMatchObject({ code: 0 });
  expect(again.stdout).toMatch(/^TRIAL +FRONT +STATE +EPOCHS +TEST ACCURACY +PARAMETERS +model$/m);
  expect(again.stdout).toMatch(/^2 +\* +succeeded +2\/2 +\d\d\.\d\d % +7,850/m);
  expect(again.stdout).toMatch(/^Front of 2 trials in .*: no other trial is better than /m);
  expect(again.stdout).toMatch(/^2 +\d\d\.\d\d % +7,850 +w-2\.safetensors$/m);
});

it('of a population, ends with what the best trial started from: that trains the same by itself', {
  timeout: 240_000,
}, async () => {
  const population = readFileSync(join(cwd, 'sweep.yaml'), 'utf8')
    .replace('sampler: grid', 'sampler: population\n  population: 2\n  trials: 4')
    .replace('epochs: 2', 'epochs: 1')
    .replace('choices: [0.01, 0.0000001]', 'log: [0.0001, 0.01]');
  writeFileSync(join(cwd, 'population.yaml'), population);
  const args = ['--workers', '1', '--json', '--out', 'pbt/p.safetensors'];
  const { stdout, stderr, code } = await run('sweep', 'population.yaml', ...args);
  expect({ stderr, code }).toMatchObject({ code: 0 });
  const swept = JSON.parse(stdout);
  expect(swept.best.trial).toBeGreaterThan(2);
  expect(swept.best.parent).toBeLessThan(3);
  expect(swept.init).toBe(join(cwd, 'pbt/p.init.safetensors'));
  expect(JSON.parse(readFileSync(swept.jobFile, 'utf8'))).toMatchObject({
    init: 'p.init.safetensors',
    training: { seed: 2 },
  });
  // From the folder alone, wherever it is.
  renameSync(join(cwd, 'pbt'), join(cwd, 'elsewhere'));
  const again = await run(
    'train',
    'elsewhere/p.job.json',
    '--workers',
    '1',
    '--json',
    '--out',
    'o.safetensors',
  );
  expect(again).toMatchObject({ code: 0 });
  expect(JSON.parse(again.stdout).digest).toBe(swept.digest);
  const shown = await run('sweep', 'population.yaml', '--workers', '1', '--out', 'p.safetensors');
  expect(shown.stdout).toMatch(/^TRIAL +FROM +STATE +EPOCHS +TEST ACCURACY +training\.learningRate$/m);
  expect(shown.stdout).toMatch(/^[12] +- +succeeded/m);
  expect(shown.stdout).toMatch(/^[34] +[12] +succeeded/m);
  expect(shown.stdout).toMatch(/^Started {2}from the weights of trial [12], in \S+p\.init\.safetensors$/m);
});

it('runs on a coordinator, is listed and cancelled there', { timeout: 120_000 }, async () => {
  const cluster = new TestCluster(cleanUp);
  await cluster.start();
  const at = ['--coordinator', cluster.address];
  expect((await run('sweeps', ...at)).stderr).toContain('no sweeps yet');
  const { stdout } = await run('sweep', 'sweep.yaml', '--detach', '--priority', '5', ...at);
  const id = stdout.trim();
  expect(id).toMatch(/^small-\w{8}$/);
  expect((await run('sweeps', ...at)).stdout).toMatch(
    new RegExp(`^${id} +running +\\d/2 +testAccuracy`, 'm'),
  );
  expect((await run('jobs', ...at)).stdout).toMatch(new RegExp(`^${id}-1 +\\w+ +5 `, 'm'));
  expect((await run('cancel', id, ...at)).stdout).toBe(`${id} cancelled\n`);
  const shown = await run('sweeps', id, '--watch', ...at);
  expect(shown).toMatchObject({ code: 1, stderr: `kasane: sweep ${id} was cancelled\n` });
  expect(shown.stdout).toMatch(/^1 +stopped +0\/2 +- +0\.01$/m);
  expect(await run('cancel', 'nobody', ...at)).toMatchObject({
    code: 66,
    stderr: expect.stringContaining("there is no job 'nobody'"),
  });
});

it('examples are checked, as far as that goes without data', () => {
  const folder = new URL('../../../examples/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.startsWith('sweep-'));
  expect(names).toContain('sweep-mnist.yaml');
  for (const name of names)
    expect(parseSweepFile(readFileSync(new URL(name, folder), 'utf8'), name).name).toBe(
      name.replace('.yaml', ''),
    );
});

it.each([
  [['sweep', 'job.yaml'], 65, 'job.yaml: search is missing'],
  [['sweep', 'mnist-mlp'], 65, 'mnist-mlp is a preset, which does not say what to vary'],
  [['sweep', 'nowhere.yaml'], 66, 'nowhere.yaml: file not found'],
  [['sweep', 'sweep.yaml', '--detach'], 2, '--detach needs --coordinator'],
  [['sweep', 'sweep.yaml', '--coordinator', '127.0.0.1:9', '--workers', '3'], 2, 'cannot be used with'],
  [['train', 'sweep.yaml'], 65, 'kasane sweep'],
  [['submit', 'sweep.yaml'], 65, 'kasane sweep'],
])('kasane %s is refused', { timeout: 60_000 }, async (args, code, message) => {
  const { stderr, ...ended } = await run(...args);
  expect(ended).toEqual({ code, stdout: '' });
  expect(stderr).toContain(message);
});
