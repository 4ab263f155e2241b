/**
 * One port for gRPC and for the workers' data links: the first bytes of a connection tell which it is. With TLS both are inside it:
 * it ends here, once, in front of both.
 */
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { CONNECTIONS, GREETING_MS } from '../limits.ts';
import { isOwn, type ServerTls, serverOptions } from '../security/tls.ts';
import { LINK_GREETING, LINK_KEY_BYTES } from '../wire/link.ts';
import { bareHost } from './address.ts';
import { guestServer } from './guest-server.ts';
import { addressOf, Guests } from './guests.ts';
import { cannotListen } from './listening.ts';
import { connectionsWithin, openFilesLimit } from './open-files.ts';

export interface Routes {
  /** Takes a connection whose first bytes are still to be read. */
  readonly grpc: (socket: Socket) => void;
  /** Takes a connection after its greeting. */
  readonly link: (socket: Socket, key: Buffer) => void;
}

export interface ListenOnOptions {
  /** Everything is inside TLS. Default: nothing is. */
  readonly tls?: ServerTls | undefined;
  /** Counts the connections. Default: by the limits. */
  readonly guests?: Guests;
  /** Hears of connections that came to nothing: from where, and why. */
  readonly onRefused?: (peer: string, why: string) => void;
  /** How many files this process may open. Default: as the system says. */
  readonly openFiles?: number | undefined;
}

export interface Listener {
  /** What was asked for, or what the system gave for 0. */
  readonly port: number;
  /** Takes no more connections, and drops those whose first bytes are still to come: nobody would serve them. */
  close(): void;
}

/** A TLS record that opens a handshake: ContentType 22, then the version (RFC 8446, 5.1). */
const HANDSHAKE = 22;

/** @throws KasaneError CANNOT_LISTEN */
export async function listenOn(
  host: string,
  port: number,
  routes: Routes,
  options: ListenOnOptions = {},
): Promise<Listener> {
  const { tls, onRefused = () => {}, guests = new Guests({ onRefused }) } = options;
  /** Connections that no route has taken over yet; undefined once this is closed. */
  let greeting: Set<Socket> | undefined = new Set();
  const greet = (socket: Socket) => {
    if (!greeting) {
      socket.destroy();
      return;
    }
    greeting.add(socket);
    const taken = () => void greeting?.delete(socket);
    socket.once('close', taken);
    route(socket, routes, taken, onRefused);
  };
  const secure = tls && createTlsServer({ ...serverOptions(tls), handshakeTimeout: GREETING_MS });
  const server = guestServer(guests, greet, secure);
  secure?.on('secureConnection', (socket: TLSSocket) => {
    const peer = addressOf(socket);
    socket.on('error', () => socket.destroy());
    if (tls?.ca && !socket.authorized && !isOwn(socket, tls)) {
      onRefused(peer, whyNot(socket));
      socket.destroy();
      return;
    }
    greet(socket);
  });
  secure?.on('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => {
    // Whoever leaves in the middle of a handshake, such as a port scanner, did not come for us.
    if (error.code !== 'ECONNRESET') onRefused(addressOf(socket), describe(error));
    socket.destroy();
  });
  const { openFiles = openFilesLimit() } = options;
  const most = Math.min(CONNECTIONS, openFiles === undefined ? CONNECTIONS : connectionsWithin(openFiles));
  guests.within(most);
  server.maxConnections = most;
  const limit =
    most < CONNECTIONS ? `the most with ${openFiles} open files (ulimit -n)` : 'which is the limit';
  server.on('drop', (dropped) =>
    onRefused(dropped?.remoteAddress ?? 'unknown', `${most} connections are open, ${limit}`),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(cannotListen(host, port, error, { host: '--host', port: '--port' })),
    );
    server.listen(port, bareHost(host), resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of greeting ?? []) socket.destroy();
      greeting = undefined;
    },
  };
}

/** Why a client that should have shown a certificate is not let in. */
function whyNot(socket: TLSSocket): string {
  const code = String(socket.authorizationError);
  if (Object.keys(socket.getPeerCertificate()).length === 0) return 'it sent no client certificate';
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired';
  return `its certificate is not accepted (${code})`;
}

/** What OpenSSL says of a handshake that failed, for people. */
function describe({ code = '', message }: Error & { code?: string }): string {
  const plain = code === 'ERR_SSL_HTTP_REQUEST' || code === 'ERR_SSL_WRONG_VERSION_NUMBER';
  if (plain) return 'it does not use TLS, but this port does';
  const [, reason = message] = /:([a-z0-9 ]+):[^:]*$/i.exec(message) ?? [];
  return `the TLS handshake failed (${reason.trim() || code})`;
}

/** @param onTaken is called before a route gets the socket */
function route(
  socket: Socket,
  { grpc, link }: Routes,
  onTaken: () => void,
  onRefused: (peer: string, why: string) => void,
): void {
  const drop = () => socket.destroy();
  const late = setTimeout(drop, GREETING_MS);
  socket.once('close', () => clearTimeout(late));
  let isLink = false;
  const look = () => {
    if (!isLink) {
      const first = socket.read(LINK_GREETING.length) as Buffer | null;
      if (!first) return;
      if (first[0] === HANDSHAKE) {
        onRefused(addressOf(socket), 'it uses TLS, but this port does not');
        drop();
        return;
      }
      isLink = first.toString('latin1') === LINK_GREETING;
      if (!isLink) {
        pass();
        socket.unshift(first);
        grpc(socket);
        return;
      }
    }
    const key = socket.read(LINK_KEY_BYTES) as Buffer | null;
    if (!key) return;
    pass();
    link(socket, key);
  };
  const pass = () => {
    onTaken();
    clearTimeout(late);
    socket.off('readable', look);
  };
  socket.on('readable', look);
}
