/** A server whose connections are counted before anything of them is read, before a TLS handshake too: that is where strangers stay. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { Guests } from './guests.ts';

/**
 * Does not listen yet. Its guests are forgotten when it closes.
 * @param secure takes a connection in the place of `greet`, and hands on what is inside it
 */
export function guestServer(
  guests: Guests,
  greet: (socket: Socket) => void,
  secure: TlsServer | undefined,
): Server {
  const server = createServer({ noDelay: true }, (socket) => {
    // Until somebody takes it over; its end is all that an error would say.
    socket.on('error', () => socket.destroy());
    if (!guests.add(socket)) return;
    if (secure) secure.emit('connection', socket);
    else greet(socket);
  });
  return server.once('close', () => guests.close());
}
