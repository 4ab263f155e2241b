/** Links between workers: whoever has the key is let in, with TLS and without; nobody else is. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { encodeFrame } from '../src/wire/frame.ts';
import { Link } from '../src/wire/link.ts';
import { dialPeer, listenForPeers } from '../src/wire/peer-link.ts';

const closers: (() => void)[] = [];
afterAll(() => {
  for (const close of closers) close();
});

describe.each([false, true])('TLS: %s', (tls) => {
  /** A listener that expects a key, and sends back each frame. */
  async function listening() {
    const key = randomBytes(32);
    const shown: string[] = [];
    const server = await listenForPeers({
      ...{ host: '127.0.0.1', tls, keys: () => [key] },
      onPeer: (socket, of) => {
        shown.push(of.toString('hex'));
        if (!of.equals(key)) return void socket.destroy();
        const link: Link = new Link(socket, {
          onFrame: ({ header, payload }) => link.send(encodeFrame(header, payload)),
          onClose: () => {},
        });
        closers.push(() => link.close());
      },
    });
    closers.push(() => server.close());
    const { port } = server.address() as { port: number };
    return { key, shown, address: `127.0.0.1:${port}`, port };
  }
  const opened = (socket: Socket) => {
    const answers: number[] = [];
    const onClose = vi.fn();
    const link = new Link(socket, { onFrame: ({ payload }) => answers.push(payload.length), onClose });
    closers.push(() => link.close());
    link.send(encodeFrame({ kind: 'probe', answer: false }, new Uint8Array(70_000)));
    return { answers, onClose };
  };

  it('carries frames both ways for whoever has the key', async () => {
    const { key, address } = await listening();
    const { answers } = opened(dialPeer(address, key, tls));
    await vi.waitFor(() => expect(answers).toEqual([70_000]), { timeout: 10_000 });
  });

  it('is closed to another key', async () => {
    const { address, key, shown } = await listening();
    const { answers, onClose } = opened(dialPeer(address, randomBytes(32), tls));
    await vi.waitFor(() => expect(onClose).toHaveBeenCalled(), { timeout: 10_000 });
    expect(answers).toEqual([]);
    expect(shown).not.toContain(key.toString('hex'));
  });

  it('survives strangers', async () => {
    const { address, key, port } = await listening();
    for (const text of ['GET / HTTP/1.1\r\n\r\n'.padEnd(64), '\u0016\u0003\u0001'.padEnd(64), '']) {
      const stranger = connect(port, '127.0.0.1');
      stranger.on('error', () => {});
      await once(stranger, 'connect');
      stranger.end(text);
    }
    const { answers } = opened(dialPeer(address, key, tls));
    await vi.waitFor(() => expect(answers).toEqual([70_000]), { timeout: 10_000 });
  });

  it('is reached beside many that are silent, of which few stay', async () => {
    const { address, key, port } = await listening();
    const open = new Set<Socket>();
    for (let count = 0; count < 100; count++) {
      const stranger = connect(port, '127.0.0.1');
      stranger.on('error', () => {});
      stranger.once('close', () => open.delete(stranger));
      closers.push(() => stranger.destroy());
      await once(stranger, 'connect');
      open.add(stranger);
    }
    const { answers } = opened(dialPeer(address, key, tls));
    await vi.waitFor(() => expect(answers).toEqual([70_000]), { timeout: 10_000 });
    await vi.waitFor(() => expect(open.size).toBeLessThanOrEqual(16), { timeout: 10_000 });
  });
});
