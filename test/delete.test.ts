/** Jobs that are deleted: nothing of them stays, nobody is misled, and a coordinator that is killed half-way leaves a whole job or none. */
import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type JobHandle, KasaneClient } from '@kasane/client/client';
import type { SweepFile } from '@kasane/client/internal/sweep-file';
import type { JobFile } from '@kasane/client/job-file';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let client: KasaneClient;
let job: JobFile;
beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
  client = new KasaneClient({ coordinator: cluster.address });
  cleanUp.add(() => client.close());
  job = {
    name: 'short',
    model: { preset: 'mnist-mlp' },
    data: { format: 'idx', path: smallMnist(temporaryDirectory(cleanUp), 200, 50) },
    training: { epochs: 2, batch: 20, shards: 2 },
  };
});
afterAll(() => cleanUp.run());

async function trained(file: JobFile = job): Promise<JobHandle> {
  const handle = await client.submit(file);
  await handle.result();
  return handle;
}

/** Rows of each table that speak of a job. */
function rowsOf(id: string): Record<string, number> {
  const database = new DatabaseSync(join(cluster.state, 'kasane.sqlite'), { readOnly: true });
  try {
    const tables = ['jobs', 'epochs', 'checkpoints', 'ledger', 'metrics', 'events'];
    return Object.fromEntries(
      tables.map((table) => {
        const column = table === 'jobs' ? 'id' : 'job';
        const but = table === 'events' ? "AND code <> 'deleted'" : '';
        const row = database.prepare(`SELECT count(*) AS n FROM ${table} WHERE ${column} = ? ${but}`).get(id);
        return [table, Number(row!.n)];
      }),
    );
  } finally {
    database.close();
  }
}
const none = { jobs: 0, epochs: 0, checkpoints: 0, ledger: 0, metrics: 0, events: 0 };
const filesOf = (id: string) => join(cluster.state, 'jobs', id);

it('deletes rows, files and keys of one job, and says so to those who listen', async () => {
  const [one, other] = [await trained(), await trained()];
  expect(Object.values(rowsOf(one.id)).every((count) => count > 0)).toBe(true);
  const redis = new Redis(cluster.redisUrl);
  cleanUp.add(() => redis.quit());
  // What a coordinator that was killed leaves.
  const key = `{kasane:${one.id}:${'01234567'}}:batch`;
  await redis.set(key, 'x');
  const { client: calls } = cluster;
  const heard = (async () => {
    for await (const { job, code } of calls.watchEvents()) if (code === 'deleted') return job;
    return undefined;
  })();
  expect(await one.delete()).toBeGreaterThan(100_000);
  expect(await heard).toBe(one.id);
  calls.close();
  expect(rowsOf(one.id)).toEqual(none);
  expect(existsSync(filesOf(one.id))).toBe(false);
  expect(readdirSync(join(cluster.state, 'deleted'))).toEqual([]);
  expect(await redis.exists(key)).toBe(0);
  const gone = { code: 'JOB_NOT_FOUND', message: expect.stringContaining(`there is no job '${one.id}'`) };
  for (const asked of [one.get(), one.history(), one.events(), one.retry(), one.resume(), one.delete()])
    await expect(asked).rejects.toMatchObject(gone);
  expect((await client.list()).map(({ id }) => id)).toEqual([other.id]);
  expect((await other.result()).bytes.length).toBeGreaterThan(100_000);
});

