/** What a peer may ask of a worker over their link. */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { WorkerMessage } from '@kasane/protocol/gen/kasane/v1/training';
import { encodeFrame } from '@kasane/protocol/internal/wire/frame';
import { Link } from '@kasane/protocol/internal/wire/link';
import { dialPeer, listenForPeers } from '@kasane/protocol/internal/wire/peer-link';
import { pino } from 'pino';
import { expect, it, vi } from 'vitest';
import { PeerLinks } from '../src/peers/peer-links.ts';

it('answers few probes of one link, and closes it to whoever asks for more', async () => {
  const said: NonNullable<WorkerMessage['message']>[] = [];
  const links = new PeerLinks({
    ...{ tls: false, log: pino({ level: 'silent' }) },
    say: (message) => said.push(message),
    onFrame: () => {},
  });
  await links.listen('127.0.0.1');
  const [opened] = said;
  if (opened?.$case !== 'peersOpened') throw new Error('it does not listen');
  const { address } = opened.value;
  const key = randomBytes(32);
  links.connect([{ worker: 'b', address: '', key, dials: false }]);
  let answers = 0;
  const onClose = vi.fn();
  const link = new Link(dialPeer(address, key, false), { onFrame: () => answers++, onClose });
  const probe = encodeFrame({ kind: 'probe', answer: false }, new Uint8Array(1000));
  for (let count = 0; count < 3; count++) link.send(probe);
  await vi.waitFor(() => expect(answers).toBe(3));
  for (let count = 0; count < 100; count++) link.send(probe);
  await vi.waitFor(() => expect(onClose).toHaveBeenCalled());
  expect(answers).toBeLessThan(20);
  await vi.waitFor(() =>
    expect(said.at(-1)).toMatchObject({
      $case: 'peerReach',
      value: { worker: 'b', able: false, why: expect.stringContaining('more than 12 probes') },
    }),
  );
  links.close();
});

it('closes a link over which answers come that were not asked for, and tells the coordinator once', async () => {
  const said: NonNullable<WorkerMessage['message']>[] = [];
  const key = randomBytes(32);
  const answerOf = (payload: Uint8Array) => encodeFrame({ kind: 'probe', answer: true }, payload);
  const server = await listenForPeers({
    ...{ host: '127.0.0.1', tls: false, keys: () => [key] },
    onPeer: (socket) => {
      let probes = 0;
      const link = new Link(socket, {
        onFrame: ({ header, payload }) => {
          if (header.kind !== 'probe') return;
          link.send(answerOf(payload));
          if (++probes === 6)
            for (let count = 0; count < 500; count++) link.send(answerOf(new Uint8Array(0)));
        },
        onClose: () => {},
      });
    },
  });
  const { port } = server.address() as AddressInfo;
  const links = new PeerLinks({
    ...{ tls: false, log: pino({ level: 'silent' }) },
    say: (message) => said.push(message),
    onFrame: () => {},
  });
  links.connect([{ worker: 'b', address: `127.0.0.1:${port}`, key, dials: true }]);
  await vi.waitFor(() =>
    expect(said.map(({ value }) => value)).toMatchObject([
      { worker: 'b', able: true },
      { worker: 'b', able: false, why: expect.stringContaining('not sent') },
    ]),
  );
  links.close();
  server.close();
});

it('probes a slow link with little, and has little under way over it', async () => {
  const said: NonNullable<WorkerMessage['message']>[] = [];
  const key = randomBytes(32);
  const frames: string[] = [];
  let other: Link | undefined;
  const server = await listenForPeers({
    ...{ host: '127.0.0.1', tls: false, keys: () => [key] },
    onPeer: (socket) => {
      const link = new Link(socket, {
        onFrame: ({ header, payload }) => {
          frames.push(`${header.kind} ${'window' in header ? header.window : payload.length}`);
          const answer = encodeFrame({ kind: 'probe', answer: true }, payload);
          if (header.kind === 'probe') setTimeout(() => link.send(answer), 200);
        },
        onClose: () => {},
      });
      other = link;
    },
  });
  const { port } = server.address() as AddressInfo;
  const taken: string[] = [];
  const links = new PeerLinks({
    ...{ tls: false, log: pino({ level: 'silent' }) },
    say: (message) => said.push(message),
    onFrame: ({ header }, from) => taken.push(`${header.kind} of ${from}`),
  });
  links.connect([{ worker: 'b', address: `127.0.0.1:${port}`, key, dials: true }]);
  await vi.waitFor(() =>
    expect(said.at(-1)).toMatchObject({ $case: 'peerReach', value: { worker: 'b', able: true } }),
  );
  // 128 KiB in 200 ms are 39 KB in 60 ms.
  await vi.waitFor(() => expect(frames).toHaveLength(4));
  expect(frames.slice(0, 3)).toEqual(Array(3).fill('probe 65536'));
  const window = Number(frames[3]!.replace('pace ', ''));
  expect(window).toBeGreaterThan(1 << 14);
  expect(window).toBeLessThan(40_000);
  const part = { kind: 'partParameters', job: 'j', layout: 1, version: 0, offset: 0 } as const;
  let left = 0;
  for (let count = 0; count < 3; count++)
    void links.send('b', part, new Uint8Array(30_000)).then(() => left++);
  await vi.waitFor(() => expect(frames.slice(4)).toEqual(['partParameters 30000']));
  // Each word lets the next one go; what comes from there is answered with one, too.
  other!.send(encodeFrame({ kind: 'took' }, new Uint8Array(0)), encodeFrame(part, new Uint8Array(8)));
  await vi.waitFor(() => expect(frames.slice(5).sort()).toEqual(['partParameters 30000', 'took 0']));
  expect([left, taken]).toEqual([2, ['partParameters of b']]);
  other!.send(encodeFrame({ kind: 'took' }, new Uint8Array(0)));
  await vi.waitFor(() => expect(left).toBe(3));
  links.close();
  server.close();
});
