/**
 * Calls that are over before gRPC sees them: HTTP/2 reports a new call a moment after reading it, and closes a connection that violates
 * the protocol at once. grpc-node answers some calls itself (wrong content type, unknown method) without checking whether they are still
 * open, and throws where nothing catches it: a single connection from a stranger could end the process.
 */
import type { ServerHttp2Stream } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

type Handler = (interceptors: unknown, stream: ServerHttp2Stream, headers: unknown) => void;

/** grpc-node's handlers for new calls, one of which it uses. They are not part of its API. */
const HANDLERS = ['_streamHandler', '_channelzHandler'] as const;

/** Call before the server accepts connections. @throws Error if this version of grpc-node handles new calls differently */
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
