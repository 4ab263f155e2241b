/**
 * A coordinator that runs, and its page, over real connections: every gRPC method, the framing below it, data links, and HTTP, each with
 * requests that are random or nearly right. Every call ends with a typed status, the coordinator neither dies nor hangs nor grows, and a
 * good call is answered afterwards. `npm run fuzz` tries 100,000 a target with another seed each time.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { CoordinatorClient } from '@kasane/protocol/client';
import { ConnectRequest } from '@kasane/protocol/gen/kasane/v1/training';
import { encodeFrame, type FrameHeader } from '@kasane/protocol/internal/wire/frame';
import { hasEnded } from '@kasane/protocol/job-state';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from '../support/cluster.ts';
import { corpus, inputs, remember } from './inputs.ts';
import { type Jobs, methods, sayings, sweepOf } from './requests.ts';
import { sealed, unsealed } from './sealed.ts';
import { Victim } from './victim-process.ts';
import { Caller, framed, overLink, overSocket, untyped } from './wire.ts';

const runs = Number(process.env.KASANE_FUZZ_RUNS ?? 500);
const seed = Number(process.env.KASANE_FUZZ_SEED ?? 20_261_125);
/** Inputs under way at once, and from one look at what the victim has used to the next. */
const AT_ONCE = 32;
const CHUNK = 2000;

interface NetworkTarget {
  readonly name: string;
  readonly valid: readonly Buffer[];
  /** Sends one input. Rejects with what is wrong with how it was answered. */
  readonly send: (bytes: Buffer) => Promise<unknown>;
}

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
const redis = await startRedis({ url: process.env.REDIS_URL });
cleanUp.add(() => redis.close());
const dataRoot = smallMnist(temporaryDirectory(cleanUp), 100, 10);
const victim = await Victim.start({
  ...{ redisUrl: redis.url, dataRoot },
  stateDirectory: temporaryDirectory(cleanUp),
});
cleanUp.add(() => victim.kill());
const { address, page } = victim.started;
const client = new CoordinatorClient({ coordinator: address });
const caller = new Caller(address);
cleanUp.add(() => {
  client.close();
  caller.close();
});
const jobFile = `name: fuzz
model:
  input: [784]
  classes: 10
  layers:
    - { type: dense, units: 8 }
    - { type: relu }
    - { type: dense, units: 10 }
data: { path: ${dataRoot} }
training: { epochs: 2, batch: 50, shards: 2 }
`;

