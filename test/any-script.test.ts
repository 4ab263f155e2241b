/** Jobs and models have names in any script: in files, in addresses, in commands and in tables. */
import { startDashboard } from '@kasane/dashboard/server';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';

const NAME = '排他的論理和';
const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let job: string;
beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
  const data = { format: 'idx', path: smallMnist(temporaryDirectory(cleanUp), 200, 50) };
  const training = { epochs: 1, batch: 20, shards: 2 };
  ({ id: job } = await cluster.run({ name: NAME, model: { preset: 'mnist-mlp' }, data, training }));
});
afterAll(() => cleanUp.run());

const kasane = (...args: readonly string[]) =>
  runCommand([...args, '--coordinator', cluster.address], { NO_COLOR: '1' });

it('the ID begins with the name, also where its accents were written apart', async () => {
  expect(job).toMatch(/^排他的論理和-[0-9a-f]{8}$/);
  const accented = { name: 'gro\u0308ße', model: { preset: 'mnist-mlp' } };
  const data = { format: 'idx', path: smallMnist(temporaryDirectory(cleanUp), 40, 20) };
  const { id } = await cluster.run({ ...accented, data, training: { epochs: 1, batch: 20 } });
  expect(id).toMatch(/^gr\u00f6ße-/);
});

it('the page shows it, and saves its weights under its name', async () => {
  const dashboard = await startDashboard({ coordinator: cluster.address, port: 0 });
  cleanUp.add(() => dashboard.close());
  const spec = await fetch(`${dashboard.url}/jobs/${encodeURIComponent(job)}/spec`);
  expect(await spec.json()).toMatchObject({ name: NAME });
  const weights = await fetch(`${dashboard.url}/jobs/${encodeURIComponent(job)}/model`);
  expect(weights.headers.get('content-disposition')).toBe(
    `attachment; filename="______-${job.slice(-8)}.safetensors"; filename*=UTF-8''${encodeURIComponent(`${job}.safetensors`)}`,
  );
  expect((await weights.arrayBuffer()).byteLength).toBeGreaterThan(1000);
  expect((await fetch(`${dashboard.url}/jobs/%ff/spec`)).status).toBe(404);
});

it('commands take it, and their tables stay in columns', async () => {
  const logs = await kasane('logs', job);
  expect(logs.stdout).toMatch(/^.*epoch 1/m);
  await kasane('model', 'register', job, '数字:第1版');
  const { stdout } = await kasane('model', 'list');
  expect(stdout).toContain('数字');
  const { stdout: jobs } = await kasane('jobs');
  const rows = jobs.split('\n').filter((line) => line.includes('succeeded'));
  // A character of Chinese writing takes two columns.
  const columns = rows.map((row) => {
    const before = row.slice(0, row.indexOf('succeeded'));
    return before.length + [...before.matchAll(/\p{Script=Han}/gu)].length;
  });
  expect(columns).toHaveLength(2);
  expect(new Set(columns).size).toBe(1);
});
