/** Two links over a real socket, and one that hears what no link would say. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { sentenceOf } from '../src/events/reasons.ts';
import { MESSAGE_BYTES } from '../src/limits.ts';
import { encodeFrame, type Frame } from '../src/wire/frame.ts';
import { LINK_GREETING, LINK_KEY_BYTES, Link, openLink } from '../src/wire/link.ts';
import { until } from './support/until.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

const key = Buffer.alloc(LINK_KEY_BYTES, 7);
const header = (step: number) =>
  ({ kind: 'gradient', job: 'j', step, shard: 0, attempt: 1, partition: 0, offset: 0 }) as const;

/** A listening socket, and what its first connection becomes. */
async function listen(): Promise<{ address: string; port: number; socket: Promise<Socket> }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const socket = once(server, 'connection').then(([socket]) => {
    closing.push(() => socket.destroy());
    return socket as Socket;
  });
  return { address: `127.0.0.1:${port}`, port, socket };
}

/** A link at the listening side; `frames` are copies, since a payload does not outlive its call. */
function receive(socket: Socket) {
  const frames: Frame[] = [];
  let ended = (_why: string) => {};
  const why = new Promise<string>((resolve) => {
    ended = resolve;
  });
  const link = new Link(socket, {
    onFrame: ({ header, payload }) => frames.push({ header, payload: Uint8Array.from(payload) }),
    onClose: (reason) => ended(sentenceOf(reason)),
  });
  return { link, frames, why };
}

describe('Link', () => {
  it('opens with its greeting and key, and carries frames of any size in order', async () => {
    const { address, socket } = await listen();
    const sizes = [0, 1, 100, 70_000, 1 << 20, 3];
    const closed: string[] = [];
    const link = openLink(address, key, {
      onFrame: () => {},
      onClose: (why) => closed.push(sentenceOf(why)),
    });
    closing.push(() => link.close());
    link.send(...sizes.map((size, step) => encodeFrame(header(step), new Uint8Array(size).fill(step))));
    const accepted = await socket;
    const greeting = Buffer.alloc(LINK_GREETING.length + LINK_KEY_BYTES);
    await until(() => accepted.readableLength >= greeting.length || accepted.read(0) !== null);
    (accepted.read(greeting.length) as Buffer).copy(greeting);
    expect(greeting.toString('latin1', 0, LINK_GREETING.length)).toBe(LINK_GREETING);
    expect(greeting.subarray(LINK_GREETING.length)).toEqual(key);
    const { link: other, frames } = receive(accepted);
    await until(() => frames.length === sizes.length);
    expect(frames.map((frame) => frame.header)).toEqual(sizes.map((_, step) => header(step)));
    expect(frames.map((frame) => frame.payload.length)).toEqual(sizes);
    for (const [step, { payload }] of frames.entries()) expect(payload.every((v) => v === step)).toBe(true);
    other.close();
    await until(() => closed.length === 1);
    expect(closed).toEqual(['data link lost']);
  });

  it('puts frames together from pieces cut anywhere', async () => {
    const stream = Buffer.concat(
      [3, 0, 700].map((size, step) => encodeFrame(header(step), Buffer.alloc(size, 9))),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(stream.length), { maxLength: 6 }), async (cuts) => {
        const { port, socket } = await listen();
        const out = connect(port, '127.0.0.1').setNoDelay(true);
        closing.push(() => out.destroy());
        const { frames } = receive(await socket);
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        for (const [index, end] of places.slice(1).entries()) {
          out.write(stream.subarray(places[index], end));
          await new Promise((resolve) => setImmediate(resolve));
        }
        await until(() => frames.length === 3);
        expect(frames.map(({ payload }) => payload.length)).toEqual([3, 0, 700]);
      }),
      { numRuns: 20 },
    );
  });

  const tooLarge = Buffer.from(encodeFrame(header(0), Buffer.alloc(8)));
  tooLarge.writeUInt32LE(MESSAGE_BYTES, 8);
  const damaged = Buffer.from(encodeFrame(header(0), Buffer.alloc(8)));
  damaged[damaged.length - 1]! ^= 1;
  it.each<[string, Buffer, RegExp]>([
    ['what is no frame', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /not a frame/],
    ['a frame above the limit, before its bytes come', tooLarge.subarray(0, 20), /at most 4194304/],
    ['a damaged frame', damaged, /damaged/],
  ])('ends, and says why, when it hears %s', async (_, bytes, expected) => {
    const { port, socket } = await listen();
    const out = connect(port, '127.0.0.1');
    closing.push(() => out.destroy());
    const { frames, why } = receive(await socket);
    out.write(bytes);
    expect(await why).toMatch(expected);
    expect(frames).toEqual([]);
  });

  it('says that it is full while the other end does not read, and when there is room again', async () => {
    const { address, socket } = await listen();
    let room = false;
    const link = openLink(address, key, {
      onFrame: () => {},
      onRoom: () => {
        room = true;
      },
      onClose: () => {},
    });
    closing.push(() => link.close());
    const accepted = await socket;
    accepted.pause();
    const frame = encodeFrame(header(0), Buffer.alloc(1 << 20));
    // The kernel takes the first few.
    for (let sent = 0; sent < 64 && !link.full; sent++) {
      room = false;
      link.send(frame);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(link.full).toBe(true);
    expect(room).toBe(false);
    accepted.resume();
    await until(() => room);
    expect(link.full).toBe(false);
  });
});
