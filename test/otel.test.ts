/** Spans of a cluster of processes, as somebody receives them who collects them; and that training is the same with and without. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { runCommand, startCommand } from './support/commands.ts';
import { type ReceivedSpan, SpanReceiver } from './support/spans.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const folder = temporaryDirectory(cleanUp);
const file = join(folder, 'job.yaml');
const [SHARDS, STEPS] = [3, 10];
/** Nanoseconds; spans begin at whole ones. */
const MILLISECOND = 1_000_000n;
let receiver: SpanReceiver;
let job = '';
let digest = '';

beforeAll(async () => {
  const data = smallMnist(temporaryDirectory(cleanUp), 500, 100);
  const training = `{ epochs: 2, batch: 100, shards: ${SHARDS}, learningRate: 0.003 }`;
  writeFileSync(
    file,
    `name: traced\nmodel: { preset: mnist-mlp }\ndata: { path: ${data} }\ntraining: ${training}\n`,
  );
  receiver = await SpanReceiver.start(cleanUp);
  const { env } = receiver;
  const [coordinator, [, address]] = await startCommand(
    cleanUp,
    ['coordinator', '--port', '0', '--no-dashboard', '--state', join(folder, 'state')],
    /^Coordinator at (\S+),/,
    env,
  );
  const at = ['--coordinator', address!];
  const [worker] = await startCommand(
    cleanUp,
    ['worker', '--slots', String(SHARDS), ...at],
    /connected to/,
    env,
  );
  job = (await runCommand(['submit', file, ...at], env)).stdout;
  await runCommand(['watch', job, ...at]);
  const [record] = JSON.parse((await runCommand(['jobs', '--json', ...at])).stdout) as { digest: string }[];
  digest = record!.digest;
  // What they have not sent yet they send when they end.
  for (const process of [worker, coordinator]) {
    process.kill('SIGTERM');
    expect(await once(process, 'exit')).toEqual([0, null]);
  }
});

/** The only span that fulfils a condition. */
function only(name: string, condition: (span: ReceivedSpan) => boolean = () => true): ReceivedSpan {
  const found = receiver.named(name).filter(condition);
  expect(found.length, name).toBe(1);
  return found[0]!;
}

const within = (parent: ReceivedSpan) => (span: ReceivedSpan) => span.parentSpanId === parent.spanId;

