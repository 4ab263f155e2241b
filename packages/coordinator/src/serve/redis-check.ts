/** Whether a worker is on the coordinator's Redis (protocol/queue/redis-proof.ts): asks it, looks for what it wrote, asks again. */
import { randomBytes } from 'node:crypto';
import { KasaneError } from '@kasane/protocol/errors';
import { redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import { NONCE_BYTES, proofKey } from '@kasane/protocol/internal/queue/redis-proof';
import type { Redis } from 'ioredis';

/** Redis may have been emptied between writing and looking: so often it is looked, */
const LOOKS = 4;
/** and so long it is waited in between, in milliseconds. */
const AGAIN_MS = 1_000;

export interface RedisCheckOptions {
  /** The coordinator's. */
  readonly redis: Pick<Redis, 'unlink'>;
  readonly ask: (nonce: Uint8Array) => void;
  /** What the worker wrote is there. */
  readonly onSame: () => void;
  /** The worker writes, and nothing of it is there. */
  readonly onOther: () => void;
}

export class RedisCheck {
  readonly #options: RedisCheckOptions;
  /** What the worker was asked for last and has not answered. */
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
   * The worker says that it has written. Answers to what was not asked, or was asked before, count for nothing. Rejects with what
   * `onSame` and `onOther` throw.
   */
  async written(nonce: Uint8Array): Promise<void> {
    if (this.#closed || !this.#asked?.equals(nonce)) return;
    this.#asked = undefined;
    // A Redis that does not answer says nothing of the worker.
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

/** @param theirs the worker's Redis, as it names it @param ownUrl the coordinator's */
export const otherRedis = (worker: string, host: string, theirs: string, ownUrl: string): KasaneError =>
  new KasaneError(
    'OTHER_REDIS',
    `worker ${worker} on ${host} uses a different Redis (${theirs}) than the coordinator (${redisAddress(ownUrl).place}); start the worker with --redis, or the coordinator with --announce-redis, and the address at which ${host} reaches the coordinator's Redis`,
  );
