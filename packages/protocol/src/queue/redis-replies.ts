/** What is done about a server that does not speak Redis' protocol as it should. Knows no client: whoever has ioredis hands in a part of it. */
import { BATCH_BYTES } from '../limits.ts';

/** Bytes of one answer: the largest is a batch. */
export const REPLY_BYTES = BATCH_BYTES + (16 << 20);

interface Connection {
  readonly commandQueue: { readonly length: number };
  readonly stream: {
    on(event: 'data', listener: (bytes: { readonly length: number }) => void): unknown;
    destroy(error: Error): unknown;
  };
}

/** What reads the replies of one connection, in ioredis. */
interface ReplyReader {
  readonly redis: Connection;
  shiftCommand(reply: unknown): unknown;
}

/** Its module. */
interface ReaderModule {
  default: new (redis: Connection, options: unknown) => ReplyReader;
}

/** Modules whose readers end on odd replies. */
const changed = new WeakSet<ReaderModule>();

/**
 * Has connections end, as those do that the network breaks, when something arrives on them that cannot be an answer: they are made anew,
 * and what was asked is asked again. ioredis throws some of it where nobody can catch it, which ends the process (a null that answers
 * nothing, a push message of other types), gives later answers to the wrong questions after one too many, keeps an answer without an end
 * in memory, or drops what was asked.
 * @param load `require` of a module of a package that depends on ioredis
 */
export function endOnOddReplies(load: (file: string) => unknown): void {
  const module = load('ioredis/built/DataHandler.js') as ReaderModule;
  if (changed.has(module)) return;
  changed.add(module);
  module.default = class extends module.default {
    /** Its connection ends: what else is on its way is not read. */
    #hasEnded = false;
    /** Since the last answer was whole. */
    #bytes = 0;

    constructor(redis: Connection, options: unknown) {
      super(redis, options);
      redis.stream.on('data', ({ length }) => {
        this.#bytes += length;
        if (this.#bytes > REPLY_BYTES)
          this.returnFatalError(new Error('Redis sends an answer without an end'));
      });
    }

    dispatch(handle: () => void): void {
      if (this.#hasEnded) return;
      this.#bytes = 0;
      try {
        handle();
      } catch (error) {
        this.returnFatalError(error as Error);
      }
    }

    override shiftCommand(reply: unknown): unknown {
      if (this.redis.commandQueue.length === 0) throw new Error('Redis answers what nobody has asked');
      return super.shiftCommand(reply);
    }

    /** Nothing is subscribed to: no message is for anybody here. */
    returnPush(): void {}

    returnFatalError(error: Error): void {
      if (this.#hasEnded) return;
      this.#hasEnded = true;
      this.redis.stream.destroy(error);
    }
  };
}
