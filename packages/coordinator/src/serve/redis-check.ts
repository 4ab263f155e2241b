/**
 * Checks that a worker uses the same Redis as the coordinator (protocol/queue/redis-proof.ts): asks the worker to write a nonce, looks
 * for it, and asks again.
 */
import { randomBytes } from 'node:crypto';
import { KasaneError } from '@kasane/protocol/errors';
import { redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import { NONCE_BYTES, proofKey } from '@kasane/protocol/internal/queue/redis-proof';
import type { Redis } from 'ioredis';

/** Redis may be emptied between the write and the lookup: number of lookups, */
const LOOKS = 4;
/** and the time between them, in milliseconds. */
const AGAIN_MS = 1_000;

export interface RedisCheckOptions {
  /** The coordinator's Redis. */
  readonly redis: Pick<Redis, 'unlink'>;
  readonly ask: (nonce: Uint8Array) => void;
  /** Called when the nonce was found. */
  readonly onSame: () => void;
  /** Called when the worker writes, but the nonce is never found. */
  readonly onOther: () => void;
}

export class RedisCheck {
  readonly #options: RedisCheckOptions;
  /** The nonce that the worker was asked to write and has not confirmed. */
  #asked: Buffer | undefined;
  #missed = 0;
  #again: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RedisCheckOptions) {
    this.#options = options;
  }

  ask(): void {
    if (this.#closed) return;
    this.#asked = randomBytes(NONCE_BYTES);
    this.#options.ask(this.#asked);
  }

  /**
   * The worker reports that it has written a nonce. Anything but the current nonce is ignored. Rejects with what `onSame` and `onOther`
   * throw.
   */
  async written(nonce: Uint8Array): Promise<void> {
    if (this.#closed || !this.#asked?.equals(nonce)) return;
    this.#asked = undefined;
    // If Redis does not answer, that proves nothing about the worker.
    const found = await this.#options.redis.unlink(proofKey(nonce)).catch(() => undefined);
    if (this.#closed) return;
    if (found === 0) this.#missed++;
    if (found === 1 || this.#missed === LOOKS) {
      this.close();
      if (found === 1) this.#options.onSame();
      else this.#options.onOther();
    } else this.#again = setTimeout(() => this.ask(), AGAIN_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
  }
}

/** @param theirs the worker's Redis, as the worker names it @param ownUrl the coordinator's */
export const otherRedis = (worker: string, host: string, theirs: string, ownUrl: string): KasaneError =>
  new KasaneError(
    'OTHER_REDIS',
    `worker ${worker} on ${host} uses a different Redis (${theirs}) than the coordinator (${redisAddress(ownUrl).place}); start the worker with --redis, or the coordinator with --announce-redis, and the address at which ${host} reaches the coordinator's Redis`,
  );
