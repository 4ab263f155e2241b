/** Callers without a token: their calls and connections are few and end, and who has a token gets in beside any number of them. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { type Coordinator, startCoordinator } from '@kasane/coordinator/coordinator';
import { RefusalLog } from '@kasane/coordinator/internal/serve/refusals';
import { CoordinatorClient } from '@kasane/protocol/client';
import { Guests, peerOf } from '@kasane/protocol/internal/ports/guests';
import {
  STANDARD_STREAMS_PER_CLIENT,
  UNKNOWN_CONNECTIONS,
  UNKNOWN_PER_CLIENT,
} from '@kasane/protocol/limits';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const lines: string[] = [];
const log = pino(
  { level: 'warn' },
  { write: (line: string) => void lines.push(JSON.parse(line).msg as string) },
);
const sockets: Socket[] = [];
const sessions: ClientHttp2Session[] = [];
let coordinator: Coordinator;
let before: CoordinatorClient;

beforeAll(async () => {
  const redis = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => redis.close());
  const stateDirectory = temporaryDirectory(cleanUp);
  const options = { host: '0.0.0.0', port: 0, redisUrl: redis.url, stateDirectory, token: 'secret', log };
  coordinator = await startCoordinator(options);
  cleanUp.add(() => coordinator.close());
  before = client();
  cleanUp.add(() => before.close());
  await before.status();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const session of sessions.splice(0)) session.destroy();
});
afterAll(() => cleanUp.run());

const port = () => Number(coordinator.address.split(':')[1]);
const client = () => new CoordinatorClient({ coordinator: `127.0.0.1:${port()}`, token: 'secret' });

/** Somebody who has been there all the time, and somebody who comes now, are answered. */
async function expectService(): Promise<void> {
  await before.status();
  const now = client();
  try {
    await now.status();
  } finally {
    now.close();
  }
}

async function silent(from: string, first?: Buffer): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: port(), localAddress: from });
  socket.on('error', () => {});
  socket.resume();
  sockets.push(socket);
  await once(socket, 'connect').catch(() => {}); // closed at once
  if (first) socket.write(first);
  return socket;
}

/** What HTTP/2 begins with, and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5). */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

