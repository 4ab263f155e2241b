/** The Python client against real coordinators, with Debian's grpcio: what it says is what the TypeScript client says. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { issue, issueAuthority } from '@kasane/cli/internal/commands/cert/issue';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { KasaneError } from '@kasane/protocol/errors';
import { readJobText } from '@kasane/protocol/internal/job/job-text';
import { stateNames } from '@kasane/protocol/job-state';
import { decodeSafetensors } from '@kasane/tensor/io/safetensors';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { needing, PYTHON } from './support/needs.ts';

const run = promisify(execFile);
const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const project = pathOf('../clients/python');
const cleanUp = new CleanUp();
// Every step is measured.
const cluster = new TestCluster(cleanUp, { limits: { metricIntervalMs: 0 } });
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const needed = needing(['grpc', 'protobuf', 'numpy', 'yaml']);
let folder = '';
beforeAll(async () => {
  if (needed.skip) return;
  await cluster.start();
  await cluster.worker();
  folder = smallMnist(temporaryDirectory(cleanUp), 400, 100);
});
afterAll(() => cleanUp.run());

/** The environment of a program that imports the client from here. */
function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('KASANE_'));
  const own = { PYTHONPATH: join(project, 'src'), PYTHONDONTWRITEBYTECODE: '1' };
  return { ...Object.fromEntries(others), ...own, ...more };
}

/** What a part of support/python-client.py prints. Warnings are errors. */
async function story<Told>(name: string, address = cluster.address, below = folder): Promise<Told> {
  const script = pathOf('support/python-client.py');
  const env = environment({ KASANE_COORDINATOR: address, NOT_A_COORDINATOR: page });
  const { stdout } = await run(PYTHON, ['-W', 'error', script, name, below], { cwd: folder, env });
  return JSON.parse(stdout) as Told;
}
/** Code and message of errors by what was called; for those of Python itself its class. */
type Errors = Readonly<Record<string, readonly [code: string, message: string]>>;
const said = (pattern: RegExp) => expect.stringMatching(pattern);
let page = '';

describe('examples/client.py', () => {
  const script = pathOf('../examples/client.py');
  const weights = () => join(folder, 'weights.safetensors');
  const example = (job: string) =>
    run(PYTHON, [script, cluster.address, job, weights()], { env: environment() });

  it('submits a job, watches it and reads its result', needed, async () => {
    const job = join(folder, 'job.yaml');
    writeFileSync(
      job,
      'name: from-python\nmodel: { preset: mnist-mlp }\ndata: { path: . }\ntraining: { epochs: 3, batch: 50, shards: 2, learningRate: 1e-2 }\n',
    );
    const { stdout } = await example(job);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const { client } = cluster;
    const result = lines.pop()!;
    const seen = await client.get(String(result.job));
    client.close();
    expect(lines).toEqual(
      seen.history.map(({ epoch, trainLoss, testMetric }) => ({ epoch, loss: trainLoss, test: testMetric })),
    );
    expect(lines).toHaveLength(3);
    const digest = sha256(readFileSync(weights()));
    expect(result).toEqual({ job: seen.id, state: 'succeeded', digest, sha256: digest });
    expect(seen.digest).toBe(digest);
  });

  it('hears what is wrong with a job file', needed, async () => {
    const job = join(folder, 'wrong.yaml');
    writeFileSync(job, 'name: x\nmodel: { preset: mnist-mpl }\n');
    await expect(example(job)).rejects.toMatchObject({
      stderr: said(/^JOB_INVALID: .*mnist-mpl.*mnist-mlp/),
    });
  });
});

interface Trained {
  readonly job: string;
  readonly damaged: Errors;
  readonly left: readonly string[];
  readonly plan: object;
  readonly states: readonly string[];
  readonly later: readonly string[];
  readonly ended: object;
  readonly times: readonly string[];
  readonly best: number;
  readonly listed: readonly string[];
  readonly history: readonly Readonly<Record<string, unknown>>[];
  readonly events: readonly unknown[];
  readonly codes: readonly string[];
  readonly metrics: Readonly<Record<string, readonly [string, readonly number[]]>>;
  readonly weights: Readonly<Record<string, unknown>>;
  readonly accuracy: number;
  readonly downloaded: string;
  readonly html: string;
  readonly plotted: readonly (readonly [number, readonly number[], readonly number[]])[];
}

