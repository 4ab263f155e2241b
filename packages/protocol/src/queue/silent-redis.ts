/**
 * Asks Redis all the time whether it answers. Connections that stay open and answer nothing are made anew: where a proxy hangs or a firewall
 * has forgotten them, TCP says so after a quarter of an hour.
 */

interface Connection {
  readonly status: string;
  readonly ping: () => Promise<unknown>;
  readonly disconnect: (reconnect: boolean) => void;
}

/** It is asked so often, in milliseconds, */
const ASK_MS = 2_000;
/** has so long to answer, */
export const ANSWER_MS = 3_000;
/** and is replaced after so many times without an answer. Times that this process stood still do not count. */
const UNANSWERED = 6;

export interface Listeners {
  /** Called before a connection is replaced. */
  readonly onReplace: () => void;
  /** Called when an answer came in time. */
  readonly onAnswer?: () => void;
  /** Called when one did not. @param asked when it was asked */
  readonly onLate?: (asked: Date) => void;
}

/** Begins to ask, until the returned function is called. */
export function watchAnswers(redis: Connection, { onReplace, onAnswer, onLate }: Listeners): () => void {
  let unanswered = 0;
  const ask = () => {
    const asked = new Date();
    let isLate = false;
    const late = () => {
      isLate = true;
      onLate?.(asked);
    };
    const timer = setTimeout(late, ANSWER_MS).unref();
    redis
      .ping()
      .then(
        (answer) => {
          // Something else is the answer to another question, and so is everything after it.
          unanswered = answer === 'PONG' ? 0 : UNANSWERED;
          if (!isLate) onAnswer?.();
        },
        () => {
          // A connection that has ended says so by itself.
          if (!isLate && redis.status === 'ready') late();
        },
      )
      .finally(() => clearTimeout(timer));
  };
  const asking = setInterval(() => {
    // The client replaces those that have ended by itself.
    if (redis.status !== 'ready' && redis.status !== 'connect') {
      unanswered = 0;
    } else if (unanswered >= UNANSWERED) {
      unanswered = 0;
      onReplace();
      redis.disconnect(true);
    } else {
      unanswered++;
      if (redis.status === 'ready') ask();
    }
  }, ASK_MS);
  asking.unref();
  return () => clearInterval(asking);
}
