/** One port for two protocols, and what neither of them is. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { hostPort, whyNoAddress } from '../src/ports/address.ts';
import { listenOn } from '../src/ports/listen.ts';
import { startMetricsServer } from '../src/ports/metrics-server.ts';
import { LINK_GREETING, LINK_KEY_BYTES } from '../src/wire/link.ts';
import { until } from './support/until.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

async function listen() {
  const links: string[] = [];
  const grpc: Socket[] = [];
  const server = await listenOn('127.0.0.1', 0, {
    grpc: (socket) => grpc.push(socket),
    link: (socket, key) => {
      links.push(key.toString('latin1'));
      closing.push(() => socket.destroy());
    },
  });
  closing.push(() => server.close());
  const { port } = server;
  const open = () => {
    const socket = connect(port, '127.0.0.1').setNoDelay(true);
    closing.push(() => socket.destroy());
    return socket;
  };
  return { links, grpc, open, port, close: () => server.close() };
}

describe('listenOn', () => {
  it('takes a link by its greeting, however it is cut', async () => {
    const { links, grpc, open } = await listen();
    const key = 'k'.repeat(LINK_KEY_BYTES);
    const socket = open();
    for (const byte of `${LINK_GREETING}${key}`) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => links.length === 1);
    expect(links).toEqual([key]);
    expect(grpc).toEqual([]);
  });

  it('hands anything else on with all of its bytes', async () => {
    const { links, grpc, open } = await listen();
    open().write('PRI * HTTP/2.0');
    await until(() => grpc.length === 1);
    let received = '';
    grpc[0]!.on('data', (chunk) => {
      received += chunk;
    });
    closing.push(() => grpc[0]!.destroy());
    await until(() => received.length === 14);
    expect(received).toBe('PRI * HTTP/2.0');
    expect(links).toEqual([]);
  });

  it('outlives a connection that breaks in the middle of its greeting', async () => {
    const { links, open } = await listen();
    const socket = open();
    socket.write(LINK_GREETING.slice(0, 2));
    await once(socket, 'connect');
    socket.resetAndDestroy();
    open().write(`${LINK_GREETING}${'z'.repeat(LINK_KEY_BYTES)}`);
    await until(() => links.length === 1);
  });

  it('drops, when it closes, whoever it has accepted and not heard of yet', async () => {
    const { grpc, open, close } = await listen();
    const [silent, half] = [open(), open()];
    half.write(LINK_GREETING.slice(0, 2));
    await Promise.all([once(silent, 'connect'), once(half, 'connect')]);
    // Accepted on the other side as well, once a later one is served.
    open().write('PRI * HTTP/2.0');
    await until(() => grpc.length === 1);
    const dropped = Promise.all([once(silent, 'close'), once(half, 'close')]);
    for (const socket of [silent, half]) socket.on('error', () => {}).resume();
    close();
    await dropped;
    expect(grpc[0]!.destroyed).toBe(false);
    grpc[0]!.destroy();
  });

  it('says which port is taken and what to do', async () => {
    const { port } = await listen();
    const taken = listenOn('127.0.0.1', port, { grpc: () => {}, link: () => {} });
    await expect(taken).rejects.toMatchObject({
      code: 'CANNOT_LISTEN',
      message: expect.stringMatching(new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}.*--port`)),
    });
  });
});

it('addresses that cannot be listened on are explained, with the flag of the one who asks', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as AddressInfo;
  const routes = { grpc: () => {}, link: () => {} };
  await expect(listenOn('127.0.0.1', port, routes)).rejects.toMatchObject({
    code: 'CANNOT_LISTEN',
    message: `cannot listen on 127.0.0.1:${port}: the port is in use; choose another with --port, or stop the program that uses it`,
  });
  const metrics = { metrics: async () => '', health: () => undefined };
  await expect(startMetricsServer({ port }, metrics)).rejects.toThrow(
    /in use; choose another with --metrics-port/,
  );
  taken.close();
  await expect(listenOn('203.0.113.7', 0, routes)).rejects.toThrow(
    /does not have that address; choose another with --host/,
  );
});

it.each([
  ['::1', '[::1]:7'],
  ['[::1]', '[::1]:7'],
  ['::', '[::]:7'],
  ['127.0.0.1', '127.0.0.1:7'],
  ['name', 'name:7'],
])('%s is written as %s', (host, expected) => {
  expect(hostPort(host, 7)).toBe(expected);
});

it.each([
  '127.0.0.1:1',
  'host:65535',
  'my-host.example.org:7420',
  '[::1]:7420',
  '[fe80::1%eth0]:7',
  'host_with:1',
])('%s is an address', (text) => {
  expect(whyNoAddress(text)).toBeUndefined();
});

it.each([
  ...['::1:7420', '::1', '[::1]', 'fe80::1:7420', '2001:db8::7:65000', '1:2:3:4:5:6:7:8:7420'].map((text) => [
    text,
    /^write an IPv6 address in brackets, followed by the port, such as \[::1\]:7420$/,
  ]),
  ...['http://127.0.0.1:7420', 'https://[::1]:7420'].map((text) => [text, /without https?:\/\/$/]),
  ...['[host]:7', '[127.0.0.1]:7', '[]:7'].map((text) => [text, /brackets are for IPv6/]),
  ...[
    '',
    'host',
    ':7420',
    'host:',
    'host:0',
    'host:65536',
    'host:1e3',
    'a:b:7',
    'a b:7',
    'a/b:7',
    '[::1]:',
  ].map((text) => [text, /^expected HOST:PORT, such as 127\.0\.0\.1:7420 or \[::1\]:7420$/]),
] as [string, RegExp][])('%s is no address', (text, why) => {
  expect(whyNoAddress(text)).toMatch(why);
});
