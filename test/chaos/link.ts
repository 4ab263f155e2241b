/** A TCP link that can be made slow, lossy, or be cut: nothing is accepted or forwarded, and no socket says so. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Random } from './random.ts';

/** What TCP waits, about, before it sends again what was lost, in milliseconds. */
const RETRANSMIT_MS = 200;

export interface Weather {
  /** Added to each piece of data, in milliseconds, in each direction. */
  readonly latencyMs: number;
  /** Part of the pieces that are lost at first: those behind wait for them, as TCP has it. */
  readonly loss: number;
  /** Each direction carries no more. Default: no limit. */
  readonly bytesPerSecond?: number;
}

const CALM: Weather = { latencyMs: 0, loss: 0 };
/** What a slow link holds, in bytes: who sends more waits. */
const HELD_BYTES = 1 << 16;

export class Link {
  readonly #server: Server;
  readonly #target: number;
  readonly #random: Random;
  readonly #pipes = new Set<Pipe>();
  /** Connections that came while the link was cut. */
  #held: Socket[] = [];
  #isCut = false;
  weather = CALM;

  /** Opens one on a free port of loopback, to `target`, another port of loopback. */
  static async open(target: number, random: Random): Promise<Link> {
    const server = createServer({ noDelay: true, pauseOnConnect: true });
    const proxy = new Link(server, target, random);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  private constructor(server: Server, target: number, random: Random) {
    this.#server = server;
    this.#target = target;
    this.#random = random;
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      if (this.#isCut) this.#held.push(socket);
      else this.#join(socket);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Connections, and those that wait because the link is cut. */
  get connections(): number {
    return this.#pipes.size / 2 + this.#held.length;
  }

  cut(): void {
    this.#isCut = true;
    for (const pipe of this.#pipes) pipe.stop();
  }

  /** Ends what `cut` and `weather` began. */
  heal(): void {
    this.weather = CALM;
    this.#isCut = false;
    for (const pipe of [...this.#pipes]) pipe.go();
    for (const socket of this.#held.splice(0)) this.#join(socket);
  }

  close(): void {
    this.#server.close();
    for (const pipe of [...this.#pipes]) pipe.destroy();
    for (const socket of this.#held.splice(0)) socket.destroy();
  }

  #join(socket: Socket): void {
    if (socket.destroyed) return;
    const upstream = connect({ host: '127.0.0.1', port: this.#target, noDelay: true });
    const delay = () => {
      const { latencyMs, loss } = this.weather;
      return latencyMs + (loss > 0 && this.#random() < loss ? RETRANSMIT_MS : 0);
    };
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      const rate = () => this.weather.bytesPerSecond ?? Number.POSITIVE_INFINITY;
      const pipe: Pipe = new Pipe(from, to, { delay, rate }, () => this.#pipes.delete(pipe));
      this.#pipes.add(pipe);
    }
  }
}

/** One direction of a connection. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #path: { readonly delay: () => number; readonly rate: () => number };
  readonly #onEnd: () => void;
  /** What arrived and is not sent on yet; null: the end. */
  #queue: { readonly due: number; readonly data: Buffer | null }[] = [];
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** When the last piece has gone onto a link of a limited rate. */
  #sentAt = 0;
  #queued = 0;

  constructor(
    from: Socket,
    to: Socket,
    path: { readonly delay: () => number; readonly rate: () => number },
    onEnd: () => void,
  ) {
    this.#from = from;
    this.#to = to;
    this.#path = path;
    this.#onEnd = onEnd;
    from.on('data', (data: Buffer) => this.#take(data));
    from.on('error', () => {});
    from.on('close', () => this.#take(null));
    to.on('drain', () => this.#stopped || from.resume());
    from.resume();
  }

  stop(): void {
    this.#stopped = true;
    this.#from.pause();
    clearTimeout(this.#timer);
  }

  go(): void {
    this.#stopped = false;
    this.#from.resume();
    this.#send();
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.#from.destroy();
    this.#to.destroy();
    this.#onEnd();
  }

  #take(data: Buffer | null): void {
    const now = performance.now();
    const bytes = data?.length ?? 0;
    this.#sentAt = Math.max(now, this.#sentAt) + (1000 * bytes) / this.#path.rate();
    const due = Math.max(this.#sentAt + this.#path.delay(), this.#queue.at(-1)?.due ?? 0);
    this.#queue.push({ due, data });
    this.#queued += bytes;
    if (this.#queued > HELD_BYTES && this.#path.rate() < Number.POSITIVE_INFINITY) this.#from.pause();
    if (!this.#stopped) this.#send();
  }

  #send(): void {
    clearTimeout(this.#timer);
    while (this.#queue.length > 0 && this.#queue[0]!.due <= performance.now()) {
      const { data } = this.#queue.shift()!;
      if (data === null) {
        this.destroy();
        return;
      }
      this.#queued -= data.length;
      const takes = this.#to.destroyed || this.#to.write(data);
      if (!takes) this.#from.pause();
      else if (this.#queued <= HELD_BYTES && !this.#stopped) this.#from.resume();
    }
    const [next] = this.#queue;
    if (next) this.#timer = setTimeout(() => this.#send(), Math.max(0, next.due - performance.now()));
  }
}
