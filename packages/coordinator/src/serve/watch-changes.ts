/** What is true of something now, and again whenever that has changed: sent as fast as the client reads, and not more often than is said. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import { orRefuse, type Refuse } from './handlers.ts';

export interface Watched<Response> {
  /** Calls back when there may be something new, until the returned function is called. */
  readonly onChange: (listener: () => void) => () => void;
  /** What is to be sent now, and whether that is the end. */
  readonly now: () => { readonly messages: Iterable<Response>; readonly isLast: boolean };
  /** Least time between two times that something is sent, in milliseconds. */
  readonly intervalMs: number;
}

/** @param refuse is given what `now` throws later @throws what `now` throws the first time */
export function watchChanges<Request, Response>(
  call: ServerWritableStream<Request, Response>,
  { onChange, now, intervalMs }: Watched<Response>,
  refuse: Refuse,
): void {
  let timer: NodeJS.Timeout | undefined;
  let sentAt = Number.NEGATIVE_INFINITY;
  const send = () => {
    timer = undefined;
    sentAt = performance.now();
    const { messages, isLast } = now();
    for (const message of messages) call.write(message);
    if (!isLast) return;
    stop();
    call.end();
  };
  const changed = () => {
    // A client that does not read gets nothing new until it has; the next change sends what is true then.
    if (timer || call.writableNeedDrain) return;
    timer = setTimeout(orRefuse(send, stop, refuse), Math.max(0, sentAt + intervalMs - performance.now()));
  };
  const off = onChange(changed);
  call.on('drain', changed);
  const stop = () => {
    off();
    clearTimeout(timer);
  };
  call.on('cancelled', stop);
  call.on('close', stop);
  try {
    send();
  } catch (error) {
    stop();
    throw error;
  }
}