/** One job that a worker has trained, one that waits for workers, one to be changed. */
async function prepare(): Promise<Jobs> {
  const trained = await client.submit(jobFile);
  const options = { coordinator: address, slots: 1, logLevel: 'silent' };
  const worker = fork(new URL(import.meta.resolve('@kasane/worker/internal/process')), {
    env: { ...process.env, KASANE_WORKER_OPTIONS: JSON.stringify(options) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  for await (const _ of client.watch(trained));
  await client.models.register(trained, 'fuzzed:1', { aliases: ['production'] });
  worker.kill('SIGKILL');
  await once(worker, 'exit');
  const [running, other] = [await client.submit(jobFile), await client.submit(jobFile)];
  return { trained, running, other, sweep: await client.sweeps.submit(sweepOf(jobFile, 2)) };
}
const jobs = await prepare();

const calls = methods(jobFile, jobs);
const called = calls.map(
  ({ path, valid, streams, foreign = false }): NetworkTarget => ({
    name: path.slice(1).replaceAll('/', '.'),
    valid,
    async send(bytes) {
      const wrong = untyped(await caller.call(path, framed(bytes), streams), foreign);
      if (wrong) throw new Error(wrong);
    },
  }),
);

/** The body of a call as it is: lengths, flags, several messages. */
const framing = calls
  .filter(({ path }) => /Submit|List$|Connect/.test(path))
  .map(
    ({ path, valid, streams }): NetworkTarget => ({
      name: `framing.${path.slice(1).replaceAll('/', '.')}`,
      valid: [...valid.map(framed), Buffer.concat(valid.map(framed))],
      async send(bytes) {
        const wrong = untyped(await caller.call(path, bytes, streams), true);
        if (wrong) throw new Error(wrong);
      },
    }),
  );

const gradient = {
  ...({ kind: 'gradient', job: jobs.running, step: 0, shard: 1, attempt: 1 } as const),
  ...{ partition: 0, offset: 0 },
};
const linkHeaders: readonly FrameHeader[] = [
  gradient,
  { ...gradient, kind: 'sharedGradient', floats: 12, place: 0 },
];
const frames = [
  ...linkHeaders.map((header) => encodeFrame(header, Buffer.alloc(64, 3))),
  ...sayings(jobs.running).map((message) =>
    encodeFrame({ kind: 'messages' }, ConnectRequest.encode({ messages: [{ message }] }).finish()),
  ),
];
const links: readonly NetworkTarget[] = [
  { name: 'data-link-open', valid: frames, send: (bytes) => overLink(address, bytes) },
  {
    name: 'data-link-open-sealed',
    valid: frames.map(unsealed),
    send: (bytes) => overLink(address, sealed(bytes)),
  },
];

/** What an HTTP/2 client begins with, and its headers without compression (RFC 9113, 3.4 and 4.1; RFC 7541, 6.2.2). */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const http2Frame = (type: number, flags: number, stream: number, payload: Buffer) => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};
const headerField = (name: string, value: string) =>
  Buffer.concat([Buffer.of(0, name.length), Buffer.from(name), Buffer.of(value.length), Buffer.from(value)]);
const conversation = Buffer.concat([
  preface,
  http2Frame(4, 0, 0, Buffer.alloc(0)), // SETTINGS
  http2Frame(
    1, // HEADERS, END_HEADERS
    4,
    1,
    Buffer.concat([
      headerField(':method', 'POST'),
      headerField(':scheme', 'http'),
      headerField(':path', '/kasane.v1.Jobs/List'),
      headerField(':authority', 'localhost'),
      headerField('content-type', 'application/grpc'),
      headerField('te', 'trailers'),
    ]),
  ),
  http2Frame(0, 1, 1, framed(Buffer.alloc(0))), // DATA, END_STREAM
  http2Frame(6, 0, 0, Buffer.alloc(8)), // PING
]);
const port: NetworkTarget = {
  name: 'port',
  valid: [conversation, Buffer.concat([Buffer.from('KSL1'), Buffer.alloc(32, 7), frames[0]!])],
  send: (bytes) => overSocket(address, bytes),
};

const get = (path: string, more = '') =>
  Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`);
const post = (path: string, body: string) =>
  Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nX-Kasane: dashboard\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
const web: NetworkTarget = {
  name: 'page',
  valid: [
    ...[get('/'), get(`/events?job=${jobs.running}`), post('/jobs', jobFile)],
    ...['checkpoints', 'spec', 'metrics', 'samples?first=2&count=5', 'model', 'model?checkpoint=2'].map(
      (view) => get(`/jobs/${jobs.trained}/${view}`),
    ),
    ...['cancel', 'delete', 'pause', 'resume', 'retry', 'priority'].map((action) =>
      post(`/jobs/${jobs.other}/${action}`, '3'),
    ),
  ],
  async send(bytes) {
    const answer = await overSocket(page, bytes, /\r\n\r\n/);
    if (answer !== '' && !/^HTTP\/1\.1 [1234]\d\d /.test(answer))
      throw new Error(`it answers ${answer.slice(0, 300)}`);
  },
};

/** Sends all, several at once. Returns those that were answered wrongly, and why. */
async function sendAll(
  { send }: NetworkTarget,
  all: readonly Buffer[],
  atOnce: number,
): Promise<[Buffer, string][]> {
  const wrong: [Buffer, string][] = [];
  let next = 0;
  const one = async () => {
    while (next < all.length && wrong.length === 0) {
      const bytes = all[next++]!;
      await send(bytes).catch((error: Error) => wrong.push([bytes, error.message]));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return wrong;
}

/** Sends all, and looks at the victim; what breaks it is put into the corpus. */
async function barrage(target: NetworkTarget, all: readonly Buffer[]): Promise<void> {
  const [wrong] = await sendAll(target, all, AT_ONCE);
  if (wrong && victim.alive)
    throw new Error(`${wrong[1]}; seed ${seed}, the input is in ${remember(target.name, wrong[0])}`);
  const complaint = await victim.complaint();
  if (complaint) throw new Error(`${complaint}; seed ${seed}, in ${all.length} inputs of ${target.name}`);
  // What is left open goes, and good calls are answered.
  for (const { id, state } of await client.list()) {
    const kept = Object.values(jobs).includes(id);
    if (!kept && !hasEnded(state)) await client.cancel(id);
  }
  expect((await client.get(jobs.running)).id).toBe(jobs.running);
}

it('has every method of the table of scopes among its targets', async () => {
  const { methodScopes } = await import('@kasane/protocol/scopes');
  expect(calls.map(({ path }) => path).sort()).toEqual([...methodScopes.keys()].sort());
});

describe.each([...called, ...framing, ...links, port, web])('$name', (target) => {
  it('takes what is valid, and what once broke it', () =>
    barrage(target, [...target.valid, ...corpus(target.name)]));

  it(`answers ${runs} inputs`, { timeout: 7_200_000 }, async () => {
    for (let done = 0; done < runs; done += CHUNK) {
      const numRuns = Math.min(CHUNK, runs - done);
      await barrage(target, fc.sample(inputs(target.valid), { numRuns, seed: seed + done }));
    }
  });
});
