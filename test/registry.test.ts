/** Registered models: their names and weights stay, whatever becomes of jobs, checkpoints and coordinators. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type JobHandle, KasaneClient } from '@kasane/client/client';
import type { JobFile } from '@kasane/client/job-file';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { JobChecks } from '@kasane/coordinator/internal/submit/job-checks';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let client: KasaneClient;
let file: JobFile;
let first: JobHandle;
let digest: string;
beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
  client = new KasaneClient({ coordinator: cluster.address });
  cleanUp.add(() => client.close());
  file = {
    name: 'short',
    description: 'a | short job',
    model: { preset: 'mnist-mlp' },
    data: { format: 'idx', path: smallMnist(temporaryDirectory(cleanUp), 200, 50) },
    training: { epochs: 2, batch: 20, shards: 2 },
  };
  first = await trained();
  ({ digest } = await first.get());
});
afterAll(() => cleanUp.run());

async function trained(more: Partial<JobFile> = {}): Promise<JobHandle> {
  const handle = await client.submit({ ...file, ...more });
  await handle.result();
  return handle;
}

const kasane = (...args: readonly string[]) =>
  runCommand([...args, '--coordinator', cluster.address], { NO_COLOR: '1' });
const models = () => join(cluster.state, 'models');
const fileOf = (sha: string) => join(models(), `${sha}.safetensors`);

it('registers weights once, with what they came of', async () => {
  const model = await first.register('digits:1', { aliases: ['production'], description: 'the first' });
  const { model: version, record } = await model.get();
  expect(version).toMatchObject({
    name: 'digits',
    version: '1',
    aliases: ['production'],
    job: first.id,
    digest,
  });
  expect(version.bytes).toBe(statSync(fileOf(digest)).size);
  expect(record).toMatchObject({
    job: { id: first.id, epoch: 2, step: 20, model: '' },
    data: { trainingSamples: 200, testSamples: 50, digest: expect.stringMatching(/^[0-9a-f]{32}$/) },
    confusion: { epoch: 2 },
    ...{ parentDigest: '', parents: [], source: undefined },
    trainedBy: expect.stringMatching(/^\d+\./),
  });
  // No disk for what is there already, where the file system has links.
  expect(statSync(fileOf(digest)).nlink).toBe(2);
  expect(readdirSync(models())).toEqual([`${digest}.safetensors`]);
  // The same weights under another name are the same file.
  await first.register('numbers:2026.11');
  expect(readdirSync(models())).toHaveLength(1);
  expect((await first.get()).models).toEqual(['numbers:2026.11', 'digits:1']);
  expect((await first.events()).filter(({ code }) => code === 'registered').map(({ text }) => text)).toEqual([
    'registered as digits:1',
    'registered as numbers:2026.11',
  ]);
});

it('refuses a second registration, and names that mean something else', async () => {
  const other = await trained({ training: { ...file.training, seed: 5 } });
  await expect(other.register('digits:1')).rejects.toMatchObject({
    code: 'MODEL_EXISTS',
    message: `digits:1 is registered already, with weights of job ${first.id}, and a version never changes; choose another version, or delete it first with \`kasane model delete digits:1\``,
  });
  await expect(other.register('digits:production')).rejects.toMatchObject({ code: 'MODEL_EXISTS' });
  await expect(client.model('digits:1').setAlias('1')).rejects.toMatchObject({ code: 'MODEL_EXISTS' });
  const refused = { code: 'USAGE' };
  for (const name of [
    'digits',
    'digits:',
    ':1',
    'a:b:c',
    '../up:1',
    'digits:.hidden',
    'digits:1.safetensors',
    `${'x'.repeat(65)}:1`,
  ])
    await expect(other.register(name)).rejects.toMatchObject(refused);
  await expect(other.register('digits:2', { aliases: ['a/b'] })).rejects.toMatchObject(refused);
  await expect(client.model('digits:9').get()).rejects.toMatchObject({
    code: 'MODEL_NOT_FOUND',
    message:
      "model 'digits' has no version or alias '9'; list what is registered with `kasane model list digits`",
  });
  await expect(client.job('none-12345678').register('digits:2')).rejects.toMatchObject({
    code: 'JOB_NOT_FOUND',
  });
  const paused = await client.submit(file);
  await paused.pause();
  await expect(paused.register('digits:2')).rejects.toMatchObject({ code: 'JOB_STATE' });
  await paused.cancel();
  // Of two at once one is registered.
  const both = await Promise.allSettled([other.register('digits:2'), first.register('digits:2')]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await client.model('digits:2').delete();
});

it('refuses more aliases than a version may have, however they come', async () => {
  const aliases = Array.from({ length: 17 }, (_, index) => `a${index}`);
  await expect(first.register('full:1', { aliases })).rejects.toMatchObject({
    code: 'LIMIT',
    message: 'aliases: 17 were given; a version can have at most 16',
  });
  await first.register('full:1', { aliases: aliases.slice(1) });
  const model = client.model('full:1');
  await expect(model.setAlias('a0')).rejects.toMatchObject({ code: 'LIMIT' });
  // It has this one already.
  expect(await model.setAlias('a1')).toBe('1');
  for (const alias of aliases.slice(1)) await client.model(`full:${alias}`).removeAlias();
  await model.delete();
});

it('a version, or a job, from which one is just being submitted cannot be deleted', async () => {
  const ends = async (init: string, remove: () => Promise<unknown>) => {
    const { check: real } = JobChecks.prototype;
    const check = vi.spyOn(JobChecks.prototype, 'check');
    const during: unknown[] = [];
    // When everything has been looked at, and nothing is recorded yet.
    check.mockImplementationOnce(async function (this: JobChecks, ...of) {
      check.mockRestore();
      const checked = await real.apply(this, of);
      during.push(await remove().catch((error: unknown) => error));
      return checked;
    });
    const job = await client.submit({ ...file, init });
    expect(during).toEqual([expect.objectContaining({ code: 'JOB_STATE' })]);
    await job.result();
  };
  await first.register('leaving:1');
  await ends('leaving:1', () => client.model('leaving:1').delete());
  await client.model('leaving:1').delete();
  const other = await trained({ training: { ...file.training, seed: 7 } });
  await ends((await other.get()).model, () => other.delete());
  await other.delete();
});

it('jobs start from a name as it is when they are submitted', async () => {
  const next = await client.submit({ ...file, name: 'next', init: 'digits:production' });
  await next.result();
  await next.register('digits:2', { aliases: ['staging'] });
  const { record } = await client.model('digits:2').get();
  expect(record).toMatchObject({ parentDigest: digest, parents: ['numbers:2026.11', 'digits:1', first.id] });
  expect(JSON.parse(record.job!.spec)).toMatchObject({ init: 'digits:1' });
  // The same bits as from the file.
  const weights = join(temporaryDirectory(cleanUp), 'weights.safetensors');
  writeFileSync(weights, (await first.result()).bytes);
  const fromFile = await trained({ name: 'next', init: weights });
  expect((await fromFile.get()).digest).toBe((await next.get()).digest);
  await expect(client.submit({ ...file, init: 'digits:none' })).rejects.toMatchObject({
    code: 'JOB_INVALID',
    message: expect.stringContaining("init: model 'digits' has no version or alias 'none'"),
  });
});

it('a sweep settles the versions that it chooses from', async () => {
  const sweep = await client.submitSweep({
    ...file,
    search: {
      trials: 2,
      sampler: 'grid',
      parameters: { init: { choices: ['digits:production', 'digits:2'] } },
    },
  } as never);
  await expect(client.model('digits:2').delete()).rejects.toMatchObject({ code: 'JOB_STATE' });
  await sweep.result();
  const { trials } = await sweep.get();
  const { client: calls } = cluster;
  const specs = await Promise.all(trials.map(async ({ job }) => JSON.parse(await calls.spec(job)).init));
  calls.close();
  expect(specs).toEqual(['digits:1', 'digits:2']);
});

it('outlives its job, a continued job and the coordinator', async () => {
  await first.resume(1);
  await first.result();
  const { digest: continued, models: names } = await first.get();
  expect(continued).not.toBe(digest);
  expect(names).toEqual([]);
  await first.delete();
  expect(existsSync(join(cluster.state, 'jobs', first.id))).toBe(false);
  await cluster.stopCoordinator();
  await cluster.startCoordinator();
  const { model, record } = await client.model('digits:production').get();
  expect(model).toMatchObject({ version: '1', job: first.id, digest });
  expect(record.job?.history).toHaveLength(2);
  const { bytes, about } = await client.model('digits:production').result();
  expect(about.job).toBe('short');
  expect(bytes).toEqual(readFileSync(fileOf(digest)));
});

it('is in backups, and is missed where a database is lost', async () => {
  const copy = join(temporaryDirectory(cleanUp), 'copy');
  await runCommand(['backup', copy, '--state', cluster.state]);
  const store = new JobStore(copy);
  expect(store.models.require('digits:production').digest).toBe(digest);
  await store.close();
  expect(readFileSync(join(copy, 'models', `${digest}.safetensors`))).toEqual(readFileSync(fileOf(digest)));
  rmSync(join(copy, 'jobs'), { recursive: true });
  for (const name of readdirSync(copy)) if (name.startsWith('kasane.sqlite')) rmSync(join(copy, name));
  const other = new TestCluster(cleanUp, {}, copy);
  await expect(other.startOn(cluster.redisUrl)).rejects.toMatchObject({
    code: 'FILE_DAMAGED',
    message: expect.stringContaining('models/ has weights of registered models'),
  });
});

it('deletes a version, and its weights with the last one', async () => {
  const model = client.model('digits:1');
  await expect(model.delete()).rejects.toMatchObject({
    code: 'JOB_STATE',
    message: expect.stringContaining('digits:1 is in use as digits:production'),
  });
  await expect(client.model('digits:production').delete()).rejects.toMatchObject({ code: 'USAGE' });
  expect(await client.model('digits:staging').setAlias('production')).toBe('1');
  expect(await model.delete()).toBe(0);
  expect(existsSync(fileOf(digest))).toBe(true);
  expect(await client.model('numbers:2026.11').delete()).toBeGreaterThan(100_000);
  expect(readdirSync(models())).not.toContain(`${digest}.safetensors`);
  expect((await client.listModels()).map(({ name, version }) => `${name}:${version}`)).toEqual(['digits:2']);
  await client.model('digits:staging').removeAlias();
  expect((await client.model('digits:2').get()).model.aliases).toEqual(['production']);
});

it('what a coordinator was at when it was killed is put right', async () => {
  const { model } = await client.model('digits:2').get();
  await cluster.stopCoordinator();
  const [orphan, foreign] = ['0'.repeat(64), '1'.repeat(64)];
  for (const sha of [orphan, foreign]) writeFileSync(fileOf(sha), 'weights');
  for (const sha of [orphan, model.digest]) writeFileSync(join(models(), `${sha}.changing`), '');
  await cluster.startCoordinator();
  // A file that nobody has marked is not ours to remove.
  expect(readdirSync(models()).sort()).toEqual(
    [`${foreign}.safetensors`, `${model.digest}.safetensors`].sort(),
  );
  rmSync(fileOf(foreign));
});

it('damaged weights are told, and not given out', async () => {
  const job = await trained({ training: { ...file.training, seed: 7 } });
  await job.register('damaged:1');
  const { digest: sha } = await job.get();
  rmSync(fileOf(sha));
  writeFileSync(fileOf(sha), 'no weights');
  await expect(client.model('damaged:1').result()).rejects.toMatchObject({ code: 'FILE_DAMAGED' });
  // The job still has them: registering them again mends the file.
  await job.register('damaged:2');
  expect((await client.model('damaged:1').result()).about.job).toBe('short');
});

it('commands register, show, and use a model by its name', async () => {
  const folder = temporaryDirectory(cleanUp);
  mkdirSync(join(folder, 'jobs'));
  const path = join(folder, 'jobs', 'job.json');
  writeFileSync(path, JSON.stringify(file));
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
      encoding: 'utf8',
    });
  git('init', '-q');
  git('add', '.');
  git('commit', '-q', '-m', 'a job');
  const revision = git('rev-parse', 'HEAD').trim();
  const submitted = async () => {
    const { stdout: id } = await kasane('submit', path);
    await client.job(id).result();
    return id;
  };
  const clean = await submitted();
  writeFileSync(path, `${JSON.stringify(file)}\n`);
  const dirty = await submitted();
  const { stdout: said } = await kasane('model', 'register', clean, 'cli:1', '--alias', 'best');
  expect(said).toBe(`${clean} registered as cli:1, which is best`);
  await kasane('model', 'register', dirty, 'cli:2');
  const shown = async (model: string) =>
    JSON.parse((await kasane('model', 'show', model, '--json')).stdout) as Record<string, unknown>;
  expect(await shown('cli:best')).toMatchObject({
    ...{ model: 'cli:1', aliases: ['best'], job: clean, epochs: 2, parentDigest: null },
    source: { file: 'jobs/job.json', revision, dirty: false },
  });
  expect(await shown('cli:2')).toMatchObject({ source: { revision, dirty: true } });
  expect(
    (await kasane('model', 'list', 'cli')).stdout.split('\n').map((line) => line.split(/\s+/)[0]),
  ).toEqual(['MODEL', 'cli:2', 'cli:1']);
  expect((await kasane('model', 'alias', 'cli:2', 'best')).stdout).toBe('cli:best is cli:2; it was cli:1');
  const { stdout: evaluated } = await kasane('eval', 'cli:best', '--json');
  expect(JSON.parse(evaluated).samples).toBe(50);
  const out = join(folder, 'model.safetensors');
  await kasane('export', 'cli:best', '-o', out);
  expect(readFileSync(out)).toEqual(readFileSync(fileOf((await client.job(dirty).get()).digest)));
  const { stdout: card } = await kasane('model', 'card', 'cli:best');
  for (const line of [
    '# cli:2',
    'a \\| short job',
    '## Results',
    '### Classes',
    '| samples | 200 training samples, 50 test samples |',
    'with changes that were not committed',
    '    kasane predict cli:2 image.png',
    '    init: cli:2',
  ])
    expect(card).toContain(line);
  expect(card).not.toContain(cluster.state);
  await expect(kasane('model', 'delete', 'cli:1')).rejects.toThrow('add --yes');
  await kasane('model', 'delete', 'cli:1', '--yes');
  expect((await kasane('model', 'alias', 'cli:best', '--remove')).stdout).toBe(
    'cli:best removed; cli:2 stays',
  );
  await expect(kasane('predict', 'cli:1', 'x')).rejects.toThrow('has no version or alias');
});

it('a retry says that a name, or a file, has other weights than when the job was submitted', async () => {
  const from = await trained({ training: { ...file.training, seed: 6 } });
  const then = (await from.get()).digest;
  const weights = join(temporaryDirectory(cleanUp), 'start.safetensors');
  writeFileSync(weights, (await from.result()).bytes);
  await from.register('again:1');
  const [named, ofFile] = [await trained({ init: 'again:1' }), await trained({ init: weights })];
  const notesOf = async ({ id }: JobHandle) => {
    const { stdout } = await kasane('retry', id, '--json');
    const { job, notes } = JSON.parse(stdout) as { job: string; notes: string[] };
    await client.job(job).result();
    return notes;
  };
  expect((await notesOf(named)).join()).not.toContain('other weights');
  const other = await trained({ training: { ...file.training, seed: 8 } });
  await client.model('again:1').delete();
  await other.register('again:1');
  writeFileSync(weights, (await other.result()).bytes);
  const now = (await other.get()).digest;
  for (const [job, init] of [
    [named, 'again:1'],
    [ofFile, weights],
  ] as const)
    expect(await notesOf(job)).toContain(
      `init: ${init} has other weights than when ${job.id} was submitted: SHA-256 ${then} then, ${now} now; the result will differ from that of ${job.id}`,
    );
  await client.model('again:1').delete();
});
