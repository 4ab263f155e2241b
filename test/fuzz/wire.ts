/** Sends bytes over real connections: as the body of a gRPC call, over a worker's data link, or as they are. */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
} from 'node:http2';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, errorCodes } from '@kasane/protocol/errors';
import { ConnectRequest, ConnectResponse, TrainingService } from '@kasane/protocol/gen/kasane/v1/training';
import { encodeFrame } from '@kasane/protocol/internal/wire/frame';
import { LINK_GREETING } from '@kasane/protocol/internal/wire/link';
import { RedisWriter } from '../support/redis-proof.ts';
import { hello } from './requests.ts';

/** How a call ended. */
export interface Answer {
  /** grpc-status; -1 where the call ended without one. */
  readonly status: number;
  /** kasane-error; empty without one. */
  readonly error: string;
  /** grpc-message, decoded. */
  readonly message: string;
}

/** What is wrong with how a call ended; empty when nothing is. */
export function untyped({ status, error, message }: Answer, foreign: boolean): string {
  if (status === 0 || (foreign && status > 0)) return '';
  if (status < 0) return `no status: ${message}`;
  if (!Object.hasOwn(errorCodes, error)) return `status ${status} without a code of ours: ${message}`;
  if (errorCodes[error as ErrorCode].grpc !== status) return `${error} with status ${status}`;
  return message.length > 10 ? '' : `no message but '${message}'`;
}

/** Calls over one session: HTTP/2 servers break one that cancels a thousand streams in short time (CVE-2023-44487). */
const CALLS_PER_SESSION = 400;
/** What takes longer hangs. */
const HANGS_MS = 30_000;
/** Length-prefixed as gRPC has it: not compressed, four bytes of length. */
export function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Rejects where it takes so long that it must be called a hang. */
async function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no end in ${HANGS_MS} ms`)), HANGS_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Closes once it was left and all of its calls have ended: `close` alone refuses those that have not begun. */
class Session {
  readonly http2: ClientHttp2Session;
  #calls = 0;
  #open = 0;
  #left = false;

  constructor(address: string) {
    this.http2 = connectHttp2(`http://${address}`);
    this.http2.on('error', () => {}); // its streams tell
  }

  get usable(): boolean {
    return this.#calls < CALLS_PER_SESSION && !this.http2.closed && !this.http2.destroyed;
  }

  request(path: string): ClientHttp2Stream {
    this.#calls++;
    this.#open++;
    const stream = this.http2.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('close', () => {
      this.#open--;
      if (this.#left) this.leave();
    });
    return stream;
  }

  leave(): void {
    this.#left = true;
    if (this.#open === 0) this.http2.close();
  }
}

/** Calls methods of a gRPC server, many at once. */
export class Caller {
  readonly #address: string;
  #session: Session | undefined;

  constructor(address: string) {
    this.#address = address;
  }

  /** @param untilFirst a first message is answer enough: the call is given up then */
  call(path: string, body: Buffer, untilFirst: boolean): Promise<Answer> {
    if (!this.#session?.usable) {
      this.#session?.leave();
      this.#session = new Session(this.#address);
    }
    const stream = this.#session.request(path);
    const answered = new Promise<Answer>((resolve) => {
      let ended: Answer = { status: -1, error: '', message: 'the stream broke' };
      const read = (headers: Record<string, unknown>) => {
        if (headers['grpc-status'] === undefined) return;
        ended = {
          status: Number(headers['grpc-status']),
          error: String(headers['kasane-error'] ?? ''),
          message: decodeURIComponent(String(headers['grpc-message'] ?? '')),
        };
      };
      stream.on('response', read);
      stream.on('trailers', read);
      stream.on('error', (error) => {
        if (ended.status === -1) ended = { ...ended, message: error.message };
      });
      stream.on('data', () => {
        if (!untilFirst || ended.status >= 0) return;
        ended = { status: 0, error: '', message: '' };
        stream.close(constants.NGHTTP2_CANCEL);
      });
      stream.on('close', () => resolve(ended));
      stream.end(body);
    });
    return soon(path, answered);
  }

  close(): void {
    this.#session?.http2.destroy();
  }
}

let workers = 0;
let writer: RedisWriter | undefined;

/** The first two messages of the coordinator: the welcome, and what it asks for. */
function firstTwo(stream: ClientHttp2Stream): Promise<ConnectResponse['message'][]> {
  const found: ConnectResponse['message'][] = [];
  let bytes = Buffer.alloc(0);
  return new Promise((resolve) => {
    stream.on('end', () => resolve(found));
    stream.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      while (found.length < 2 && bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
        const end = 5 + bytes.readUInt32BE(1);
        found.push(ConnectResponse.decode(bytes.subarray(5, end)).message);
        bytes = bytes.subarray(end);
      }
      if (found.length === 2) resolve(found);
    });
  });
}

/**
 * A worker that says hello, opens its data link, sends these bytes over it and leaves. Resolves once the coordinator has ended
 * its stream.
 */
export async function overLink(address: string, bytes: Buffer): Promise<void> {
  const session = new Session(address);
  try {
    const { path, requestSerialize } = TrainingService.connect;
    const stream = session.request(path);
    stream.on('error', () => {});
    stream.write(framed(requestSerialize(hello(`fuzz-${workers++}`))));
    const [welcome, asked] = await soon('a welcome', firstTwo(stream));
    if (welcome?.$case !== 'welcome' || !asked) throw new Error('no welcome came');
    const [host, port] = address.split(':');
    const socket = connect(Number(port), host);
    socket.on('error', () => {});
    const opened = once(socket, 'data');
    const ended = new Promise((resolve) => stream.on('end', resolve).on('close', resolve));
    socket.write(Buffer.concat([Buffer.from(LINK_GREETING), welcome.value.linkKey]));
    writer ??= new RedisWriter(welcome.value.redisUrl);
    await writer.answer(asked, (message) => {
      const said = ConnectRequest.encode({ messages: [{ message }] }).finish();
      socket.write(encodeFrame({ kind: 'messages' }, said));
    });
    // It takes part once it hears of a job that runs; where none does, a moment later.
    await Promise.race([opened, sleep(200)]);
    socket.resume();
    socket.end(bytes);
    await soon('the end of a stream whose link has ended', ended);
  } finally {
    session.http2.destroy();
  }
}

/** Sends bytes as they are and ends; resolves with what came back before the other end closed, or as soon as `enough` is in it. */
export async function overSocket(address: string, bytes: Buffer, enough?: RegExp): Promise<string> {
  const { hostname, port } = new URL(address.includes('://') ? address : `tcp://${address}`);
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.on('error', () => {});
  try {
    const closed = new Promise<void>((resolve) => {
      socket.on('data', (data: Buffer) => {
        received += data.toString('latin1');
        if (enough?.test(received)) resolve();
      });
      socket.on('close', () => resolve());
    });
    socket.end(bytes);
    await soon('the end of a connection that was ended', closed);
    return received;
  } finally {
    socket.destroy();
  }
}
