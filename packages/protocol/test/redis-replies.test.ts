/** The reader of Redis' replies, on a connection that is none: `test/odd-redis.test.ts` has real ones. */
import { EventEmitter } from 'node:events';
import { expect, it, vi } from 'vitest';
import { endOnOddReplies, REPLY_BYTES } from '../src/queue/redis-replies.ts';

interface Reader {
  dispatch(handle: () => void): void;
  shiftCommand(reply: unknown): unknown;
}

function open() {
  const module = {
    default: class {
      readonly redis: unknown;
      constructor(redis: unknown) {
        this.redis = redis;
      }
      shiftCommand() {
        return 'a command';
      }
    },
  };
  endOnOddReplies(() => module);
  const stream = Object.assign(new EventEmitter(), { destroy: vi.fn() });
  const redis = { commandQueue: { length: 1 }, stream };
  const reader = new module.default(redis) as unknown as Reader;
  const arrive = (length: number) => stream.emit('data', { length });
  return { reader, redis, stream, arrive };
}

it('ends with an answer that has no end, and not with many that have one', () => {
  const { reader, stream, arrive } = open();
  for (let i = 0; i < 5; i++) {
    arrive(REPLY_BYTES / 2);
    reader.dispatch(() => {});
  }
  arrive(REPLY_BYTES / 2);
  arrive(REPLY_BYTES / 2);
  expect(stream.destroy).not.toHaveBeenCalled();
  arrive(1);
  arrive(1);
  expect(stream.destroy).toHaveBeenCalledOnce();
  expect(stream.destroy.mock.calls[0]![0]).toMatchObject({
    message: expect.stringMatching(/without an end/),
  });
});

it('ends with an answer that nobody has asked for, and reads no more', () => {
  const { reader, redis, stream } = open();
  reader.dispatch(() => expect(reader.shiftCommand('OK')).toBe('a command'));
  expect(stream.destroy).not.toHaveBeenCalled();
  redis.commandQueue.length = 0;
  reader.dispatch(() => reader.shiftCommand(null));
  const later = vi.fn();
  reader.dispatch(later);
  expect(stream.destroy).toHaveBeenCalledOnce();
  expect(later).not.toHaveBeenCalled();
});
