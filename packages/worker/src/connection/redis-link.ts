/** A worker's connection to Redis: waits while Redis is unreachable, and proves to the coordinator that both use the same Redis. */
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@kasane/protocol/errors';
import { redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import { heard } from '@kasane/protocol/internal/queue/redis-errors';
import { PROOF_SECONDS, proofKey } from '@kasane/protocol/internal/queue/redis-proof';
import { endOnOddReplies } from '@kasane/protocol/internal/queue/redis-replies';
import { watchAnswers } from '@kasane/protocol/internal/queue/silent-redis';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';

endOnOddReplies(createRequire(import.meta.url));

/** Time after which a refused write is retried, in milliseconds. */
const AGAIN_MS = 1_000;

export interface RedisLinkOptions {
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Redis is back: blocked commands may never return. */
  readonly onBack: () => void;
  /** The key for this nonce has been written. */
  readonly onWritten: (nonce: Uint8Array, place: string) => void;
}

export class RedisLink {
  readonly #options: RedisLinkOptions;
  #redis: Redis | undefined;
  #stopAsking: () => void = () => {};
  #url = '';
  /** The address, for messages. */
  #place = '';
  /** The last nonce from the coordinator. */
  #nonce: Uint8Array = new Uint8Array();
  #writing = false;
  #closed = false;

  constructor(options: RedisLinkOptions) {
    this.#options = options;
  }

  /** Undefined before `open`. */
  get redis(): Redis | undefined {
    return this.#redis;
  }

  /** Connects, unless already connected to the same address. @throws KasaneError USAGE if the URL is invalid */
  open(url: string): void {
    if (this.#closed || (this.#redis && url === this.#url)) return;
    const { place } = redisAddress(url);
    this.#disconnect();
    this.#url = url;
    this.#place = place;
    const { log, onBack } = this.#options;
    const redis = heard(
      new Redis(url, {
        maxRetriesPerRequest: null,
        retryStrategy: (tries) => Math.min(100 * 2 ** Math.min(tries, 5), 2_000),
      }),
    );
    let down = false;
    redis.on('error', (error: Error) => {
      if (!down) log.warn(`Redis is not reachable at ${place}: ${messageOf(error)}`);
      down = true;
    });
    let before = false;
    redis.on('ready', () => {
      if (before) {
        log.info('Redis is back');
        onBack();
      }
      before = true;
      down = false;
    });
    this.#stopAsking = watchAnswers(redis, {
      onReplace: () => log.warn(`Redis at ${place} does not answer on an open connection: connecting again`),
    });
    this.#redis = redis;
  }

  /** Writes the key for this nonce as soon as Redis accepts it. A later nonce replaces one that is still waiting. */
  prove(nonce: Uint8Array): void {
    this.#nonce = nonce;
    if (!this.#writing) void this.#write();
  }

  close(): void {
    this.#closed = true;
    this.#disconnect();
  }

  #disconnect(): void {
    this.#stopAsking();
    this.#redis?.disconnect();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    let told = false;
    let written: Uint8Array | undefined;
    while (!this.#closed && written !== this.#nonce) {
      const [redis, nonce] = [this.#redis, this.#nonce];
      try {
        await redis?.set(proofKey(nonce), '1', 'EX', PROOF_SECONDS);
        written = nonce;
      } catch (error) {
        // Another connection has replaced it.
        if (this.#closed || redis !== this.#redis) continue;
        if (!told)
          this.#options.log.warn(
            `Redis at ${this.#place} rejects writes from this worker, which will not join jobs until they succeed: ${messageOf(error)}`,
          );
        told = true;
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
    this.#writing = false;
    if (!this.#closed && written) this.#options.onWritten(written, this.#place);
  }
}
