/** Jobs as runs of MLflow: all that is known arrives once, whatever happens to the server, and to the coordinator. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { KasaneClient } from '@kasane/client/client';
import type { JobFile } from '@kasane/client/job-file';
import { type CoordinatorOptions, startCoordinator } from '@kasane/coordinator/coordinator';
import { MlflowApi } from '@kasane/coordinator/internal/mlflow/api';
import { metricsOfEpoch, paramsOf } from '@kasane/coordinator/internal/mlflow/content';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { FakeMlflow, type FakeRun } from './support/mlflow.ts';

const cleanUp = new CleanUp();
const mlflow = new FakeMlflow();
const logged: string[] = [];
let cluster: TestCluster;
let client: KasaneClient;
let file: JobFile;
beforeAll(async () => {
  const url = await mlflow.listen();
  cleanUp.add(() => mlflow.close());
  cluster = new TestCluster(cleanUp, {
    mlflow: { url: `${url}/`, experiment: 'digits', token: 'secret', intervalMs: 50 },
    limits: { metricIntervalMs: 0 },
    log: pino({ level: 'warn' }, { write: (line) => void logged.push(line) }),
  });
  await cluster.start();
  await cluster.worker();
  client = new KasaneClient({ coordinator: cluster.address });
  cleanUp.add(() => client.close());
  file = {
    name: 'sent',
    description: 'what MLflow shows',
    tags: ['baseline'],
    model: {
      input: [28, 28],
      classes: 10,
      layers: [{ type: 'flatten' }, { type: 'dense', units: 8 }, { type: 'dense', units: 10 }],
    },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 300, 50) },
    training: { epochs: 3, batch: 10, shards: 2 },
  };
});
afterAll(() => cleanUp.run());

/** The run of a job once it is as it should be. */
async function run(job: string, isRight: (run: FakeRun) => boolean): Promise<FakeRun> {
  await expect
    .poll(
      () => {
        const found = mlflow.runOf(job);
        return found !== undefined && isRight(found);
      },
      { timeout: 30_000 },
    )
    .toBe(true);
  return mlflow.runOf(job)!;
}
const isFinished = ({ status }: FakeRun) => status === 'FINISHED';
const valuesOf = ({ metrics }: FakeRun, wanted: string) => metrics.filter(({ key }) => key === wanted);
const steps = (of: FakeRun, key: string) => valuesOf(of, key).map(({ step }) => step);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

it('sends parameters, steps, epochs, state, and the name of a registered model', async () => {
  const job = await client.submit(file);
  await job.result();
  const found = await run(job.id, isFinished);
  expect(mlflow.experiments.has('digits')).toBe(true);
  expect([...mlflow.authorizations]).toEqual(['Bearer secret']);
  expect(found.name).toBe(job.id);
  expect(Object.fromEntries(found.params)).toMatchObject({
    ...{ 'training.batch': '10', 'model.layers.1.units': '8', 'training.optimizer.type': 'adam' },
  });
  expect(Object.fromEntries(found.tags)).toMatchObject({
    ...{ 'kasane.job': job.id, 'kasane.tags': 'baseline', 'mlflow.note.content': 'what MLflow shows' },
  });
  expect(steps(found, 'train/loss')).toEqual(upTo(90));
  const history = await job.history();
  expect(valuesOf(found, 'test/loss').map(({ value }) => value)).toEqual(
    history.map(({ testLoss }) => testLoss),
  );
  expect(steps(found, 'test/accuracy')).toEqual([1, 2, 3]);
  expect(found.endTime).toBe((await job.get()).endedAt);
  await job.register('digits:1');
  await run(job.id, ({ tags }) => tags.get('kasane.models') === 'digits:1');
});

