/** The limits of a coordinator, each set low and gone beyond: refused or dropped, and everybody else goes on. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { type Coordinator, startCoordinator } from '@kasane/coordinator/coordinator';
import { CoordinatorClient } from '@kasane/protocol/client';
import { WatchRequest } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Limits } from '@kasane/protocol/limits';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const job = (name: string) =>
  JSON.stringify({
    name,
    model: { preset: 'mnist-mlp' },
    data: { path: data },
    training: { batch: 50, shards: 2 },
  });
let redisUrl = '';
let data = '';
beforeAll(async () => {
  const redis = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => redis.close());
  redisUrl = redis.url;
  data = smallMnist(temporaryDirectory(cleanUp), 100, 10);
});
afterAll(() => cleanUp.run());

async function start(
  limits: Partial<Limits>,
): Promise<{ running: Coordinator; client: CoordinatorClient; said: string[] }> {
  const said: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(JSON.parse(line).msg) });
  const stateDirectory = temporaryDirectory(cleanUp);
  const running = await startCoordinator({
    host: '127.0.0.1',
    port: 0,
    redisUrl,
    stateDirectory,
    log,
    limits,
  });
  cleanUp.add(() => running.close());
  const client = new CoordinatorClient({ coordinator: running.address });
  cleanUp.add(() => client.close());
  return { running, client, said };
}

it('jobs that wait or run', async () => {
  const { client } = await start({ jobs: 2 });
  const first = await client.submit(job('a'));
  await client.submit(job('b'));
  await expect(client.submit(job('c'))).rejects.toMatchObject({
    code: 'LIMIT',
    message: expect.stringContaining('2 jobs'),
  });
  await client.cancel(first);
  await client.submit(job('c'));
});

it('bytes of a message', async () => {
  const { client } = await start({ messageBytes: 100_000 });
  await expect(client.submit(`# ${'x'.repeat(100_000)}`)).rejects.toThrow(/larger than max/);
  expect(await client.list()).toEqual([]);
});

it('calls a second', async () => {
  const { client } = await start({ requestsPerSecond: 3 });
  const calls = await Promise.allSettled(Array.from({ length: 60 }, () => client.list()));
  const refused = calls.filter((call) => call.status === 'rejected');
  expect(calls.length - refused.length).toBeGreaterThanOrEqual(3);
  expect(refused.length).toBeGreaterThan(0);
  for (const { reason } of refused) expect(reason).toMatchObject({ code: 'LIMIT' });
});

it('connections of one address', async () => {
  const { running, client, said } = await start({ connectionsPerClient: 3 });
  await client.list(); // has one
  const [, port] = running.address.split(':');
  const open = () => {
    const socket = connect(Number(port), '127.0.0.1');
    cleanUp.add(() => socket.destroy());
    return socket;
  };
  const kept = [open(), open()];
  await Promise.all(kept.map((socket) => once(socket, 'connect')));
  const refused = open();
  refused.on('error', () => {});
  await once(refused, 'close');
  expect(said).toEqual([
    expect.stringContaining('3 connections from this address are open, which is the limit'),
  ]);
  kept[0]!.destroy();
  expect(await client.list()).toEqual([]);
});

it('seconds for which a reader of a stream takes nothing', async () => {
  const { running, client, said } = await start({ slowReaderSeconds: 1 });
  const id = await client.submit(job('watched'));
  // A window of no bytes: nothing of the answer may be sent.
  const session = connectHttp2(`http://${running.address}`, { settings: { initialWindowSize: 0 } });
  cleanUp.add(() => session.destroy());
  session.on('error', () => {});
  const message = Buffer.from(WatchRequest.encode({ job: id }).finish());
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/kasane.v1.Jobs/Watch',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  stream.end(Buffer.concat([prefix, message]));
  await once(session, 'close');
  expect(said).toEqual([
    expect.stringMatching(/^refused \/kasane\.v1\.Jobs\/Watch: the client read nothing for 1 s/),
  ]);
  expect((await client.get(id)).id).toBe(id);
});