it.each([
  ['by its path', (path: string) => path],
  [
    'through a link',
    (path: string) => {
      const link = join(temporaryDirectory(cleanUp), 'state');
      symlinkSync(cluster.state, link);
      return path.replace(cluster.state, link);
    },
  ],
])(
  'refuses jobs that have not ended, and those whose weights another one starts from, %s',
  async (_, named) => {
    const first = await trained();
    const init = named(
      join(filesOf(first.id), readdirSync(filesOf(first.id)).find((name) => name.startsWith('model'))!),
    );
    const next = await client.submit({ ...job, init, training: { ...job.training, epochs: 2000 } });
    await expect(next.delete()).rejects.toMatchObject({
      code: 'JOB_STATE',
      message: expect.stringMatching(/; only jobs that have ended can be deleted: .*`kasane cancel /),
    });
    await next.pause();
    await expect(next.delete()).rejects.toThrow(`job ${next.id} is paused`);
    await expect(first.delete()).rejects.toMatchObject({
      code: 'JOB_STATE',
      message: `job ${next.id} starts from the weights of job ${first.id} (\`init\`); delete it once that has ended`,
    });
    expect(existsSync(init)).toBe(true);
    await next.cancel();
    await first.delete();
    // What named them is told in one line.
    await expect(next.retry()).rejects.toThrow(new RegExp(`^init: ${init}: .*`));
    await next.delete();
  },
);

it('refuses jobs whose weights a sweep that runs chooses from', async () => {
  const [one, other] = [await trained(), await trained()];
  const weights = ({ id }: JobHandle) =>
    join(filesOf(id), readdirSync(filesOf(id)).find((name) => name.startsWith('model'))!);
  const sweep = await client.submitSweep({
    ...{ ...job, training: { ...job.training, epochs: 2000 } },
    search: {
      trials: 2,
      sampler: 'grid',
      parameters: { init: { choices: [weights(one), weights(other)] } },
    },
  } as never);
  await expect(other.delete()).rejects.toMatchObject({
    code: 'JOB_STATE',
    message: `sweep ${sweep.id} starts from the weights of job ${other.id} (\`init\`); delete it once that has ended`,
  });
  await sweep.cancel();
  await other.delete();
});

it('trials stay while their sweep runs; afterwards the sweep says that its best has gone', async () => {
  const file: SweepFile = {
    ...job,
    search: {
      trials: 2,
      parameters: { 'training.learningRate': { choices: [0.001, 0.002] } },
      sampler: 'grid',
    },
  };
  const long = { ...file, training: { ...job.training, epochs: 2000 } };
  const running = await client.submitSweep(long);
  for await (const { trials } of running.watch()) if (trials.some(({ job }) => job !== '')) break;
  const [trial] = (await running.get()).trials;
  await client.job(trial!.job).cancel();
  await expect(client.job(trial!.job).delete()).rejects.toMatchObject({
    code: 'JOB_STATE',
    message: expect.stringContaining(`is trial 1 of sweep ${running.id}, which is still running`),
  });
  await running.cancel();
  await client.job(trial!.job).delete();
  const done = await client.submitSweep(file);
  await done.result();
  const { sweep } = await done.get();
  await client.job(sweep.best!.job).delete();
  const after = await done.get();
  expect(after.trials).toHaveLength(2);
  expect(after.sweep.best).toMatchObject({ number: sweep.best!.number, job: '', value: sweep.best!.value });
  await expect(done.result()).rejects.toMatchObject({
    code: 'JOB_NOT_FOUND',
    message: `trial ${sweep.best!.number}, the best of sweep ${done.id}, has been deleted with its weights`,
  });
});

it('a coordinator that was killed half-way is followed by one with a whole job, or none', async () => {
  const [stays, goes] = [await trained(), await trained()];
  await cluster.stopCoordinator();
  // Killed before the rows went, and after.
  const mark = (id: string) => writeFileSync(join(cluster.state, 'deleted', id), '');
  mkdirSync(join(cluster.state, 'deleted'), { recursive: true });
  mark(stays.id);
  mark(goes.id);
  const aside = join(temporaryDirectory(cleanUp), 'files');
  renameSync(filesOf(goes.id), aside);
  await cluster.startCoordinator();
  const again = new KasaneClient({ coordinator: cluster.address });
  cleanUp.add(() => again.close());
  expect((await again.job(stays.id).result()).bytes.length).toBeGreaterThan(100_000);
  await again.job(goes.id).delete();
  await cluster.stopCoordinator();
  mark(goes.id);
  renameSync(aside, filesOf(goes.id));
  await cluster.startCoordinator();
  expect(existsSync(filesOf(goes.id))).toBe(false);
  expect(readdirSync(join(cluster.state, 'deleted'))).toEqual([]);
  expect((await new KasaneClient({ coordinator: cluster.address }).list()).map(({ id }) => id)).toContain(
    stays.id,
  );
});
