/**
 * What a Redis says of itself, and whether Kasane can use it. Whoever is about to use one asks here first, and `kasane doctor` asks the
 * same: a Redis that cannot do is named in one line, with what to do.
 */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { type RedisAddress, redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import { heard } from '@kasane/protocol/internal/queue/redis-errors';
import { NONCE_BYTES, proofKey } from '@kasane/protocol/internal/queue/redis-proof';
import { endOnOddReplies } from '@kasane/protocol/internal/queue/redis-replies';
import { systemWords } from '@kasane/tensor/internal/node/system-errors';
import { Redis } from 'ioredis';

endOnOddReplies(createRequire(import.meta.url));

export interface RedisFacts {
  /** host:port */
  readonly host: string;
  readonly version: string;
  /** What it does when it is full. */
  readonly policy: string;
  /** Its clock when it was asked, and this machine's before and after, in milliseconds since 1970. */
  readonly clock: { readonly theirs: number; readonly asked: number; readonly answered: number };
  /** What will go wrong sooner or later, and what to do; absent when nothing will. */
  readonly trouble?: { readonly found: string; readonly todo: string };
}

/** It has to read its data from disk first: it can be used soon. */
export class RedisLoading extends KasaneError {}

const OLDEST = [6, 2] as const;
const TIMEOUT_MS = 5_000;

/**
 * @throws KasaneError USAGE when the address is none, NOT_ALLOWED without its password, UNREACHABLE when nobody answers there or what
 * answers cannot be used
 */
export async function inspectRedis(url: string): Promise<RedisFacts> {
  const place = redisAddress(url);
  const redis = heard(
    new Redis(place.server, {
      lazyConnect: true,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      connectTimeout: TIMEOUT_MS,
      commandTimeout: TIMEOUT_MS,
      disableClientInfo: true,
      protocol: 2,
    }),
  );
  let why: Error | undefined;
  redis.on('error', (error) => {
    why = error;
  });
  try {
    await redis.connect();
    return await look(redis, place);
  } catch (error) {
    if (error instanceof KasaneError) throw error;
    throw refusal(place, why ?? (error as Error));
  } finally {
    redis.disconnect();
  }
}

async function look(redis: Redis, place: RedisAddress): Promise<RedisFacts> {
  const { host, database, username, password } = place;
  const cannot = (what: string, todo: string) =>
    new KasaneError('UNREACHABLE', `the Redis at ${host} ${what}; ${todo}`);
  if (password !== '') await signIn(redis, username, password);
  const info = await redis.info();
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  if (field('loading') === '1') {
    const done = field('loading_loaded_perc').replace(/\..*/, '');
    throw new RedisLoading(
      'UNREACHABLE',
      `the Redis at ${host} is still loading its data (${done} %); wait until it is done`,
    );
  }
  if (field('redis_mode') === 'sentinel')
    throw cannot(
      'is a sentinel',
      'use the Redis that it monitors (`redis-cli -p PORT sentinel masters` shows its address)',
    );
  if (field('redis_mode') === 'cluster')
    throw cannot('runs in cluster mode', 'use one that does not (cluster-enabled no)');
  const version = field('redis_version');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    throw cannot(`is version ${version || 'unknown'}`, `install ${OLDEST.join('.')} or later`);
  if (database > 0)
    await redis.select(database).catch((error: unknown) => {
      if (!/out of range|invalid DB/i.test(messageOf(error))) throw error;
      throw cannot(
        `has no database ${database}`,
        'use a smaller number in redis://HOST:PORT/NUMBER (usually 0 to 15)',
      );
    });
  await requireCommands(redis, host);
  const asked = Date.now();
  const [seconds, microseconds] = (await redis.time()).map(Number) as [number, number];
  const clock = { theirs: 1000 * seconds + microseconds / 1000, asked, answered: Date.now() };
  await tryOut(redis, `${field('master_host')}:${field('master_port')}`, cannot);
  const policy = field('maxmemory_policy') || 'unknown';
  const evicts = policy !== 'noeviction' && policy !== 'unknown';
  const trouble = evicts && {
    trouble: {
      found: `the Redis at ${host} may drop tasks when it is full (maxmemory-policy ${policy})`,
      todo: 'CONFIG SET maxmemory-policy noeviction',
    },
  };
  return { host, version, policy, clock, ...trouble };
}

async function signIn(redis: Redis, username: string, password: string): Promise<void> {
  await redis.call('AUTH', ...(username ? [username] : []), password).catch((error: unknown) => {
    // It asks for none: nothing is wrong with that.
    if (!/no password is set|without any password configured/.test(messageOf(error))) throw error;
  });
}

/** Does what the queue does: writes, and runs a script. */
async function tryOut(
  redis: Redis,
  primary: string,
  cannot: (what: string, todo: string) => KasaneError,
): Promise<void> {
  const key = proofKey(randomBytes(NONCE_BYTES));
  try {
    await redis.set(key, '1', 'EX', 10);
    await redis.eval('return redis.call("DEL", KEYS[1])', 1, key);
  } catch (error) {
    const said = messageOf(error);
    if (said.startsWith('READONLY')) throw cannot('is a read-only replica', `use its primary (${primary})`);
    if (said.startsWith('OOM')) throw cannot('is full', 'raise its maxmemory, or remove other data from it');
    if (said.startsWith('MISCONF'))
      throw cannot(
        'refuses writes because it could not save its data',
        'free up space on its disk (its log says more)',
      );
    if (said.startsWith('NOREPLICAS'))
      throw cannot('refuses writes because replicas are missing', 'start the replicas');
    throw error;
  }
}

/** What the queue, its scripts and we use. A command that is renamed or disabled is missed only when a task comes to it. */
const COMMANDS =
  'bzpopmin client del eval evalsha exists exec get hdel hexists hget hgetall hincrby hmget hmset hset incr info lindex llen lpos lpush lrange lrem ltrim multi pexpire pttl rpop rpoplpush rpush sadd scan scard set sismember smembers srem time unlink xadd xtrim zadd zcard zcount zpopmin zrange zrangebyscore zrem zremrangebyscore zrevrange zscore'.split(
    ' ',
  );

const lacking = (host: string, names: readonly string[]) =>
  new KasaneError(
    'UNREACHABLE',
    `the Redis at ${host} lacks ${names.length === 1 ? 'a command' : 'commands'} (${names.map((name) => name.toUpperCase()).join(', ')}); do not rename or disable commands in its configuration`,
  );

async function requireCommands(redis: Redis, host: string): Promise<void> {
  // Where COMMAND itself is disabled, what fails later says so.
  const known = await redis.call('COMMAND', 'INFO', ...COMMANDS).catch(() => undefined);
  if (!Array.isArray(known) || known.length !== COMMANDS.length) return;
  const missing = COMMANDS.filter((_, index) => known[index] === null);
  if (missing.length > 0) throw lacking(host, missing);
  const words = (known as readonly (readonly unknown[])[]).map((about) => Math.abs(Number(about[1])));
  await requirePermission(redis, host, new Map(COMMANDS.map((name, index) => [name, words[index]!])));
}

/**
 * Whether this user may do all that. Redis checks it before it puts a command into a transaction, which is then dropped: nothing is done.
 * Scripts would be refused in the middle, and jobs stand still.
 * @param commands with the least number of words that each has
 */
async function requirePermission(
  redis: Redis,
  host: string,
  commands: ReadonlyMap<string, number>,
): Promise<void> {
  const asked = [...commands].filter(([name]) => name !== 'multi' && name !== 'exec');
  const key = proofKey(randomBytes(NONCE_BYTES));
  await redis.call('MULTI');
  const [answers] = await Promise.all([
    Promise.allSettled(
      asked.map(([name, words]) =>
        name === 'client'
          ? redis.call('CLIENT', 'ID')
          : redis.call(name, ...Array.from({ length: words - 1 }, () => key)),
      ),
    ),
    redis.call('DISCARD'),
  ]);
  const denied = asked.flatMap(([name], index) => {
    const answer = answers[index]!;
    return answer.status === 'rejected' && messageOf(answer.reason).startsWith('NOPERM')
      ? name.toUpperCase()
      : [];
  });
  if (denied.length === 0) return;
  throw new KasaneError(
    'NOT_ALLOWED',
    `the Redis at ${host} denies this user ${denied.length === 1 ? 'a command' : 'commands'} (${denied.join(', ')}); grant all with ACL SETUSER USER +@all`,
  );
}

/** What Redis or the network said, in a line with what to do. */
function refusal({ host, server }: RedisAddress, error: Error): KasaneError {
  const said = error.message;
  const unknown = /unknown command '?(\w+)/i.exec(said)?.[1];
  if (unknown !== undefined) return lacking(host, [unknown]);
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const failure = (errorCode: 'UNREACHABLE' | 'NOT_ALLOWED', text: string) =>
    new KasaneError(errorCode, text, { cause: error });
  if (/^NOAUTH|^WRONGPASS|invalid password/.test(said)) {
    const what = said.startsWith('NOAUTH') ? 'requires a password' : 'rejects this password';
    return failure('NOT_ALLOWED', `the Redis at ${host} ${what}; expected redis://:PASSWORD@${host}`);
  }
  if (said.startsWith('NOPERM')) {
    const what = said.replace(/^NOPERM /, '');
    return failure(
      'NOT_ALLOWED',
      `the Redis at ${host} denies this user access: ${what}; grant it with ACL SETUSER`,
    );
  }
  if (said.startsWith('DENIED'))
    return failure(
      'UNREACHABLE',
      `the Redis at ${host} is in protected mode and only accepts connections from its own machine; set a password (requirepass), and use redis://:PASSWORD@${host}`,
    );
  if (/Unknown RESP type|Protocol error, got|ParserError/.test(`${error.name} ${said}`))
    return failure(
      'UNREACHABLE',
      `the server at ${host} is not a Redis, or speaks TLS; check the port, or use rediss://`,
    );
  const isSilent = /timed out|ETIMEDOUT|Connection is closed|ECONNRESET/i.test(`${said} ${code}`);
  if (
    (server.startsWith('rediss:') && isSilent) ||
    /wrong version number|SSL routines|packet length too long|before secure TLS connection/i.test(said)
  )
    return failure(
      'UNREACHABLE',
      `the server at ${host} does not speak TLS; use redis:// instead of rediss://`,
    );
  if (/certificate/i.test(said))
    return failure(
      'UNREACHABLE',
      `the certificate of the Redis at ${host} is not trusted: ${said}; add its CA with NODE_EXTRA_CA_CERTS`,
    );
  if (/timed out/i.test(said))
    return failure(
      'UNREACHABLE',
      `the server at ${host} does not answer as a Redis; check the port, and whether it is stopped`,
    );
  if (/Connection is closed|^ERR_|ECONNRESET/.test(said) || code === 'ECONNRESET')
    return failure(
      'UNREACHABLE',
      `the server at ${host} closes the connection; check the port, or use rediss:// if it speaks TLS`,
    );
  const why = systemWords(error) ?? said.replace(/^ERR /, '');
  return failure(
    'UNREACHABLE',
    `no Redis answers at ${host}: ${why}; start it, or set its address with --redis`,
  );
}
