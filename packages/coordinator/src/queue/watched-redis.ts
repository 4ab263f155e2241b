/** A coordinator's connection to Redis: it fails fast, and says since when Redis does not answer, and when it is back. */
import { createRequire } from 'node:module';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import { heard } from '@kasane/protocol/internal/queue/redis-errors';
import { endOnOddReplies } from '@kasane/protocol/internal/queue/redis-replies';
import { ANSWER_MS, watchAnswers } from '@kasane/protocol/internal/queue/silent-redis';
import { type Reason, sentenceOf } from '@kasane/protocol/reasons';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { clockTime } from '../store/disk.ts';

endOnOddReplies(createRequire(import.meta.url));

/** No command is waited for longer. */
const COMMAND_MS = 10_000;

export interface WatchedRedisOptions {
  readonly url: string;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Redis is back: what it held may be lost. */
  readonly onBack: () => void;
  /** Called when `why` has changed. */
  readonly onWhy: () => void;
}

export class WatchedRedis {
  readonly redis: Redis;
  readonly #options: WatchedRedisOptions;
  readonly #stopAsking: () => void;
  /** Since when it does not answer; empty while it does. */
  #since = '';
  #wasReady = false;

  constructor(options: WatchedRedisOptions) {
    this.#options = options;
    this.redis = heard(
      new Redis(options.url, {
        maxRetriesPerRequest: 1,
        enableOfflineQueue: false,
        lazyConnect: true,
        commandTimeout: COMMAND_MS,
        retryStrategy: (tries) => Math.min(50 * 2 ** Math.min(tries, 6), 2_000),
      }),
    );
    this.redis.on('error', (error: Error) => this.#silent(messageOf(error)));
    this.redis.on('close', () => this.#silent('it closed the connection'));
    this.redis.on('ready', () => {
      if (this.#wasReady) this.#back();
      this.#wasReady = true;
    });
    this.#stopAsking = watchAnswers(this.redis, {
      onReplace: () => options.log.info('Redis does not answer on this connection: connecting again'),
      onLate: (asked) => this.#silent(`no answer for ${ANSWER_MS / 1000} s`, asked),
      onAnswer: () => {
        if (this.#since && this.redis.status === 'ready') this.#back();
      },
    });
  }

  /** What is wrong with Redis; undefined when nothing is. */
  get why(): Reason<'redis-silent'> | undefined {
    return this.#since ? { code: 'redis-silent', args: { since: this.#since } } : undefined;
  }

  /** Connects to a Redis that `inspectRedis` has found fit. @throws KasaneError UNREACHABLE */
  async connect(): Promise<void> {
    try {
      await this.redis.connect();
    } catch (cause) {
      const { host } = redisAddress(this.#options.url);
      throw new KasaneError(
        'UNREACHABLE',
        `the Redis at ${host} closes the coordinator's connection; most likely, it already has as many clients as it allows: raise maxclients`,
        { cause },
      );
    }
  }

  close(): void {
    this.#stopAsking();
    this.#wasReady = false;
    this.redis.disconnect();
  }

  #silent(reason: string, since = new Date()): void {
    if (this.#since || !this.#wasReady) return;
    this.#since = clockTime(since);
    const why = this.why!;
    this.#options.log.warn(
      why,
      `${sentenceOf(why)} (${reason}); running computations continue, everything else waits`,
    );
    this.#options.onWhy();
  }

  #back(): void {
    const { log, onBack, onWhy } = this.#options;
    this.#since = '';
    log.info('Redis is back; queueing tasks again');
    onBack();
    onWhy();
  }
}