it(
  'trains: states, history, metrics, events and weights are those of the TypeScript client',
  needed,
  async () => {
    const told = await story<Trained>('trains');
    const { client } = cluster;
    const job = await client.get(told.job);
    const history = await client.epochs(told.job);
    const points = await client.metricPoints(told.job);
    const events = await client.events(told.job);
    const file = await client.model(told.job);
    client.close();
    expect(told.damaged).toEqual({
      weights: ['FILE_DAMAGED', said(/have the SHA-256 [0-9a-f]{64}, not 0{64}; download them again$/)],
      download: ['FILE_DAMAGED', said(/download them again$/)],
      folder: ['CANNOT_WRITE', 'none/x.safetensors: No such file or directory'],
      file: ['FILE_DAMAGED', said(/not a safetensors file/)],
      short: ['FILE_DAMAGED', said(/not a safetensors file/)],
    });
    expect(told.left).toEqual([]);
    expect(told.plan).toMatchObject({
      training_samples: 400,
      test_samples: 100,
      steps_per_epoch: 8,
      steps: 24,
    });
    expect(told.states.at(-1)).toBe('succeeded');
    expect(Object.values(stateNames)).toEqual(expect.arrayContaining([...told.states]));
    expect(told.later).toEqual(['succeeded']);
    expect(told.ended).toEqual({ state: 'succeeded', priority: 3, kind: 'fraction', steps: 24 });
    const moments = [job.submittedAt, job.endedAt].map((time) => Math.round(time));
    expect(told.times.map((time) => Math.round(Date.parse(time)))).toEqual(moments);
    expect(told.best).toBe(job.best!.epoch);
    expect(told.listed).toContain(told.job);
    expect(told.history).toHaveLength(3);
    for (const [i, each] of history.entries())
      expect(told.history[i]).toMatchObject({
        epoch: each.epoch,
        train_loss: each.trainLoss,
        train_metric: each.trainMetric,
        test_loss: each.testLoss,
        test_metric: each.testMetric,
        seconds: each.seconds,
        test_metrics: {
          precision: each.testMetrics!.precision,
          f1: each.testMetrics!.f1,
          rmse: null,
          perplexity: null,
        },
      });
    expect(told.events).toEqual(
      events.map(({ number, code, args, text }) => [number, code, JSON.parse(args || '{}'), text]),
    );
    expect(told.codes).toEqual(events.map(({ code }) => code));
    const steps = points.map(({ step }) => step);
    expect(steps).toHaveLength(24);
    expect(told.metrics).toMatchObject({
      step: ['<i8', steps],
      time: ['<M8[ms]', points.map(({ time }) => Math.floor(time))],
      loss: ['<f8', points.map(({ loss }) => loss)],
      metric: ['<f8', points.map(({ metric }) => metric)],
      learning_rate: ['<f8', points.map(({ learningRate }) => learningRate)],
      gradient_norm: ['<f8', points.map(({ gradientNorm }) => gradientNorm)],
      step_ms: ['<f8', points.map(({ stepMs }) => stepMs)],
    });
    const tensors = decodeSafetensors(file).tensors.map(({ name, shape, data }) => [
      name,
      [[...shape], '<f4', true, sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))],
    ]);
    expect(tensors.length).toBeGreaterThan(3);
    expect(told.weights).toEqual(Object.fromEntries(tensors));
    expect(told.accuracy).toBeCloseTo(history.at(-1)!.testMetric, 6);
    expect(sha256(readFileSync(told.downloaded))).toBe(job.digest);
    expect(told.html).toMatch(
      new RegExp(`^<table>.*<td>${job.id}</td><td>succeeded</td><td>3/3</td><td>24/24</td>`),
    );
    expect(told.plotted).toEqual([
      [0, steps, points.map(({ loss }) => loss)],
      [0, [8, 16, 24], history.map(({ testLoss }) => testLoss)],
      [1, steps, points.map(({ metric }) => metric)],
      [1, [8, 16, 24], history.map(({ testMetric }) => testMetric)],
    ]);
  },
);

