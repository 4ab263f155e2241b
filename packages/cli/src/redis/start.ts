/**
 * A Redis for an embedded cluster: the one that the user names, or one started for this run and gone with it. In this
 * order: a given URL; redis-server or valkey-server on the PATH; on Debian and Ubuntu one fetched with apt into a cache
 * folder; what redis-memory-server can get. Loopback only, a random password, nothing on disk that outlives the run.
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { inspectRedis, RedisLoading } from '@kasane/coordinator/internal/queue/inspect-redis';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import { Redis } from 'ioredis';
import { makeTemporaryFolder, noTemporaryFiles } from '../files/temporary-folder.ts';
import { systemFailure } from '../process/system-errors.ts';
import { fetchWithApt } from './apt.ts';

export interface StartRedisOptions {
  /** Use this one. */
  readonly url?: string | undefined;
  /** Hears what takes time, such as a download. */
  readonly log?: (line: string) => void;
}

export interface StartedRedis {
  readonly url: string;
  /** Which one it is, for people. */
  readonly description: string;
  /** Stops what was started. Safe to call twice. */
  close(): Promise<void>;
}

/** A program that is a Redis server, and what it needs in its environment. */
export interface RedisBinary {
  readonly path: string;
  readonly description: string;
  readonly libraryPath?: string;
}

const START_TIMEOUT_MS = 10_000;
/** How long a Redis may read its data, in milliseconds. */
const LOADING_MS = 30_000;
/** Characters that are kept of what a server says. */
const MOST_SAID = 4_000;

/** What the environment of this server needs. */
export const environmentOf = ({ libraryPath }: RedisBinary): Record<string, string> =>
  libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath };

/** @throws KasaneError UNREACHABLE when none is available, with the command that installs one */
export async function startRedis(options: StartRedisOptions = {}): Promise<StartedRedis> {
  const { url, log = () => {} } = options;
  if (url) {
    await checkRedis(url, log);
    return { url, description: `Redis at ${new URL(url).host}`, close: async () => {} };
  }
  return startBinary(await findRedis(log));
}

/** A Redis server for this machine, fetched if need be. @throws KasaneError UNREACHABLE when none is available */
export async function findRedis(log: (line: string) => void = () => {}): Promise<RedisBinary> {
  const reasons: string[] = [];
  for (const find of [onPath, () => fetchWithApt(log), fromMemoryServer]) {
    const found = await find().catch((error: unknown) => messageOf(error));
    if (typeof found === 'string') reasons.push(found);
    else return found;
  }
  const commands = 'apt-get install redis-server, dnf install valkey or brew install redis';
  throw new KasaneError(
    'UNREACHABLE',
    `no Redis is available: ${reasons.join('; ')}. Install it (${commands}), or set --redis redis://HOST:PORT`,
  );
}

export async function onPath(): Promise<RedisBinary> {
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return { path, description: `${name} on the PATH` };
      } catch {
        // not in this folder
      }
    }
  }
  throw new Error('neither redis-server nor valkey-server is on the PATH');
}

async function fromMemoryServer(): Promise<RedisBinary> {
  const downloader = await import('redis-memory-server/lib/util/RedisBinary.js').catch(() => {
    throw new Error('redis-memory-server is not installed');
  });
  const path = await downloader.default.default.getPath({}).catch((error: unknown) => {
    throw new Error(`redis-memory-server could not provide one (${messageOf(error).split('\n')[0]})`);
  });
  return { path, description: 'redis-memory-server' };
}

/**
 * The shell that starts the server, and starts it again when it dies, also ends it: it waits for its standard input, which this process
 * holds, to close. That happens however this process dies. Nothing that the server holds is needed then.
 */
const SUPERVISOR = `
  serve() {
    trap 'kill -9 "$server" 2>/dev/null; wait "$server"; exit' TERM
    while kill -0 $$ 2>/dev/null; do
      "$1" "$2/redis.conf" & server=$!
      wait "$server"
      sleep 1
    done
  }
  serve "$1" "$2" & serving=$!
  read -r _
  kill "$serving" 2>/dev/null
  wait "$serving"
  rm -rf "$2"`;

/** A value of Redis' configuration, whatever characters it has. */
const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;

/**
 * What the shell, and the server before it has its log, have to say. Nobody is kept from ending by it.
 * @returns the end of what was said until now
 */
function saidBy(child: Partial<ChildProcessWithoutNullStreams> & ChildProcess): () => string {
  let said = '';
  child.unref();
  child.on('error', (error) => {
    said += `${systemFailure(error)?.words ?? messageOf(error)}\n`;
  });
  // Where the process has no files left, there are none of these.
  child.stdin?.on('error', () => {}); // it is closed already
  for (const output of [child.stdout, child.stderr])
    output?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-MOST_SAID);
    });
  for (const end of child.stdio ?? []) (end as unknown as { unref?: () => void } | null)?.unref?.();
  return () => said;
}