it.each(['/grpc.health.v1.Health/Watch', '/grpc.health.v1.Health/Check'])(
  'calls of %s that never end are few',
  async (path) => {
    let open = 0;
    const ended: number[] = [];
    for (let connection = 0; connection < 4; connection++) {
      const session = connectHttp2(`http://127.0.0.1:${port()}`);
      session.on('error', () => {});
      sessions.push(session);
      for (let call = 0; call < 200; call++) {
        open++;
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        stream.on('error', () => {});
        const read = (headers: Record<string, unknown>) => {
          if (headers['grpc-status'] !== undefined) ended.push(Number(headers['grpc-status']));
        };
        stream
          .on('response', read)
          .on('trailers', read)
          .on('close', () => open--);
        // A message that has begun, of 100 bytes.
        stream.write(path.endsWith('Check') ? Buffer.from([0, 0, 0, 0, 100]) : Buffer.alloc(5));
        stream.resume();
      }
    }
    await vi.waitFor(() => expect(ended).toHaveLength(800 - STANDARD_STREAMS_PER_CLIENT), {
      timeout: 30_000,
    });
    expect(new Set(ended)).toEqual(new Set([status.RESOURCE_EXHAUSTED]));
    await expectService();
    // Those who leave make room.
    for (const session of sessions.splice(0)) session.destroy(undefined, constants.NGHTTP2_CANCEL);
    const again = connectHttp2(`http://127.0.0.1:${port()}`);
    sessions.push(again);
    await vi.waitFor(
      async () => {
        const stream = again.request({
          ':method': 'POST',
          ':path': '/grpc.health.v1.Health/Check',
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        stream.end(Buffer.alloc(5));
        stream.resume();
        const [trailers] = (await once(stream, 'trailers')) as [Record<string, unknown>];
        expect(trailers['grpc-status']).toBe('0');
      },
      { timeout: 20_000 },
    );
  },
);

/** A frame of HTTP/2 (RFC 9113, 4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** A header that is in no table, written out (RFC 7541, 6.2.2). */
const literal = (name: string, value: string) =>
  Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);

it.each([
  ['of no gRPC content type', literal('x', 'y')],
  ['to no method', literal('content-type', 'application/grpc')],
])('a call %s is over before it is heard of, since its connection floods', async (_, header) => {
  const headers = Buffer.concat([literal(':method', 'CONNECT'), literal(':authority', 'x:1'), header]);
  const settings = Array.from({ length: 3000 }, () => frame(4, 0, 0));
  const socket = await silent('127.0.0.1', Buffer.concat([PREFACE, frame(1, 4, 1, headers), ...settings]));
  if (!socket.closed) await once(socket, 'close');
  await expectService();
});

describe.each([
  { what: 'say nothing', first: undefined },
  { what: 'speak HTTP/2 and do nothing', first: PREFACE },
])('connections that $what', ({ first }) => {
  it('of one address are as few as the limit says, and shut nobody out', async () => {
    const mine = await Promise.all(
      Array.from({ length: UNKNOWN_PER_CLIENT + 100 }, () => silent('127.0.0.1', first)),
    );
    await vi.waitFor(
      () => expect(mine.filter(({ destroyed }) => destroyed).length).toBeGreaterThanOrEqual(100),
      {
        timeout: 20_000,
      },
    );
    await expectService();
  });

  it('of many addresses are as few as the limit says, and shut nobody out', async () => {
    const each = UNKNOWN_PER_CLIENT - 1;
    for (let address = 2; address < 2 + UNKNOWN_CONNECTIONS / each + 1; address++)
      await Promise.all(Array.from({ length: each }, () => silent(`127.0.0.${address}`, first)));
    await expectService();
    await vi.waitFor(
      () =>
        expect(sockets.filter(({ destroyed }) => !destroyed).length).toBeLessThanOrEqual(UNKNOWN_CONNECTIONS),
      { timeout: 20_000 },
    );
  });
});

it('has said so in a few lines', () => {
  const said = lines.filter((line) => /has sent no token/.test(line));
  expect(said.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThan(20);
});

describe('Guests', () => {
  let server: Server;
  let guests: Guests;
  const came: Socket[] = [];
  const said: string[] = [];
  beforeAll(async () => {
    guests = new Guests({ unknownMs: 200, onRefused: (_, why) => void said.push(why) });
    server = createServer((socket) => {
      guests.add(socket);
      // At once: with any load this comes before they are looked at.
      if (came.length === 1) guests.call(peerOf(socket), 1);
      if (came.length === 2) guests.known(peerOf(socket));
      came.push(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    guests.close();
    for (const socket of came) socket.destroy();
    server.close();
  });

  it('closes a stranger that does nothing, not one whose call goes on, nor who is known', async () => {
    const there = Array.from({ length: 3 }, () =>
      connect((server.address() as AddressInfo).port, '127.0.0.1'),
    );
    await vi.waitFor(() => expect(came).toHaveLength(3), { timeout: 30_000 });
    const [idle, calling, known] = came as [Socket, Socket, Socket];
    if (!idle.closed) await once(idle, 'close');
    expect(said).toEqual(['it has sent no token and been idle for 0.2 s']);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect([calling.destroyed, known.destroyed]).toEqual([false, false]);
    guests.call(peerOf(calling), -1);
    await once(calling, 'close');
    expect(known.destroyed).toBe(false);
    for (const socket of there) socket.destroy();
  });
});

it('RefusalLog writes a bounded number of lines a minute, whoever is refused', () => {
  const written: string[] = [];
  const warn = (...all: unknown[]) => void written.push(String(all.at(-1)));
  const refusals = new RefusalLog({ warn } as never);
  for (let i = 0; i < 10_000; i++) refusals.refused(`fd00::${i.toString(16)}`, 'a connection', 'why', i);
  expect(written.length).toBeLessThan(310);
  refusals.refused('fd00::', 'a connection', 'why', 70_000);
  expect(written.at(-2)).toMatch(/^9[67]\d\d other refusals/);
});