it('pauses, resumes, cancels, retries and deletes', needed, async () => {
  const told = await story<object>('controls');
  expect(told).toEqual({
    seen: 2,
    late: {
      wait: ['TimeoutError', 'the job has not ended within 0.5 s; it continues'],
      async: 'TimeoutError',
    },
    paused: 'paused',
    priority: 7,
    resumed: said(/^(?:queued|running)$/),
    early: { weights: ['JOB_STATE', said(/./)], delete: ['JOB_STATE', said(/./)] },
    html: said(/^<table>.*<td>&lt;b&gt;&amp;&lt;\/b&gt;<\/td>/),
    paused_again: 'paused',
    interrupted: ['paused', []],
    beside: 'succeeded',
    cancelled: 'cancelled',
    errors: {
      wait: ['JOB_CANCELLED', said(/was cancelled$/)],
      again: ['JOB_STATE', said(/./)],
      endless: ['JOB_CANCELLED', said(/was cancelled$/)],
    },
    retried: [true, 'cancelled'],
    tables: 3,
    deleted: true,
    gone: {
      get: ['JOB_NOT_FOUND', said(/./)],
      watch: ['JOB_NOT_FOUND', said(/./)],
      metrics: ['JOB_NOT_FOUND', said(/./)],
    },
    left: [true],
    gone_html: said(/JOB_NOT_FOUND/),
    closed: { get: ['USAGE', 'the client is closed; make a new kasane.Client'] },
  });
});