/** The end of a server's log; empty where it has none. */
function readLog(directory: string): string {
  try {
    return readFileSync(join(directory, 'log'), 'utf8').slice(-MOST_SAID);
  } catch {
    return '';
  }
}

/** Why a server cannot start, where what it and its shell said tells. It is not waited for then. */
function whyNotStarted(said: string): string | undefined {
  const log = /Can't open the log file: (.+)/.exec(said)?.[1];
  if (log !== undefined)
    return `its log file cannot be created: ${brief(log.toLowerCase(), ERROR_TEXT)}; free up space (or inodes: df -i), or set TMPDIR to a folder on another disk`;
  if (/[Cc]annot fork|Can't initialize Background Jobs|out of resources/.test(said))
    return 'the system allows it no more processes, threads or memory; raise the limits (ulimit -u and -v, or those of the container)';
  return undefined;
}

/** The last complaint of a server, which may be why it does not answer. */
function lastComplaint(said: string): string | undefined {
  const isOne = (line: string) => /fatal|error|can't|cannot|failed/i.test(line) && !line.includes('WARNING');
  const last = said.split('\n').findLast(isOne);
  return last && `it said '${brief(last.replace(/^\d+:\w .*? # /, '').trim(), ERROR_TEXT)}'`;
}

/** Starts a server of this program on a free loopback port. */
export async function startBinary(binary: RedisBinary): Promise<StartedRedis> {
  const directory = makeTemporaryFolder('redis-');
  const port = await freePort();
  const password = randomBytes(24).toString('hex');
  const config = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${quoted(directory)}`,
    'save ""',
    'appendonly no',
    'maxmemory 1gb',
    'maxmemory-policy noeviction',
    'daemonize no',
    'loglevel warning',
    `logfile ${quoted(join(directory, 'log'))}`,
  ];
  const file = join(directory, 'redis.conf');
  try {
    writeFileSync(file, `${config.join('\n')}\n`, { mode: 0o600 });
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw noTemporaryFiles(`${file}: ${systemFailure(error)?.words ?? messageOf(error)}`);
  }
  const child = spawn('/bin/sh', ['-c', SUPERVISOR, 'kasane-redis', binary.path, directory], {
    // Ctrl-C in a terminal is for this process, which then closes Redis when it is done with it.
    detached: true,
    stdio: 'pipe',
    env: { ...process.env, ...environmentOf(binary) },
  });
  const output = saidBy(child);
  const said = () => `${output()}\n${readLog(directory)}`;
  const url = `redis://:${password}@127.0.0.1:${port}`;
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= stop(child, directory);
    return closed;
  };
  try {
    await checkRedis(url, () => {}, START_TIMEOUT_MS, said);
  } catch (error) {
    const why = whyNotStarted(said()) ?? lastComplaint(said()) ?? messageOf(error);
    await close();
    throw new KasaneError('UNREACHABLE', `${binary.description} (${binary.path}) did not start: ${why}`, {
      cause: error,
    });
  }
  return { url, description: binary.description, close };
}

/** Ends the Redis of a folder whose owner is gone, and whose supervisor was killed too: only it knows the password in there. */
export async function endOrphan(folder: string): Promise<void> {
  let config: string;
  try {
    config = readFileSync(join(folder, 'redis.conf'), 'utf8');
  } catch {
    return; // not a folder of Redis
  }
  const value = (name: string) => new RegExp(`^${name} (\\S+)$`, 'm').exec(config)?.[1];
  const redis = new Redis({
    port: Number(value('port')),
    host: '127.0.0.1',
    password: value('requirepass') ?? '',
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: 2_000,
  });
  redis.on('error', () => {}); // it is gone, or its port is another's now
  await redis
    .connect()
    .then(() => redis.shutdown('NOSAVE'))
    .catch(() => {});
  redis.disconnect();
}

async function stop(child: ChildProcess, directory: string): Promise<void> {
  child.ref();
  const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
  child.stdin?.end();
  await exited;
  rmSync(directory, { recursive: true, force: true });
}

/** A port of loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until a Redis that starts answers, and one that reads its data has. @throws KasaneError as `inspectRedis` */
async function checkRedis(
  url: string,
  log: (line: string) => void,
  timeoutMs = 0,
  said: () => string = () => '',
): Promise<void> {
  const began = performance.now();
  for (let isTold = false; ; ) {
    try {
      await inspectRedis(url);
      return;
    } catch (error) {
      const patience = error instanceof RedisLoading ? LOADING_MS : timeoutMs;
      const unreachable = error instanceof KasaneError && error.code === 'UNREACHABLE';
      // What cannot start is not waited for.
      if (!unreachable || performance.now() - began >= patience || whyNotStarted(said())) throw error;
      if (error instanceof RedisLoading && !isTold) log(`${messageOf(error)} ...`);
      isTold = true;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
