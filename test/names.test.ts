/** A worker's name is its process's, by the token that let it in: others cannot take it, nor have it sent away for what they send. */
import { startRedis } from '@kasane/cli/internal/redis/start';
import { type Coordinator, startCoordinator } from '@kasane/coordinator/coordinator';
import { TokenStore } from '@kasane/coordinator/internal/store/tokens';
import { WorkerRegistry } from '@kasane/coordinator/internal/workers';
import { CoordinatorClient } from '@kasane/protocol/client';
import type { StatusResponse } from '@kasane/protocol/gen/kasane/v1/cluster';
import { KEPT_NAME_MS, PROTOCOL_VERSION, WORKER_TEXT } from '@kasane/protocol/limits';
import { CoordinatorStream } from '@kasane/worker/internal/connection/stream';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { RedisWriter } from './support/redis-proof.ts';

const cleanUp = new CleanUp();
const tokens = {} as Record<'one' | 'other' | 'reader', string>;
let coordinator: Coordinator;
let client: CoordinatorClient;
let writer: RedisWriter;
const open: CoordinatorStream[] = [];

beforeAll(async () => {
  const redis = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => redis.close());
  writer = new RedisWriter(redis.url);
  cleanUp.add(() => writer.close());
  const stateDirectory = temporaryDirectory(cleanUp);
  const store = new TokenStore(stateDirectory);
  for (const name of ['one', 'other'] as const) tokens[name] = store.create({ name, scopes: ['work'] }).token;
  tokens.reader = store.create({ name: 'reader', scopes: ['read'] }).token;
  store.close();
  const log = pino({ level: 'silent' });
  coordinator = await startCoordinator({
    ...{ host: '127.0.0.1', port: 0, redisUrl: redis.url, stateDirectory, log },
  });
  cleanUp.add(() => coordinator.close());
  client = new CoordinatorClient({ coordinator: coordinator.address, token: tokens.reader });
  cleanUp.add(() => client.close());
});
afterEach(() => {
  for (const stream of open.splice(0)) stream.close();
});
afterAll(() => cleanUp.run());

interface Seen {
  readonly stream: CoordinatorStream;
  readonly broken: string[];
  readonly refused: string[];
  welcomes: number;
}

/** A process that says that it is this worker. @param onWelcome once its link is there */
function worker(name: string, token: string, onWelcome = (_: CoordinatorStream) => {}, host = 'here'): Seen {
  const seen: Omit<Seen, 'stream'> = { broken: [], refused: [], welcomes: 0 };
  const stream: CoordinatorStream = new CoordinatorStream({
    coordinator: coordinator.address,
    token,
    hello: { worker: name, host, slots: 1, backend: 'none', protocol: PROTOCOL_VERSION },
    heartbeat: () => ({ busy: 0, waiting: 0 }),
    onMessage: (message) => {
      void writer.answer(message, (answer) => stream.send(answer));
      if (message.$case !== 'welcome') return;
      seen.welcomes++;
      setImmediate(() => onWelcome(stream));
    },
    onFrame: () => {},
    onBroken: (why) => seen.broken.push(why),
    onRefused: ({ code }) => seen.refused.push(code),
  });
  open.push(stream);
  return Object.assign(seen, { stream });
}

const sendNonsense = (stream: CoordinatorStream) => {
  const wrong = { job: 'j', version: 1, partition: 0, offset: 0, total: 1, digest: 0 };
  void stream.sendFrame({ kind: 'parameters', ...wrong }, new Uint8Array(4));
};
const connected = async (what: (status: StatusResponse) => boolean) =>
  vi.waitFor(async () => expect(what(await client.status())).toBe(true), { timeout: 20_000 });
const isThere = (name: string) => connected(({ workers }) => workers.some(({ id }) => id === name));

it.each(['one', 'other'] as const)(
  'a name is refused to another process, with the token of %s',
  async (by) => {
    const name = `mine-${by}`;
    const honest = worker(name, tokens.one);
    await isThere(name);
    const { workers: before } = await client.status();
    const thief = worker(name, tokens[by]);
    await vi.waitFor(() => expect(thief.broken.join()).toMatch(/another worker named mine-/), {
      timeout: 20_000,
    });
    expect(thief.welcomes).toBe(0);
    // It is the same connection as before.
    expect((await client.status()).workers.map(({ connectedAt }) => connectedAt)).toEqual(
      before.map(({ connectedAt }) => connectedAt),
    );
    expect([honest.welcomes, honest.broken]).toEqual([1, []]);
    // While it is away for a moment it is kept for it.
    honest.stream.reconnect('a test');
    await vi.waitFor(() => expect(honest.welcomes).toBe(2), { timeout: 20_000 });
    expect(thief.welcomes).toBe(0);
  },
);

it('who sends nonsense under a name is sent away, and whoever has that name later is not', async () => {
  const liar = worker('shared-name', tokens.other, sendNonsense);
  await vi.waitFor(() => expect(liar.refused).toEqual(['QUARANTINED']), { timeout: 20_000 });
  for (const token of [tokens.one, tokens.other]) {
    const honest = worker('shared-name', token);
    await isThere('shared-name');
    expect(honest.refused).toEqual([]);
    honest.stream.send({ $case: 'drain', value: {} });
    await connected(({ workers }) => workers.some(({ draining }) => draining));
    honest.stream.close();
    await connected(({ workers }) => workers.length === 0);
  }
  expect((await client.status()).quarantined).toMatchObject([{ id: 'shared-name' }]);
});

it('what a worker says of itself is kept to a length, on a line, without orders to terminals', async () => {
  worker('talks', tokens.one, undefined, `a\u001b[31m\nb\u202e${'x'.repeat(60_000)}`);
  await isThere('talks');
  const { host } = (await client.status()).workers.find(({ id }) => id === 'talks')!;
  expect(host.startsWith('a\\u001b[31m b\\u202exxx')).toBe(true);
  expect(host.length).toBeLessThan(WORKER_TEXT + 60);
});

describe('WorkerRegistry', () => {
  const owner = (caller: string, session = 'aa') => ({ caller, session });
  const connect = (registry: WorkerRegistry, draining: boolean) => {
    const it = { id: 'w', owner: owner('t'), host: '', draining, connectedAt: 0, tasksDone: 0 } as never;
    registry.add(it);
    return it;
  };

  it('keeps the name of a worker that broke off for a while, of one that said goodbye not at all', () => {
    for (const draining of [false, true]) {
      const registry = new WorkerRegistry();
      const it = connect(registry, draining);
      expect(registry.isTaken('w', owner('t'))).toBe(false);
      expect(registry.isTaken('w', owner('u'))).toBe(true);
      expect(registry.isTaken('w', owner('t', 'bb'))).toBe(true);
      // Who does not say which process it is is never the same.
      expect(registry.isTaken('w', owner('t', ''))).toBe(true);
      registry.remove(it, { code: 'connection-lost', args: {} });
      expect(registry.isTaken('w', owner('t'))).toBe(false);
      expect(registry.isTaken('w', owner('u'))).toBe(!draining);
      expect(registry.isTaken('w', owner('u'), performance.now() + KEPT_NAME_MS)).toBe(false);
    }
  });
});
