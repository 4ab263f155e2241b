/**
 * Calls that are over before gRPC learns of them: HTTP/2 reports a new call a moment after reading it, and closes a connection that breaks
 * its rules at once. grpc-node answers some calls itself (no gRPC content type, no such method) without checking whether they are still
 * there. That throws where nobody catches it: one connection of a stranger would end the process.
 */
import type { ServerHttp2Stream } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

type Handler = (interceptors: unknown, stream: ServerHttp2Stream, headers: unknown) => void;

/** The methods, of which grpc-node uses one, that are called for each new call. They are not part of its API. */
const HANDLERS = ['_streamHandler', '_channelzHandler'] as const;

/** Call before the server takes connections. @throws Error if this version of grpc-node learns of calls in another way */
export function ignoreGoneStreams(server: Server): void {
  const handlers = server as unknown as Record<(typeof HANDLERS)[number], Handler | undefined>;
  for (const name of HANDLERS) {
    const handle = handlers[name];
    if (!handle) throw new Error(`grpc-node has no ${name}: see gone-streams.ts`);
    handlers[name] = function (this: Server, interceptors, stream, headers) {
      // The error that ended its connection has yet to be emitted.
      if (stream.destroyed || stream.closed) stream.on('error', () => {});
      else handle.call(this, interceptors, stream, headers);
    };
  }
}
