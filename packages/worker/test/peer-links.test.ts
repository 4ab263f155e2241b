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

it('probes a slow link with little', async () => {
  const said: NonNullable<WorkerMessage['message']>[] = [];
  const key = randomBytes(32);
  const probed: number[] = [];
  const server = await listenForPeers({
    ...{ host: '127.0.0.1', tls: false, keys: () => [key] },
    onPeer: (socket) => {
      const link = new Link(socket, {
        onFrame: ({ payload }) => {
          probed.push(payload.length);
          const answer = encodeFrame({ kind: 'probe', answer: true }, payload);
          setTimeout(() => link.send(answer), 30);
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
    expect(said.at(-1)).toMatchObject({ $case: 'peerReach', value: { worker: 'b', able: true } }),
  );
  expect(probed).toEqual([65_536, 65_536, 65_536]);
  links.close();
  server.close();
});
