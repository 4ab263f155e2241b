/**
 * Redis in every state in which Kasane cannot use it: each is found at the start and said in one line with what to do, by the commands
 * that use it and by `kasane doctor`, which ask the same function.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkRedis } from '@kasane/cli/internal/commands/doctor/checks';
import {
  environmentOf,
  findRedis,
  freePort,
  type RedisBinary,
  startRedis,
} from '@kasane/cli/internal/redis/start';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { inspectRedis, RedisLoading } from '@kasane/coordinator/internal/queue/inspect-redis';
import { WatchedRedis } from '@kasane/coordinator/internal/queue/watched-redis';
import { type ErrorCode, errorCodes } from '@kasane/protocol/errors';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
let binary: RedisBinary;
beforeAll(async () => {
  binary = await findRedis();
});

/** What one state has started. */
let started: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of started.reverse()) await end();
  started = [];
});

interface Running {
  readonly port: number;
  readonly url: string;
  readonly child: ChildProcess;
}

/** A real server with these lines in its configuration. */
async function serve(
  lines: readonly string[] = [],
  args: readonly string[] = [],
  data?: string,
): Promise<Running> {
  const directory = data ?? mkdtempSync(join(temporaryDirectory(cleanUp), 'redis-'));
  const port = await freePort();
  const config = join(directory, 'redis.conf');
  const usual = [`port ${port}`, `dir ${directory}`, 'save ""', 'loglevel warning'];
  writeFileSync(config, `${[...usual, ...lines].join('\n')}\n`);
  const child = spawn(binary.path, [config, ...args], {
    stdio: 'ignore',
    env: { ...process.env, ...environmentOf(binary) },
  });
  started.push(async () => {
    const ended = child.exitCode === null && child.signalCode === null && once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  await listening(port);
  return { port, url: `redis://127.0.0.1:${port}`, child };
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    const socket = connect(port, '127.0.0.1');
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isThere) return;
    await sleep(50);
  }
  throw new Error(`nothing listens at ${port}`);
}