describe('spans', () => {
  it('of one trace go from the command through coordinator and worker', () => {
    const command = only('kasane submit');
    const asked = only('kasane.v1.Jobs/Submit', within(command));
    const answered = only('kasane.v1.Jobs/Submit', within(asked));
    const run = only('job', within(answered));
    const opened = only('open job', within(run));
    const trace = [command, asked, answered, run, opened];
    expect(new Set(trace.map(({ traceId }) => traceId)).size).toBe(1);
    const [cli, coordinator, worker] = ['kasane-cli', 'kasane-coordinator', 'kasane-worker'];
    expect(trace.map(({ service }) => service)).toEqual([cli, cli, coordinator, coordinator, worker]);
    expect(run.attributes.get('kasane.job')).toBe(job);
    expect(run.attributes.get('kasane.outcome')).toBe('done');
    expect(answered.attributes.get('rpc.response.status_code')).toBe('OK');
  });

  it('of each step tell of every task: queued, fetched, computed, answered', () => {
    const steps = receiver.named('step');
    expect(steps.map(({ attributes }) => attributes.get('kasane.step'))).toEqual(
      expect.arrayContaining(Array.from({ length: STEPS }, (_, step) => step)),
    );
    expect(steps.length).toBe(STEPS);
    const run = only('job');
    for (const step of steps) {
      // A trace of its own, which says whose it is.
      expect(step.parentSpanId).toBe('');
      expect(step.links).toEqual([run.spanId]);
      const number = step.attributes.get('kasane.step');
      const tasks = receiver.named('task').filter(within(step));
      const answered = tasks.filter(({ events }) => events.includes('answered'));
      expect(answered.map(({ attributes }) => attributes.get('kasane.shard')).sort()).toEqual([0, 1, 2]);
      for (const task of answered) {
        const queued = only('queued', within(task));
        const work = only(
          'work',
          ({ traceId, attributes }) =>
            traceId === task.traceId &&
            attributes.get('kasane.shard') === task.attributes.get('kasane.shard') &&
            attributes.get('kasane.attempt') === task.attributes.get('kasane.attempt'),
        );
        for (const part of [
          'fetch samples',
          'wait for parameters',
          'wait for a slot',
          'compute',
          'send gradients',
        ])
          expect(only(part, within(work)).service).toBe('kasane-worker');
        const [fetched, computed] = ['fetch samples', 'compute'].map((part) => only(part, within(work)));
        // One after the other. The answer may be there before the worker has noticed that it is sent.
        const moments = [task.start, queued.start, work.start, fetched!.start, computed!.start, task.end];
        const late = moments.slice(1).filter((moment, index) => moment + MILLISECOND < moments[index]!);
        expect(late).toEqual([]);
        expect(work.attributes).toEqual(task.attributes);
        expect(Object.fromEntries(work.attributes)).toMatchObject({
          'kasane.job': job,
          'kasane.step': number,
          'kasane.worker': expect.stringContaining('-'),
        });
      }
      only('update', within(step));
    }
  });

  it('of BullMQ are of the same traces, and what it does for itself is left out', () => {
    const known = new Set(receiver.spans.map(({ spanId }) => spanId));
    const processed = receiver.spans.filter(({ name }) => name.startsWith('process '));
    expect(processed.length).toBeGreaterThan(0);
    const tasks = new Set(receiver.named('task').map(({ spanId }) => spanId));
    expect(processed.filter(({ parentSpanId }) => !tasks.has(parentSpanId))).toEqual([]);
    // Nothing hangs in the air.
    expect(receiver.spans.filter(({ parentSpanId }) => parentSpanId && !known.has(parentSpanId))).toEqual([]);
    expect(receiver.spans.filter(({ name }) => /extendLocks|moveStalled/.test(name))).toEqual([]);
  });

  it('change nothing: the same bits without, and then nothing of OpenTelemetry is loaded', async () => {
    const spy = `data:text/javascript,${encodeURIComponent(`
      import { registerHooks } from 'node:module';
      import { writeSync } from 'node:fs';
      const loaded = [];
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
      process.on('exit', () => writeSync(2, loaded.join('\\n')));
    `)}`;
    const count = receiver.spans.length;
    const train = ['train', file, '--workers', '1', '--slots', '1', '--out', join(folder, 'out'), '--json'];
    const { stdout, stderr } = await runCommand(train, {}, ['--import', spy]);
    expect((JSON.parse(stdout) as { digest: string }).digest).toBe(digest);
    const loaded = (pattern: RegExp) => stderr.split('\n').filter((line) => pattern.test(line));
    expect(loaded(/coordinator\/src\/queue\/task-queue\.ts/).length).toBe(1);
    // prom-client has the bare interface of it.
    expect(loaded(/node_modules\/(@opentelemetry\/(?!api\/)|bullmq-otel\/)/)).toEqual([]);
    expect(receiver.spans.length).toBe(count);
  });

  it('of `kasane train` are those of its coordinator and of its workers too', async () => {
    const before = receiver.spans.length;
    const train = ['train', file, '--workers', '1', '--slots', '1', '--out', join(folder, 'out'), '--json'];
    const { stdout } = await runCommand(train, receiver.env);
    expect((JSON.parse(stdout) as { digest: string }).digest).toBe(digest);
    const spans = receiver.spans.slice(before);
    const services = (name: string) =>
      new Set(spans.filter((span) => span.name === name).map((s) => s.service));
    expect(services('step')).toEqual(new Set(['kasane-cli']));
    expect(services('compute')).toEqual(new Set(['kasane-worker']));
    expect(spans.filter(({ name }) => name === 'step').length).toBe(STEPS);
  });
});

describe('whoever collects spans', () => {
  it('may be away: that is said once, and the command does what it is to do', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    const { stdout, stderr } = await runCommand(['version'], {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    });
    expect(stdout).toMatch(/^kasane \d/);
    expect(
      stderr.match(/spans cannot be exported: .*connection refused; check or unset OTEL_/g)?.length,
    ).toBe(1);
  });

  it.each([
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, ''],
    [{ OTEL_SDK_DISABLED: 'true' }, ''],
    [{ OTEL_TRACES_EXPORTER: 'none' }, ''],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'no spans are exported: OTEL_EXPORTER_OTLP_PROTOCOL=grpc'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, 'collector is not a URL'],
  ])('hears nothing with %j', async (more, said) => {
    const before = receiver.spans.length;
    const { stderr } = await runCommand(['version'], { ...receiver.env, ...more });
    expect(stderr).toContain(said);
    if (!said) expect(stderr).toBe('');
    expect(receiver.spans.length).toBe(before);
  });

  it('hears of a command that failed', async () => {
    const name = { OTEL_SERVICE_NAME: 'mine', OTEL_RESOURCE_ATTRIBUTES: 'team=vision' };
    await expect(runCommand(['models', 'nothing'], { ...receiver.env, ...name })).rejects.toThrow();
    expect(only('kasane models')).toMatchObject({ service: 'mine', failure: 'exit code 65' });
  });
});
