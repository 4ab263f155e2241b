/**
 * Bounds the connections of a page's server. Each takes an open file of the process, of which checkpoints, workers and Redis need theirs.
 * Beyond the limit the one is closed that has waited longest without a request: whoever only holds connections shuts nobody out.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PAGE_CONNECTIONS } from '../limits.ts';
import { peerOf } from './guests.ts';

/** @param server with or without TLS, before it listens */
export function boundConnections(server: Server): void {
  /** Without a request that is being answered, longest first. By their peers: with TLS, a request has another socket. */
  const idle = new Map<string, Socket>();
  let open = 0;
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    open++;
    idle.set(peer, socket);
    socket.once('close', () => {
      open--;
      if (idle.get(peer) === socket) idle.delete(peer);
    });
    if (open <= PAGE_CONNECTIONS) return;
    const [oldest = socket] = idle.values();
    oldest.destroy();
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const peer = peerOf(socket);
    const held = idle.get(peer);
    if (!held) return;
    idle.delete(peer);
    response.once('close', () => {
      if (!held.destroyed) idle.set(peer, held);
    });
  });
}
