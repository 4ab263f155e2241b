/**
 * The data link: a TCP connection beside a worker's gRPC stream, over which frames go both ways. It opens with
 *
 *     'KSL1'  the key that the coordinator's Welcome named, 32 bytes
 *
 * and is frames from there on (frame.ts). HTTP/2 would cut them into pieces of 16 KB and copy each three times.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { messageOf } from '../errors.ts';
import type { Reason } from '../events/reasons.ts';
import { MESSAGE_BYTES } from '../limits.ts';
import { type ClientTls, clientOptions, splitAddress } from '../security/tls.ts';
import { decodeFrame, FRAME_PREFIX_BYTES, type Frame, frameBytes } from './frame.ts';

export const LINK_GREETING = 'KSL1';
export const LINK_KEY_BYTES = 32;

export interface LinkOptions {
  /** The payload is a view that holds until the call returns. What it throws closes the link. */
  readonly onFrame: (frame: Frame) => void;
  /** There is room again after `send` found none. */
  readonly onRoom?: () => void;
  /** Called once; with the error where a frame, or what was done with it, threw. */
  readonly onClose: (why: Reason<'link-lost' | 'link-failed'>, error?: unknown) => void;
  /** Bytes of one frame that is taken. Default MESSAGE_BYTES. */
  readonly frameBytes?: number;
}

export class Link {
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  /** The frame that arrives: its prefix first, then all of it. Used again for the next. */
  #buffer: Buffer = Buffer.allocUnsafe(1 << 16);
  #received = 0;
  /** Bytes of the frame that arrives; 0 while its prefix is not there. */
  #expected = 0;
  #closed = false;

  /** @param socket after the greeting */
  constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#take(chunk);
      } catch (error) {
        this.#fail(error, error);
      }
    });
    socket.on('drain', () => options.onRoom?.());
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#end({ code: 'link-lost', args: {} }));
  }

  /** True while what was sent waits for the network. */
  get full(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** What has gone over the network. */
  get bytes(): { readonly bytesReceived: number; readonly bytesSent: number } {
    return { bytesReceived: this.#socket.bytesRead, bytesSent: this.#socket.bytesWritten };
  }

  /** The address of this end; undefined once it is closed. */
  get localAddress(): string | undefined {
    return this.#socket.localAddress;
  }

  /** Bytes that were sent and wait for the other end to read. */
  get unread(): number {
    return this.#socket.writableLength;
  }

  /** Sends encoded frames in this order. The bytes must not change until they have left. */
  send(...frames: readonly Buffer[]): void {
    this.sendAll(frames, () => undefined);
  }

  /** Sends encoded frames in this order. @param left called once they have left, or never will: the bytes may change */
  sendAll(frames: readonly Buffer[], left: () => void): void {
    if (this.#closed || frames.length === 0) {
      left();
      return;
    }
    this.#socket.cork();
    for (const [index, frame] of frames.entries())
      this.#socket.write(frame, index === frames.length - 1 ? left : undefined);
    this.#socket.uncork();
  }

  /** Safe to call more than once. */
  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  /** @param thrown where it was a frame, or what was done with it, that threw */
  #fail(error: unknown, thrown?: unknown): void {
    this.#end({ code: 'link-failed', args: { why: messageOf(error) } }, thrown);
  }

  #end(why: Reason<'link-lost' | 'link-failed'>, error?: unknown): void {
    if (this.#closed) return;
    this.close();
    this.#options.onClose(why, error);
  }

  #take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#closed; ) {
      const wanted = (this.#expected || FRAME_PREFIX_BYTES) - this.#received;
      const end = Math.min(chunk.length, at + wanted);
      chunk.copy(this.#buffer, this.#received, at, end);
      this.#received += end - at;
      at = end;
      if (this.#received < (this.#expected || FRAME_PREFIX_BYTES)) return;
      if (this.#expected === 0) {
        this.#expected = frameBytes(this.#buffer, this.#options.frameBytes ?? MESSAGE_BYTES);
        this.#grow();
        if (this.#received < this.#expected) continue;
      }
      const frame = decodeFrame(this.#buffer.subarray(0, this.#expected));
      this.#received = 0;
      this.#expected = 0;
      this.#options.onFrame(frame);
    }
  }

  #grow(): void {
    if (this.#expected <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(this.#expected);
    this.#buffer.copy(larger, 0, 0, this.#received);
    this.#buffer = larger;
  }
}

/** What a link opens with. */
export const greetingOf = (key: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(LINK_GREETING, 'latin1'), key]);

/** Opens a link to a coordinator. @param address host:port @param tls what its port expects */
export function openLink(address: string, key: Uint8Array, options: LinkOptions, tls?: ClientTls): Link {
  const to = splitAddress(address);
  const socket = tls ? connectTls({ ...to, ...clientOptions(tls, to.host) }) : connect(to);
  socket.write(greetingOf(key));
  return new Link(socket, options);
}
