/** Sends the state of something now and again after every change: no faster than the client reads, and no more often than the interval. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import { orRefuse, type Refuse } from './handlers.ts';

export interface Watched<Response> {
  /** Subscribes to changes; returns a function that unsubscribes. */
  readonly onChange: (listener: () => void) => () => void;
  /** The messages to send now, and whether they are the last ones. */
  readonly now: () => { readonly messages: Iterable<Response>; readonly isLast: boolean };
  /** Least time between two rounds of messages, in milliseconds. */
  readonly intervalMs: number;
}

/** @param refuse receives later errors of `now` @throws what `now` throws the first time */
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
    // A client that does not read gets nothing; once it has, the next change sends the current state.
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
