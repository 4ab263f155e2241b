/** What goes wrong while data is fetched is said in words, never in codes of the system or of TLS. */
import { once } from 'node:events';
import { createServer as createPlain } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { issue, issueAuthority } from '@kasane/cli/internal/commands/cert/issue';
import { anywhere } from '@kasane/data/internal/files/access';
import { fetchFile } from '@kasane/data/internal/packed/remote';
import { beforeAll, expect, it, vi } from 'vitest';
import { CleanUp } from './support/cluster.ts';

const cleanUp = new CleanUp();
const ports = { silent: 0, resetting: 0, plain: 0, signed: 0 };

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  cleanUp.add(() => void server.close());
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  vi.stubEnv('KASANE_ALLOW_LOCAL_URLS', '1');
  const authority = await issueAuthority(1);
  const signed = (hosts: string[], days: number) =>
    issue(authority, { name: 'x', hosts, days, use: 'server' });
  const gone = createServer();
  ports.silent = await listening(gone);
  gone.close();
  ports.resetting = await listening(createServer((socket) => void socket.resetAndDestroy()));
  ports.plain = await listening(createPlain());
  ports.signed = await listening(createSecure(await signed(['127.0.0.1'], 1)));
  return () => cleanUp.run();
});

it('by a server that is away, breaks off, speaks no TLS, or is not trusted, and by a name of nobody', async () => {
  const passing = ' \\(tried 3 times\\)';
  const asked: [string, string, string][] = [
    [`http://127.0.0.1:${ports.silent}/`, 'connection refused', passing],
    [`http://127.0.0.1:${ports.resetting}/`, 'the other end closed the connection', passing],
    [`https://127.0.0.1:${ports.plain}/`, 'it does not speak TLS', ''],
    [
      `https://127.0.0.1:${ports.signed}/`,
      'its certificate is from a CA that this machine does not trust',
      '',
    ],
    ['http://no.such.invalid/', '(?:no host has that name|the name cannot be resolved now)', passing],
  ];
  const said = asked.map(([url]) => fetchFile(url, 100, anywhere).catch((error: Error) => error.message));
  for (const [index, [url, words, tried]] of asked.entries())
    expect(await said[index]).toMatch(
      new RegExp(`^${url}: ${words}; check the address and the server${tried}$`),
    );
});