it('trials come from the file of their sweep', async () => {
  const sweep = {
    ...{ ...file, training: { ...file.training, epochs: 1 } },
    search: { trials: 2, sampler: 'grid', parameters: { 'training.seed': { choices: [1, 2] } } },
  };
  const revision = 'c0ffee';
  const { client: calls } = cluster;
  const id = await calls.sweeps.submit(JSON.stringify(sweep), 0, {
    ...{ file: 'sweeps/seeds.yaml', revision, dirty: false, kasane: '' },
  });
  calls.close();
  await client.sweep(id).result();
  for (const { job } of (await client.sweep(id).get()).trials)
    expect(Object.fromEntries((await run(job, isFinished)).tags)).toMatchObject({
      ...{ 'kasane.sweep': id, 'mlflow.source.name': 'sweeps/seeds.yaml' },
      'mlflow.source.git.commit': revision,
    });
});

it('a server that is away, or broken, costs nothing but time', async () => {
  const broken = [
    { status: 503, text: 'proxy' },
    { status: 200, text: '<html>' },
    { status: 301, text: '', location: 'https://elsewhere.example' },
    { status: 401, text: '{}' },
  ];
  mlflow.broken = broken[0];
  const job = await client.submit(file);
  for (const answer of broken) {
    const before = mlflow.requests;
    mlflow.broken = answer;
    await expect.poll(() => mlflow.requests - before, { timeout: 30_000 }).toBeGreaterThan(0);
  }
  await job.result();
  mlflow.broken = undefined;
  const found = await run(job.id, isFinished);
  expect(steps(found, 'train/loss')).toEqual(upTo(90));
  expect(steps(found, 'test/loss')).toEqual([1, 2, 3]);
  const told = async () =>
    (await job.events()).map(({ code }) => code).filter((code) => code.startsWith('mlflow'));
  // One event for the whole outage, and one for its end.
  await expect.poll(told).toEqual(['mlflow-away', 'mlflow-back']);
});

it('a server that fails at one job is there for the others', async () => {
  logged.length = 0;
  const one = await client.submit(file);
  mlflow.failing = one.id;
  await expect.poll(() => mlflow.failures, { timeout: 30_000 }).toBeGreaterThan(1);
  const other = await client.submit(file);
  await run(other.id, isFinished);
  expect(logged.filter((line) => line.includes('cannot send to MLflow'))).toEqual([]);
  expect((await other.events()).filter(({ code }) => code.startsWith('mlflow'))).toEqual([]);
  mlflow.failing = '';
  const found = await run(one.id, isFinished);
  expect(steps(found, 'train/loss')).toEqual(upTo(90));
  const told = async () =>
    (await one.events()).map(({ code }) => code).filter((code) => code.startsWith('mlflow'));
  await expect.poll(told).toEqual(['mlflow-away', 'mlflow-back']);
});

