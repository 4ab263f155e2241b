/** What is done about a server that does not speak Redis' protocol as it should. Knows no client: whoever has ioredis hands in a part of it. */

interface Connection {
  readonly commandQueue: { readonly length: number };
  readonly stream: { destroy(error: Error): unknown };
}

/** What reads the replies of one connection, in ioredis. */
interface ReplyReader {
  readonly redis: Connection;
  dispatch(handle: () => void): void;
  shiftCommand(reply: unknown): unknown;
  returnPush(message: unknown): void;
  returnFatalError(error: Error): void;
}

/**
 * Has connections end, as those do that the network breaks, when something arrives on them that cannot be an answer: they are made anew,
 * and what was asked is asked again. ioredis throws some of it where nobody can catch it, which ends the process (a null that answers
 * nothing, a push message of other types), gives later answers to the wrong questions after one too many, or drops what was asked.
 * @param load `require` of a module of a package that depends on ioredis
 */
export function endOnOddReplies(load: (file: string) => unknown): void {
  const { prototype } = (load('ioredis/built/DataHandler.js') as { default: { prototype: ReplyReader } })
    .default;
  if (prototype.returnFatalError === end) return;
  const { shiftCommand } = prototype;
  prototype.returnFatalError = end;
  prototype.dispatch = function (handle) {
    if (ended.has(this)) return;
    try {
      handle();
    } catch (error) {
      this.returnFatalError(error as Error);
    }
  };
  prototype.shiftCommand = function (reply) {
    if (this.redis.commandQueue.length === 0) throw new Error('Redis answers what nobody has asked');
    return shiftCommand.call(this, reply);
  };
  // Nothing is subscribed to: no message is for anybody here.
  prototype.returnPush = () => {};
}

/** Readers whose connections end. What else is on its way to them is not read. */
const ended = new WeakSet<ReplyReader>();

function end(this: ReplyReader, error: Error): void {
  if (ended.has(this)) return;
  ended.add(this);
  this.redis.stream.destroy(error);
}