it('says what is wrong', needed, async () => {
  const below = join(folder, 'below');
  mkdirSync(below);
  // The images are in the working directory, not beside the job file.
  writeFileSync(join(below, 'job.yaml'), 'name: x\ndata: { path: train-images-idx3-ubyte }\n');
  const server = createServer((_, response) => response.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  page = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const told = await story<Errors>('refusals');
  server.close();
  const { client } = cluster;
  const unknown = await client.get('none-such').catch((error: KasaneError) => error.message);
  client.close();
  expect(told).toEqual({
    state: ['USAGE', "state 'done': expected one of queued, running, paused, succeeded, failed, cancelled"],
    epochs: ['USAGE', said(/^epochs: -1 does not fit: /)],
    priority: ['USAGE', said(/^priority: 1000000000000 does not fit: /)],
    half: ['USAGE', said(/^job: .* does not fit: it is not valid Unicode$/)],
    timeout: ['USAGE', 'timeout is not a number; expected seconds, or None to wait until the end'],
    typo: ['JOB_INVALID', said(/mnist-mpl.*mnist-mlp/)],
    unknown: ['JOB_NOT_FOUND', unknown],
    file: ['NO_INPUT', said(/none\.yaml: no such file/)],
    folder: ['JOB_INVALID', said(/a folder, not a job file/)],
    value: ['JOB_INVALID', said(/^job: a value of type object cannot be in a job file/)],
    nan: ['JOB_INVALID', said(/^job: /)],
    elsewhere: ['JOB_INVALID', said(/job\.yaml: data\.path: .* use \.\.\/train-images-idx3-ubyte$/)],
    unreachable: [
      'UNREACHABLE',
      said(/^no coordinator answers at 127\.0\.0\.1:1; start one with `kasane coordinator`/),
    ],
    page: [said(/^(?:UNREACHABLE|NOT_ALLOWED)$/), said(/check the port/)],
    host: ['UNREACHABLE', said(/no host has the name 'no-such-host\.invalid'/)],
    address: ['USAGE', said(/expected HOST:PORT/)],
    token: ['USAGE', said(/copy it again/)],
    ca: ['USAGE', said(/^tls_ca: .*none\.pem: No such file or directory$/)],
    cert: ['USAGE', said(/^tls_cert without tls_ca/)],
    matplotlib: ['ImportError', 'Job.plot needs matplotlib: pip install matplotlib'],
  });
  for (const [code, message] of Object.values(told)) expect(message, code).not.toContain('\n');
});

it('speaks TLS, with a client certificate and a token', needed, async () => {
  const below = temporaryDirectory(cleanUp);
  const authority = await issueAuthority(2);
  const own = await issue(authority, { name: 'server', hosts: ['127.0.0.1'], use: 'server', days: 2 });
  const client = await issue(authority, { name: 'client', hosts: [], use: 'client', days: 2 });
  const files = {
    'tls_ca.pem': authority.cert,
    'tls_cert.pem': client.cert,
    'tls_key.pem': client.key,
    'other.pem': (await issueAuthority(2)).cert,
    token: 'right\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(below, name), text);
  const tls = { cert: Buffer.from(own.cert), key: Buffer.from(own.key), ca: Buffer.from(authority.cert) };
  const coordinator = await startCoordinator({
    ...{ host: '127.0.0.1', port: 0, redisUrl: cluster.redisUrl, token: 'right', tls },
    ...{ stateDirectory: temporaryDirectory(cleanUp), log: pino({ level: 'silent' }) },
  });
  const told = await story<{ errors: Errors }>('secured', coordinator.address, below);
  await coordinator.close();
  expect(told).toEqual({
    // No worker is connected.
    queued: [{ step: 1 }, true, 0],
    environment: 1,
    errors: {
      wrong: ['NOT_ALLOWED', said(/token/)],
      none: ['NOT_ALLOWED', said(/token/)],
      stranger: ['NOT_ALLOWED', said(/signed by the CA in tls_ca/)],
      plain: ['NOT_ALLOWED', said(/set tls_ca/)],
    },
  });
});

it('reads YAML as the coordinator does, of version 1.2', needed, async () => {
  const texts = [
    'rate: 1e-3\nmore: [1E+2, .5, 5., -1.5e2, +3, 0x1F, 0o17, 010]',
    'a: [yes, no, on, off, y, true, False, TRUE]',
    'a: [null, ~, Null, "", nUll]\nb:\n',
    'a: [2026-11-30, 12:30:45, 1_000, 0b11, ., -a, 1.2.3]',
    'a: &x { b: [1] }\nc: *x',
    'on: 1\n5: 2\ntrue: 3',
    'a: "1e-3"\nb: \'no\'\nc: |\n  text\n',
    'a: 1\nb: 2\na: 3',
    '<<: { a: 1 }',
    '? [a, b]\n: 1',
    'a: [1, 2',
    'a: *unknown',
    '- 1\n- two',
  ];
  writeFileSync(join(folder, 'texts.json'), JSON.stringify(texts));
  const told = await story<readonly (readonly [string, string])[]>('yaml');
  for (const [i, text] of texts.entries()) {
    const [code, value] = told[i]!;
    let expected: unknown;
    try {
      expected = readJobText(text, 'job.yaml').value;
    } catch (error) {
      expect(error).toBeInstanceOf(KasaneError);
      expect([code, value], text).toEqual(['JOB_INVALID', said(/^job\.yaml:\d+: \S/)]);
      continue;
    }
    expect(code === 'nothing' ? JSON.parse(value) : told[i], text).toEqual(expected);
  }
});

describe('the package', () => {
  it('compiles and imports without a warning', needed, async () => {
    const copy = temporaryDirectory(cleanUp);
    cpSync(join(project, 'src'), copy, { recursive: true });
    await run(PYTHON, ['-W', 'error', '-m', 'compileall', '-q', copy]);
    const shown = 'import kasane; print(*kasane.__all__)';
    const { stdout } = await run(PYTHON, ['-W', 'error', '-c', shown], { env: environment() });
    expect(stdout.split(/\s+/)).toEqual(expect.arrayContaining(['Client', 'Job', 'KasaneError']));
  });

  it('is installed by pip, with its types', needing(['grpc', 'protobuf', 'numpy', 'pip']), async () => {
    // What builds it writes beside the sources.
    const copy = temporaryDirectory(cleanUp);
    cpSync(project, copy, { recursive: true });
    const target = join(copy, 'installed');
    const offline = ['--no-index', '--no-deps', '--no-build-isolation', '--disable-pip-version-check'];
    await run(PYTHON, ['-m', 'pip', 'install', '--quiet', ...offline, '--target', target, copy]);
    expect(readFileSync(join(target, 'kasane/py.typed'), 'utf8')).toBe('');
    const shown =
      'import importlib.metadata, kasane; print(importlib.metadata.version("kasane"), kasane.__file__)';
    const { stdout } = await run(PYTHON, ['-c', shown], {
      cwd: target,
      env: environment({ PYTHONPATH: target }),
    });
    const { version } = JSON.parse(readFileSync(pathOf('../packages/client/package.json'), 'utf8')) as {
      version: string;
    };
    expect(stdout.trim()).toBe(`${version} ${join(target, 'kasane/__init__.py')}`);
  });
});
