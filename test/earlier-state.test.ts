/**
 * What 0.1 left behind: its state directory, with a job that succeeded and one that is paused (test/fixtures/state-0.1: the database as
 * SQL, the files of jobs in base64), is opened by this version, which knows its tokens, jobs, metrics and weights.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { DATABASE } from '@kasane/coordinator/internal/store/state-database';
import { CoordinatorClient } from '@kasane/protocol/client';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';
import { checkout } from './support/image.ts';

const fixture = join(checkout, 'test/fixtures/state-0.1');
const finished = 'xor-8a7fabb1';
const unfinished = 'unfinished-8c39fd1a';
/** With scope `read`; the database has its digest. */
const token = 'ksn_680f7947f35a_u2EIfFSv-dzLTVwBzjV37ZvJ2Zr5LY2LV72mVA8naaA';

const cleanUp = new CleanUp();
let client: CoordinatorClient;
let address: string;
let ownToken: string;
beforeAll(async () => {
  const redis = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => redis.close());
  const coordinator = await startCoordinator({
    ...{ host: '127.0.0.1', port: 0, redisUrl: redis.url, stateDirectory: stateOf01() },
    log: pino({ level: 'silent' }),
  });
  cleanUp.add(() => coordinator.close());
  ({ address, ownToken } = coordinator);
  client = new CoordinatorClient({ coordinator: address, token });
  cleanUp.add(() => client.close());
});
afterAll(() => cleanUp.run());

/** Makes the directory as 0.1 left it, and its data. */
function stateOf01(): string {
  const state = temporaryDirectory(cleanUp);
  const data = temporaryDirectory(cleanUp);
  cpSync(join(checkout, 'examples/data/xor.csv'), join(data, 'xor.csv'));
  const files = JSON.parse(readFileSync(join(fixture, 'files.json'), 'utf8')) as Record<string, string>;
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(state, path)), { recursive: true });
    writeFileSync(join(state, path), Buffer.from(content, 'base64'));
  }
  const database = new DatabaseSync(join(state, DATABASE));
  database.exec(readFileSync(join(fixture, 'kasane.sql'), 'utf8').replaceAll('DATA/', `${data}/`));
  database.close();
  return state;
}

it('has its jobs, with their states and metrics', async () => {
  const jobs = await client.list(10);
  expect(jobs.map(({ id, state, step }) => ({ id, state, step }))).toEqual([
    { id: unfinished, state: JobState.JOB_STATE_PAUSED, step: 63 },
    { id: finished, state: JobState.JOB_STATE_SUCCEEDED, step: 10 },
  ]);
  const epochs = await client.epochs(finished);
  expect(epochs.map(({ epoch, trainLoss }) => [epoch, trainLoss.toFixed(4)])).toEqual([
    [1, '0.8641'],
    [2, '0.6887'],
    [3, '0.6413'],
    [4, '0.5969'],
    [5, '0.5498'],
  ]);
  expect(await client.epochs(unfinished)).toHaveLength(31);
});

it('tells what happened to them, without times that nobody kept', async () => {
  const job = await client.get(finished);
  const events = await client.events(finished);
  expect(events.map(({ code, time }) => [code, time])).toEqual([
    ['earlier-version', 0],
    ['submitted', job.submittedAt],
    ['started', job.startedAt],
    ...Array.from({ length: 5 }, () => ['epoch', 0]),
    ['succeeded', job.endedAt],
  ]);
});

it('has the weights, which predict as they did', async () => {
  const bytes = await client.model(finished);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe((await client.get(finished)).digest);
  const weights = join(temporaryDirectory(cleanUp), 'xor.safetensors');
  writeFileSync(weights, bytes);
  const { stdout } = await runCommand([
    'predict',
    weights,
    join(checkout, 'examples/data/xor.csv'),
    '--json',
  ]);
  // Its test accuracy was 100 %.
  const classes = stdout.split('\n').map((line) => (JSON.parse(line) as { class: number }).class);
  expect(classes).toEqual([0, 1, 1, 0]);
});

it('has weights that can be registered, though less is known of them', async () => {
  // The token may only read.
  await expect(client.models.register(finished, 'xor:1')).rejects.toMatchObject({ code: 'SCOPE' });
  const own = new CoordinatorClient({ coordinator: address, token: ownToken });
  cleanUp.add(() => own.close());
  await own.models.register(finished, 'xor:1', { aliases: ['best'] });
  const { model, record } = await client.models.get('xor:best');
  expect(model.digest).toBe((await client.get(finished)).digest);
  expect(record).toMatchObject({
    ...{ data: undefined, source: undefined },
    trainedBy: '',
    job: { epoch: 5 },
  });
  expect(await client.models.download('xor:best')).toEqual(await client.model(finished));
});
