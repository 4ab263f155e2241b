/** Connections to Redis that stay open and answer nothing: where a proxy hangs or a firewall has forgotten them, TCP says so after a quarter of an hour. */

interface Connection {
  readonly status: string;
  readonly ping: () => Promise<unknown>;
  readonly disconnect: (reconnect: boolean) => void;
}

/** It is asked so often, in milliseconds, */
const ASK_MS = 2_000;
/** and replaced after so many times without an answer. Times that this process stood still do not count. */
const UNANSWERED = 6;

/**
 * Makes a connection anew when it answers nothing, until the returned function is called.
 * @param onSilent called before it is replaced
 */
export function replaceWhenSilent(redis: Connection, onSilent: () => void): () => void {
  let unanswered = 0;
  let isAsking = false;
  const ask = async () => {
    isAsking = true;
    await redis.ping().then(
      () => {
        unanswered = 0;
      },
      () => {}, // an answer that does not come is what is counted
    );
    isAsking = false;
  };
  const timer = setInterval(() => {
    // The client replaces those that have ended by itself.
    if (redis.status !== 'ready' && redis.status !== 'connect') {
      unanswered = 0;
    } else if (unanswered >= UNANSWERED) {
      unanswered = 0;
      onSilent();
      redis.disconnect(true);
    } else {
      unanswered++;
      if (redis.status === 'ready' && !isAsking) void ask();
    }
  }, ASK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
