/** What a Redis says of itself. */
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { Redis } from 'ioredis';
import { clockAhead } from '../doctor/clock.ts';
import { redisAddress } from './address.ts';

export interface RedisFacts {
  /** host:port */
  readonly host: string;
  readonly version: string;
  /** What it does when it is full. */
  readonly policy: string;
  /** How far its clock is ahead of this machine's, in milliseconds, as far as one can tell. */
  readonly aheadMs: number;
}

/** @throws KasaneError USAGE when the address is none, UNREACHABLE when nobody answers there, NOT_ALLOWED without its password */
export async function inspectRedis(url: string): Promise<RedisFacts> {
  const { host } = redisAddress(url);
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: 5_000,
  });
  let why = '';
  redis.on('error', (error) => {
    why = messageOf(error);
  });
  try {
    await redis.connect();
    const info = await redis.info();
    const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? 'unknown';
    const asked = Date.now();
    const [seconds, microseconds] = (await redis.time()).map(Number) as [number, number];
    const aheadMs = clockAhead(1000 * seconds + microseconds / 1000, asked, Date.now());
    return { host, version: field('redis_version'), policy: field('maxmemory_policy'), aheadMs };
  } catch (error) {
    const said = why || messageOf(error);
    if (/^(WRONGPASS|NOAUTH|NOPERM)|invalid password/.test(said)) {
      const right = `redis://:PASSWORD@${host} is expected`;
      throw new KasaneError('NOT_ALLOWED', `the Redis at ${host} refuses us: ${said}; ${right}`, {
        cause: error,
      });
    }
    throw new KasaneError('UNREACHABLE', `no Redis answers at ${host}: ${said}`, { cause: error });
  } finally {
    redis.disconnect();
  }
}
