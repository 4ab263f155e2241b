/**
 * Calls that are over before gRPC hears of them: HTTP/2 tells of a new call a moment after it has read it, and a connection that breaks its
 * rules is closed at once. grpc-node answers some such calls itself (no gRPC content type, no such method) without a look whether they are
 * still there. That throws where nobody catches it: one connection of a stranger would end the process.
 */
import type { ServerHttp2Stream } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

type Handler = (interceptors: unknown, stream: ServerHttp2Stream, headers: unknown) => void;

/** What grpc-node hears of new calls with, one of the two. They are no part of its API. */
const HANDLERS = ['_streamHandler', '_channelzHandler'] as const;

/** Call before the server takes connections. @throws Error where this version of grpc-node hears of calls in another way */
export function ignoreGoneStreams(server: Server): void {
  const handlers = server as unknown as Record<(typeof HANDLERS)[number], Handler | undefined>;
  for (const name of HANDLERS) {
    const handle = handlers[name];
    if (!handle) throw new Error(`grpc-node has no ${name}: see gone-streams.ts`);
    handlers[name] = function (this: Server, interceptors, stream, headers) {
      // The error that its connection ended with has yet to be heard.
      if (stream.destroyed || stream.closed) stream.on('error', () => {});
      else handle.call(this, interceptors, stream, headers);
    };
  }
}