it('records no secret that a server repeats, and no more of what it says than a line', async () => {
  const server = createServer((request, response) => {
    const { authorization } = request.headers;
    const { path } = answer;
    if (path === 'redirect')
      response.writeHead(302, { location: `http://10.0.0.1/?${authorization}&${'x'.repeat(5_000)}` }).end();
    else if (path === 'upgrade')
      request.socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n');
    else
      response.writeHead(401).end(JSON.stringify({ error_code: 'X', message: `not you: ${authorization}` }));
  });
  const answer = { path: '' };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp.add(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const secrets = [{ token: 'hunter2hunter2' }, { user: 'me', password: 'hunter2hunter2' }];
  for (const path of ['redirect', 'refuse', 'upgrade'])
    for (const secret of secrets) {
      answer.path = path;
      const api = new MlflowApi({ url, experiment: 'x', ...secret });
      const { message } = (await api.experiment('x').catch((error: Error) => error as Error)) as Error;
      expect(message.length).toBeLessThan(500);
      expect(message).not.toContain('hunter2hunter2');
      expect(message).not.toContain(Buffer.from('me:hunter2hunter2').toString('base64'));
      if (path !== 'upgrade') expect(message).toContain('***');
      api.close();
    }
});

it('goes on after a restart, and sends nothing twice', async () => {
  const job = await client.submit({ ...file, training: { ...file.training, epochs: 20 } });
  await run(job.id, (found) => valuesOf(found, 'test/loss').length > 2);
  await cluster.stopCoordinator();
  await cluster.startCoordinator();
  await job.result();
  const found = await run(job.id, isFinished);
  const sent = steps(found, 'train/loss');
  expect(new Set(sent).size).toBe(sent.length);
  expect(sent.at(-1)).toBe(600);
  expect(steps(found, 'test/loss')).toEqual(upTo(20));
});

it('a run that was deleted there ends the sending of that job alone', async () => {
  const paused = await client.submit({ ...file, training: { ...file.training, epochs: 50 } });
  await run(paused.id, (found) => valuesOf(found, 'train/loss').length > 0);
  for (const [id, { tags }] of mlflow.runs) if (tags.get('kasane.job') === paused.id) mlflow.runs.delete(id);
  const told = async () => (await paused.events()).filter(({ code }) => code === 'mlflow-refused');
  await expect.poll(async () => (await told()).length, { timeout: 30_000 }).toBe(1);
  await paused.cancel();
  const next = await client.submit(file);
  await next.result();
  await run(next.id, isFinished);
  expect(await told()).toHaveLength(1);
  expect(mlflow.runOf(paused.id)).toBeUndefined();
});

it('states are those of MLflow', async () => {
  const job = await client.submit({ ...file, training: { ...file.training, epochs: 200 } });
  await job.pause();
  await run(job.id, ({ status }) => status === 'SCHEDULED');
  await job.resume();
  await run(job.id, ({ status }) => status === 'RUNNING');
  await job.cancel();
  await run(job.id, ({ status }) => status === 'KILLED');
});

/** Starts a coordinator beside the cluster's. */
const startAnother = (differs: Pick<CoordinatorOptions, 'mlflow' | 'log'>) =>
  startCoordinator({
    ...{ host: '127.0.0.1', port: 0, redisUrl: cluster.redisUrl },
    stateDirectory: temporaryDirectory(cleanUp),
    ...differs,
  });

it('an address where nobody answers is told of at the start, once, and keeps nobody from starting', async () => {
  const lines: string[] = [];
  const coordinator = await startAnother({
    mlflow: { url: 'http://127.0.0.1:1', experiment: 'x', user: 'me', password: 'secret', intervalMs: 1 },
    log: pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) }),
  });
  const told = () => lines.filter((line) => line.includes('MLflow'));
  await expect.poll(() => told().length, { timeout: 30_000 }).toBe(1);
  // The second try comes after a second.
  await sleep(1500);
  await coordinator.close();
  expect(told()).toHaveLength(1);
  expect(told()[0]).toContain('cannot send to MLflow at http://127.0.0.1:1: ');
  expect(told()[0]).not.toContain('secret');
});

it('names are such as MLflow takes, and what is not finite is left out', () => {
  const params = paramsOf(
    JSON.stringify({ data: { columns: { 'Größe (cm)': 'number', '../x': 1, 'a//b': 2 } } }),
  );
  expect(params.map(({ key }) => key)).toEqual([
    'data.columns.Gr__e _cm_',
    'data.columns.../x',
    'data.columns.a_b',
  ]);
  const epoch = {
    ...{ epoch: 1, trainLoss: Number.NaN, trainMetric: 0.5, testLoss: Number.POSITIVE_INFINITY },
    testMetric: 0.5,
  };
  const metrics = metricsOfEpoch(
    { ...epoch, seconds: 1, endedAt: 0, testMetrics: undefined },
    'mean absolute error',
    7,
  );
  expect(metrics.map(({ key, timestamp }) => [key, timestamp])).toEqual([
    ['epoch/mean absolute error', 7],
    ['epoch/seconds', 7],
    ['test/mean absolute error', 7],
  ]);
});

it.each([
  ['no address', '--mlflow no address: expected the address of a tracking server'],
  ['ftp://host', 'expected the address of a tracking server'],
  ['http://user:pass@host', 'set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead'],
])('%s is refused before anything starts', async (url, why) => {
  const start = startAnother({ mlflow: { url, experiment: 'x' }, log: pino({ level: 'silent' }) });
  await expect(start).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining(why) });
});
