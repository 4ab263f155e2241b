/** Connections leave room for files, and strangers leave room for those who are known, however few files there may be. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { Guests, peerOf } from '../src/ports/guests.ts';
import { listenOn } from '../src/ports/listen.ts';
import { connectionsWithin } from '../src/ports/open-files.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

it('keeps half of the connections for those who are known, and says why others are closed', async () => {
  const said: string[] = [];
  const onRefused = (_: string, why: string) => void said.push(why);
  const guests = new Guests({ onRefused });
  const grpc = (socket: Socket) => guests.known(peerOf(socket));
  const { port, close } = await listenOn(
    '127.0.0.1',
    0,
    { grpc, link: () => {} },
    { guests, onRefused, openFiles: 64 },
  );
  closing.push(close);
  const dial = async (isKnown: boolean) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    closing.push(() => socket.destroy());
    await once(socket, 'connect');
    if (isKnown) socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    return socket;
  };
  const strangers: Socket[] = [];
  for (let count = 0; count < 20; count++) strangers.push(await dial(false));
  const known: Socket[] = [];
  for (let count = 0; count < 4; count++) {
    known.push(await dial(true));
    await sleep(50);
  }
  expect(strangers.filter(({ destroyed, closed }) => !destroyed && !closed).length).toBeLessThanOrEqual(4);
  expect(known.every(({ destroyed, closed }) => !destroyed && !closed)).toBe(true);
  expect(said.join('\n')).toMatch(/make room for newer connections.* 4 /);
  for (let count = 0; count < 10; count++) await dial(true).catch(() => {});
  await sleep(50);
  expect(said.join('\n')).toContain('8 connections are open, the most with 64 open files (ulimit -n)');
});

it('is bounded by the limits where there are many files', () => {
  expect(connectionsWithin(1_024)).toBe(714);
  expect(connectionsWithin(1 << 20)).toBeGreaterThan(4_096);
  expect(connectionsWithin(0)).toBe(8);
});
