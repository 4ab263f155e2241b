/** The address that a worker has may be another Redis than the coordinator's: it is found out before the worker takes part in a job. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { CoordinatorClient } from '@kasane/protocol/client';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const other = { url: '', place: '' };
let job: object;

beforeAll(async () => {
  await cluster.start();
  const redis = await startRedis({});
  cleanUp.add(() => redis.close());
  other.url = redis.url;
  other.place = new URL(redis.url).host;
  const path = smallMnist(temporaryDirectory(cleanUp), 640, 100);
  const training = { epochs: 2, batch: 64, shards: 2 };
  job = { name: 'one', model: { preset: 'mnist-mlp' }, data: { path }, training };
});
afterAll(() => cleanUp.run());

interface Started {
  readonly child: ChildProcess;
  /** What it has said. */
  readonly log: () => string;
  readonly ended: Promise<number>;
}

/** A worker process that is given this Redis, whatever the coordinator announces. */
function worker(redisUrl: string | undefined, coordinator = cluster.address): Started {
  const options = { coordinator, slots: 1, logLevel: 'info', redisUrl };
  const child = fork(new URL(import.meta.resolve('@kasane/worker/internal/process')), {
    env: { ...process.env, KASANE_WORKER_OPTIONS: JSON.stringify(options) },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  cleanUp.add(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  return { child, log: () => said, ended: once(child, 'close').then(([code]) => code as number) };
}

const ids = async () => {
  const { client } = cluster;
  try {
    return (await client.status()).workers.map(({ id }) => id);
  } finally {
    client.close();
  }
};
const noSecrets = (text: string) => {
  for (const url of [cluster.redisUrl, other.url]) {
    const { password } = new URL(url);
    if (password) expect(text).not.toContain(password);
  }
};

it('a worker on another Redis ends with one line, takes part in nothing, and the job goes on with the others', async () => {
  await cluster.worker(1);
  const quiet = await cluster.run(job);
  expect(quiet.error).toBe('');
  const wrong = worker(other.url);
  const running = cluster.run(job);
  expect(await wrong.ended).not.toBe(0);
  const own = new URL(cluster.redisUrl).host;
  const lines = wrong.log().split('\n');
  const line = new RegExp(
    `uses a different Redis \\(${other.place}\\) than the coordinator \\(${own}\\); start the worker`,
  );
  expect(lines.filter((text) => line.test(text))).toHaveLength(1);
  noSecrets(wrong.log());
  const ran = await running;
  expect(ran).toMatchObject({ error: '', digest: quiet.digest });
  const who = /"worker":"([^"]+)"/.exec(wrong.log())?.[1];
  expect(who).toBeTruthy();
  expect(await ids()).not.toContain(who);
});

it('another database of the same Redis is another Redis', async () => {
  const wrong = worker(`${cluster.redisUrl.replace(/\/\d*$/, '')}/5`);
  expect(await wrong.ended).not.toBe(0);
  expect(wrong.log()).toMatch(/uses a different Redis \(\S+:\d+\/5\) than the coordinator/);
});

it('the coordinator says so too', async () => {
  let said = '';
  const write = (text: string) => {
    said += text;
  };
  const log = pino({ level: 'warn' }, { write });
  const coordinator = await startCoordinator({
    ...{ host: '127.0.0.1', port: 0, redisUrl: cluster.redisUrl, announceRedisUrl: other.url },
    ...{ stateDirectory: temporaryDirectory(cleanUp), log },
  });
  cleanUp.add(() => coordinator.close());
  const wrong = worker(undefined, coordinator.address);
  expect(await wrong.ended).not.toBe(0);
  expect(said).toMatch(/disconnecting worker \S+: .*uses a different Redis .*--announce-redis/);
  noSecrets(said);
});

it('a worker whose Redis is not there waits for it, in no job, and then takes part', {
  timeout: 120_000,
}, async () => {
  const away = await startRedis({});
  cleanUp.add(() => away.close());
  const { port } = new URL(away.url);
  const late = new TestCluster(cleanUp);
  await late.start();
  // Stopped, it takes connections and answers nothing.
  const pause = new Redis(late.redisUrl);
  cleanUp.add(() => pause.disconnect());
  await pause.call('CLIENT', 'PAUSE', '8000', 'ALL');
  const client = new CoordinatorClient({ coordinator: late.address });
  cleanUp.add(() => client.close());
  const waits = worker(late.redisUrl, late.address);
  await vi.waitFor(() => expect(waits.log()).toContain('connected to'), { timeout: 30_000 });
  expect((await client.status()).workers).toEqual([]);
  await vi.waitFor(async () => expect((await client.status()).workers).toHaveLength(1), { timeout: 30_000 });
  expect(waits.child.exitCode).toBe(null);
  expect((await late.run(job)).state).toBe(JobState.JOB_STATE_SUCCEEDED);
  // Nobody listens at the address: it is named, and the worker goes on trying.
  await away.close();
  const lost = worker(`redis://127.0.0.1:${port}`, late.address);
  await vi.waitFor(() => expect(lost.log()).toContain(`Redis is not reachable at 127.0.0.1:${port}`), {
    timeout: 30_000,
  });
  expect((await late.run({ ...job, name: 'two' })).state).toBe(JobState.JOB_STATE_SUCCEEDED);
  expect((await client.status()).workers).toHaveLength(1);
  expect(lost.child.exitCode).toBe(null);
});