/** Something else that listens. */
async function listen(onSocket: (socket: Socket) => void): Promise<string> {
  const server = createServer(onSocket).listen(0, '127.0.0.1');
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  await once(server, 'listening');
  started.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function ask(url: string, ...command: readonly [string, ...string[]]): Promise<void> {
  const redis = new Redis(url);
  redis.on('error', () => {});
  await redis.call(...(command as [string, string]));
  redis.disconnect();
}

interface State {
  readonly code: ErrorCode;
  readonly says: RegExp;
  /** Starts it, and returns its address. */
  readonly make: () => Promise<string>;
}

const states: Readonly<Record<string, State>> = {
  'in cluster mode': {
    code: 'UNREACHABLE',
    says: /runs in cluster mode; use one that does not/,
    make: async () => (await serve(['cluster-enabled yes'])).url,
  },
  'a sentinel': {
    code: 'UNREACHABLE',
    says: /is a sentinel; use the Redis that it monitors/,
    make: async () => (await serve([], ['--sentinel'])).url,
  },
  'without the database that is named': {
    code: 'UNREACHABLE',
    says: /has no database 99; use a smaller number/,
    make: async () => `${(await serve()).url}/99`,
  },
  'a read-only replica': {
    code: 'UNREACHABLE',
    says: /is a read-only replica; use its primary \(127\.0\.0\.1:\d+\)/,
    make: async () => {
      const primary = await serve();
      return (await serve([`replicaof 127.0.0.1 ${primary.port}`])).url;
    },
  },
  full: {
    code: 'UNREACHABLE',
    says: /is full; raise its maxmemory/,
    make: async () => (await serve(['maxmemory 1'])).url,
  },
  'unable to save': {
    code: 'UNREACHABLE',
    says: /could not save its data; free up space on its disk/,
    make: async () => {
      const data = mkdtempSync(join(temporaryDirectory(cleanUp), 'redis-'));
      const { url } = await serve(['save 1 1'], [], data);
      rmSync(data, { recursive: true });
      const redis = new Redis(url);
      await redis.set('x', '1');
      await redis.bgsave();
      for (let tries = 0; tries < 100 && !/last_bgsave_status:err/.test(await redis.info()); tries++)
        await sleep(50);
      redis.disconnect();
      return url;
    },
  },
  'with a password that is not given': {
    code: 'NOT_ALLOWED',
    says: /requires a password; expected redis:\/\/:PASSWORD@127/,
    make: async () => (await serve(['requirepass secret'])).url,
  },
  'with another password': {
    code: 'NOT_ALLOWED',
    says: /rejects this password; expected redis:\/\/:PASSWORD@127/,
    make: async () => (await serve(['requirepass secret'])).url.replace('//', '//:wrong@'),
  },
  'with a user who may do little': {
    code: 'NOT_ALLOWED',
    says: /denies this user access: .*; grant it with ACL SETUSER/,
    make: async () => {
      const { url } = await serve(['user kasane on >secret ~* +@read +info +ping +time']);
      return url.replace('//', '//kasane:secret@');
    },
  },
  'with a user who may not do what scripts do': {
    code: 'NOT_ALLOWED',
    says: /denies this user commands \(BZPOPMIN, XADD\); grant all with ACL SETUSER USER \+@all/,
    make: async () => {
      const { url } = await serve(['user kasane on >secret ~{kasane:* &* +@all -xadd -bzpopmin']);
      return url.replace('//', '//kasane:secret@');
    },
  },
  'without a command': {
    code: 'UNREACHABLE',
    says: /lacks a command \(EVAL\); do not rename/,
    make: async () => (await serve(['rename-command EVAL ""'])).url,
  },
  'without what tasks are fetched and told by': {
    code: 'UNREACHABLE',
    says: /lacks commands \(BZPOPMIN, XADD\); do not rename/,
    make: async () => (await serve(['rename-command BZPOPMIN ""', 'rename-command XADD fetch'])).url,
  },
  'without the command that tells its version': {
    code: 'UNREACHABLE',
    says: /lacks a command \(INFO\); do not rename/,
    make: async () => (await serve(['rename-command INFO ""'])).url,
  },
  'too old': {
    code: 'UNREACHABLE',
    says: /is version 5\.0\.7; install 6\.2 or later/,
    make: () => {
      const info = 'redis_version:5.0.7\r\nredis_mode:standalone\r\nloading:0\r\n';
      return listen((socket) => socket.on('data', () => socket.write(`$${info.length}\r\n${info}\r\n`)));
    },
  },
  'in protected mode': {
    code: 'UNREACHABLE',
    says: /is in protected mode and only accepts connections from its own machine; set a password/,
    make: () =>
      listen((socket) => {
        socket.end('-DENIED Redis is running in protected mode because protected mode is enabled\r\n');
      }),
  },
  'a web server': {
    code: 'UNREACHABLE',
    says: /is not a Redis, or speaks TLS; check the port/,
    make: async () => {
      const server = createHttp((_, response) => response.end('hello')).listen(0, '127.0.0.1');
      await once(server, 'listening');
      started.push(() => server.close());
      return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
  },
  'something that says nothing': {
    code: 'UNREACHABLE',
    says: /does not answer as a Redis; check the port/,
    make: () => listen(() => {}),
  },
  'something that hangs up': {
    code: 'UNREACHABLE',
    says: /closes the connection; check the port/,
    make: () => listen((socket) => socket.destroy()),
  },
  'asked for TLS that it does not speak': {
    code: 'UNREACHABLE',
    says: /does not speak TLS; use redis:\/\//,
    make: async () => (await serve()).url.replace('redis:', 'rediss:'),
  },
  'not there': {
    code: 'UNREACHABLE',
    says: /^no Redis answers at 127\.0\.0\.1:\d+: connection refused; start it/,
    make: async () => `redis://127.0.0.1:${await freePort()}`,
  },
  'at a host that is not there': {
    code: 'UNREACHABLE',
    says: /^no Redis answers at nowhere\.invalid:6379: (no host has that name|the name of the host cannot)/,
    make: async () => 'redis://nowhere.invalid',
  },
  'no address': {
    code: 'USAGE',
    says: /redis:\/\/HOST:PORT or rediss/,
    make: async () => 'localhost:6379',
  },
  'a database that is no number': {
    code: 'USAGE',
    says: /'abc' is not a database number/,
    make: async () => 'redis://127.0.0.1/abc',
  },
};

const oneLine = (text: string) => expect(text).not.toMatch(/\n|\bE[A-Z]{5,}\b|\(a bug/);

describe.each(Object.entries(states))('a Redis that is %s', (_, { code, says, make }) => {
  it('is refused by whoever would use it, and by doctor', async () => {
    const url = await make();
    const state = temporaryDirectory(cleanUp);
    const log = pino({ level: 'silent' });
    const refused = { code, message: expect.stringMatching(says) };
    await expect(startRedis({ url })).rejects.toMatchObject(refused);
    await expect(
      startCoordinator({ host: '127.0.0.1', port: 0, redisUrl: url, stateDirectory: state, log }),
    ).rejects.toMatchObject(refused);
    const failure = await inspectRedis(url).catch((error: Error) => error);
    oneLine((failure as Error).message);
    const finding = await checkRedis(url);
    expect(finding.state).toBe('wrong');
    expect(`${finding.found}; ${finding.todo}`).toMatch(says);
  });
});

it('that still reads its data is waited for', async () => {
  const data = mkdtempSync(join(temporaryDirectory(cleanUp), 'redis-'));
  const { url, child } = await serve([], [], data);
  await ask(url, 'DEBUG', 'POPULATE', '2000', 'k', '100').catch(() => {});
  const redis = new Redis(url);
  for (let i = 0; i < 2_000; i++) void redis.set(`key-${i}`, 'x');
  await redis.save();
  redis.disconnect();
  child.kill('SIGKILL');
  await once(child, 'exit');
  const slow = await serve(['key-load-delay 2000', 'loading-process-events-interval-bytes 1024'], [], data);
  const failure = await inspectRedis(slow.url).catch((error: Error) => error);
  expect(failure).toBeInstanceOf(RedisLoading);
  expect((failure as Error).message).toMatch(/is still loading its data \(\d+ %\)/);
  const said: string[] = [];
  await startRedis({ url: slow.url, log: (line) => said.push(line) });
  expect(said).toEqual([expect.stringMatching(/still loading/)]);
});

it('that has room for one client, which looks whether it is fit, is refused in words', async () => {
  const { url, port } = await serve(['maxclients 2']);
  // Asking what is wrong takes the one place, and so does a coordinator that was killed, for a moment.
  const other = connect(port, '127.0.0.1').on('error', () => {});
  started.push(() => other.destroy());
  await once(other, 'connect');
  other.write('PING\r\n');
  await once(other, 'data');
  const link = new WatchedRedis({
    url,
    log: pino({ level: 'silent' }),
    onBack: () => {},
    onWhy: () => {},
  });
  started.push(() => link.close());
  const third = connect(port, '127.0.0.1').on('error', () => {});
  started.push(() => third.destroy());
  await once(third, 'connect');
  third.write('PING\r\n');
  await once(third, 'data');
  await expect(link.connect()).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringMatching(
      /^the Redis at 127\.0\.0\.1:\d+ closes the coordinator's connection; .*maxclients/,
    ),
  });
});

it('lets a user in who has the keys, channels and commands that the documentation names', async () => {
  const { url } = await serve(['user kasane on >secret ~{kasane:* &* +@all']);
  const { trouble } = await inspectRedis(url.replace('//', '//kasane:secret@'));
  expect(trouble).toBeUndefined();
});

it('is one of several databases, one that evicts, one with a password in signs', async () => {
  const { url } = await serve(['requirepass a/b@c', 'maxmemory 100mb', 'maxmemory-policy allkeys-lru']);
  const named = `${url.replace('//', `//:${encodeURIComponent('a/b@c')}@`)}/3`;
  const { trouble } = await inspectRedis(named);
  expect(trouble?.found).toMatch(/may drop tasks when it is full \(maxmemory-policy allkeys-lru\)/);
  expect(await checkRedis(named)).toMatchObject({
    state: 'wrong',
    todo: expect.stringMatching(/noeviction/),
  });
});

it('ends a command at once, with one line and no secret', async () => {
  const { url } = await serve(['requirepass secret']);
  const commands = [
    ['coordinator', '--port', '0', '--state', join(temporaryDirectory(cleanUp), 's')],
    ['train', 'mnist-mlp', '--epochs', '1', '--workers', '1'],
  ];
  for (const args of commands) {
    const wrong = url.replace('//', '//:pass-word@');
    const failure = await runCommand([...args, '--redis', wrong]).catch(
      (error: { code: number; stderr: string }) => error,
    );
    expect(failure).toMatchObject({ code: errorCodes.NOT_ALLOWED.exit });
    expect(failure.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^kasane: .*rejects this password/),
    ]);
    expect(failure.stderr).not.toContain('pass-word');
  }
});
