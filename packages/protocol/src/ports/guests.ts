/**
 * The connections of a port: how many there are of an address, and of those that have not shown yet that they belong here. Such are few,
 * end when they do nothing, and make room for newer ones, so that strangers cannot shut out who would show a token with the first call.
 */
import type { Socket } from 'node:net';
import { defaultLimits, UNKNOWN_CONNECTIONS, UNKNOWN_MS, UNKNOWN_PER_CLIENT } from '../limits.ts';

export interface GuestsOptions {
  /** Connections of one address at once. */
  readonly perClient: number;
  /** Of those, and of all, that are not known. */
  readonly unknownPerClient: number;
  readonly unknown: number;
  /** One that is not known and does nothing for so long is closed, in milliseconds. */
  readonly unknownMs: number;
  /** Hears of connections that were closed: from where, and why. */
  readonly onRefused: (peer: string, why: string) => void;
}

interface Guest {
  readonly socket: Socket;
  readonly address: string;
  busyAt: number;
  /** Calls that go on. */
  calls: number;
}

export const defaultGuests: GuestsOptions = {
  perClient: defaultLimits.connectionsPerClient,
  unknownPerClient: UNKNOWN_PER_CLIENT,
  unknown: UNKNOWN_CONNECTIONS,
  unknownMs: UNKNOWN_MS,
  onRefused: () => {},
};

/** Names a connection, as gRPC does. */
export const peerOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;

export const addressOf = (socket: Socket): string => socket.remoteAddress ?? 'unknown';

export class Guests {
  #options: GuestsOptions;
  readonly #open = new Map<string, number>();
  /** Those that are not known, oldest first; and how many of an address. */
  readonly #unknown = new Map<string, Guest>();
  readonly #unknownOf = new Map<string, number>();
  readonly #watch: NodeJS.Timeout;

  constructor(options: Partial<GuestsOptions> = {}) {
    this.#options = { ...defaultGuests, ...options };
    this.#watch = setInterval(() => this.#look(), this.#options.unknownMs / 4);
    this.#watch.unref();
  }

  /** Half of the connections that there may be are kept for those who are known. */
  within(connections: number): void {
    const { unknown, unknownPerClient } = this.#options;
    const most = Math.floor(connections / 2);
    this.#options = {
      ...this.#options,
      unknown: Math.min(unknown, most),
      unknownPerClient: Math.min(unknownPerClient, most),
    };
  }

  /** A connection has come. @returns whether it may stay */
  add(socket: Socket): boolean {
    const address = addressOf(socket);
    const { perClient, unknownPerClient, unknown } = this.#options;
    if ((this.#open.get(address) ?? 0) >= perClient) {
      this.#refuse(
        socket,
        address,
        `${perClient} connections from this address are open, which is the limit`,
      );
      return false;
    }
    const peer = peerOf(socket);
    count(this.#open, address, 1);
    count(this.#unknownOf, address, 1);
    this.#unknown.set(peer, { socket, address, busyAt: performance.now(), calls: 0 });
    socket.once('close', () => {
      count(this.#open, address, -1);
      this.known(peer);
    });
    const newest = 'closed to make room for newer connections, since it has sent no token; the limit is';
    if (this.#unknownOf.get(address)! > unknownPerClient)
      this.#closeOldest(`${newest} ${unknownPerClient} from one address`, address);
    else if (this.#unknown.size > unknown) this.#closeOldest(`${newest} ${unknown}`);
    return true;
  }

  /** Whoever is behind the connection has shown that it belongs here. */
  known(peer: string): void {
    const guest = this.#unknown.get(peer);
    if (!guest) return;
    this.#unknown.delete(peer);
    count(this.#unknownOf, guest.address, -1);
  }

  /** A call has begun (1) or ended (-1) on a connection. */
  call(peer: string, change: 1 | -1): void {
    const guest = this.#unknown.get(peer);
    if (!guest) return;
    guest.calls += change;
    guest.busyAt = performance.now();
  }

  close(): void {
    clearInterval(this.#watch);
  }

  #look(): void {
    const { unknownMs } = this.#options;
    const late = performance.now() - unknownMs;
    for (const { socket, address, busyAt, calls } of [...this.#unknown.values()])
      if (calls <= 0 && busyAt < late)
        this.#refuse(socket, address, `it has sent no token and been idle for ${unknownMs / 1000} s`);
  }

  #closeOldest(why: string, address?: string): void {
    for (const guest of this.#unknown.values()) {
      if (address !== undefined && guest.address !== address) continue;
      this.#refuse(guest.socket, guest.address, why);
      return;
    }
  }

  #refuse(socket: Socket, address: string, why: string): void {
    this.#options.onRefused(address, why);
    this.known(peerOf(socket));
    socket.destroy();
  }
}

function count(counts: Map<string, number>, key: string, change: number): void {
  const now = (counts.get(key) ?? 0) + change;
  if (now > 0) counts.set(key, now);
  else counts.delete(key);
}
