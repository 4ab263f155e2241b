/**
 * Links between workers (link.ts), opened by the key that the coordinator gave both ends. Where the coordinator speaks TLS these do too: by
 * the key, which nobody else has, so that no certificate is needed (RFC 5489, ECDHE_PSK).
 */
import { createHash } from 'node:crypto';
import { connect, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { GREETING_MS } from '../limits.ts';
import { guestServer } from '../ports/guest-server.ts';
import { Guests, peerOf } from '../ports/guests.ts';
import { splitAddress } from '../security/tls.ts';
import { greetingOf, LINK_GREETING, LINK_KEY_BYTES } from './link.ts';

/**
 * Connections of whoever has not shown a key yet, at once, and of one address; of all of one address, on which many workers may run. A
 * stranger cannot shut peers out: the oldest goes for the newest.
 */
const UNKNOWN = 64;
const UNKNOWN_OF_ADDRESS = 16;
const OF_ADDRESS = 256;

const CIPHERS: TlsOptions = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
};

/** What tells a key apart without saying it. */
const identityOf = (key: Uint8Array) => createHash('sha256').update(key).digest('hex').slice(0, 32);

export interface PeerServerOptions {
  readonly host: string;
  readonly tls: boolean;
  /** The keys that are expected now. */
  readonly keys: () => Iterable<Uint8Array>;
  /** Somebody has shown this key. */
  readonly onPeer: (socket: Socket, key: Buffer) => void;
}

/** Listens for other workers, on a port that the system chooses. Resolves with it. Rejects when it cannot listen there. */
export async function listenForPeers({ host, tls, keys, onPeer }: PeerServerOptions): Promise<Server> {
  const guests = new Guests({
    perClient: OF_ADDRESS,
    unknownPerClient: UNKNOWN_OF_ADDRESS,
    unknown: UNKNOWN,
    unknownMs: GREETING_MS,
  });
  const greet = (socket: Socket) => {
    const length = LINK_GREETING.length + LINK_KEY_BYTES;
    const read = () => {
      const greeting = socket.read(length) as Buffer | null;
      if (!greeting) return;
      socket.off('readable', read);
      if (greeting.toString('latin1', 0, LINK_GREETING.length) !== LINK_GREETING)
        return void socket.destroy();
      guests.known(peerOf(socket));
      onPeer(socket, greeting.subarray(LINK_GREETING.length));
    };
    socket.on('error', () => {}); // its end follows
    socket.on('readable', read);
  };
  const keyOf = (identity: string) => [...keys()].find((key) => identityOf(key) === identity);
  const pskCallback = (_: unknown, identity: string) => keyOf(identity) ?? null;
  const secure = tls
    ? createTlsServer({ ...CIPHERS, handshakeTimeout: GREETING_MS, pskCallback }, greet)
    : undefined;
  const server = guestServer(guests, greet, secure);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  server.on('error', () => {}); // one connection's
  secure?.on('tlsClientError', (_, socket) => socket.destroy()); // a stranger
  return server;
}

/** Dials another worker and shows it the key. Frames may be sent at once. @param address HOST:PORT */
export function dialPeer(address: string, key: Uint8Array, tls: boolean): Socket {
  const to = splitAddress(address);
  const psk = Buffer.from(key);
  const socket = tls
    ? connectTls({
        ...{ ...to, ...CIPHERS },
        pskCallback: () => ({ psk, identity: identityOf(key) }),
        // Whoever has the key is the peer.
        checkServerIdentity: () => undefined,
      })
    : connect(to);
  socket.write(greetingOf(key));
  return socket;
}
