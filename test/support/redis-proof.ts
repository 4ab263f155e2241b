/** For workers that are none of ours: shows the coordinator that they are on its Redis, as it asks of each. */
import type { ConnectResponse, WorkerMessage } from '@kasane/protocol/gen/kasane/v1/training';
import { heard } from '@kasane/protocol/internal/queue/redis-errors';
import { proofKey } from '@kasane/protocol/internal/queue/redis-proof';
import { Redis } from 'ioredis';

type Asked = NonNullable<ConnectResponse['message']>;
type Said = NonNullable<WorkerMessage['message']>;

export class RedisWriter {
  readonly #redis: Redis;

  constructor(url: string) {
    this.#redis = heard(new Redis(url));
  }

  /** Answers the coordinator's question; does nothing about other messages. */
  async answer(asked: Asked, send: (answer: Said) => void): Promise<void> {
    if (asked.$case !== 'proveRedis') return;
    const { nonce } = asked.value;
    await this.#redis.set(proofKey(nonce), '1', 'EX', 10);
    send({ $case: 'redisWritten', value: { nonce, redis: 'the same' } });
  }

  close(): void {
    this.#redis.disconnect();
  }
}
