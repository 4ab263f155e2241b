/** A reason is for people: never empty, never 'undefined'. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sources } from '../../../test/support/sources.ts';
import { messageOf } from '../src/errors.ts';
import { reasonOf, whyInsecure, whyNobody } from '../src/grpc/call-errors.ts';

it.each([
  [new Error('plain'), 'plain'],
  [new Error(''), 'no reason given'],
  [
    new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED ::1:1') }),
    'fetch failed: ::1:1: connection refused',
  ],
  [new AggregateError([new Error('a'), new Error('b')]), 'a; b'],
  [Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }), 'connection refused'],
  [
    new Error('connect ENETUNREACH 127.0.0.1:7420 - Local (0.0.0.0:0)'),
    '127.0.0.1:7420: the network cannot be reached',
  ],
  [new Error('getaddrinfo ENOTFOUND no.such.host'), 'no.such.host: no host has that name'],
  [new Error('read ECONNRESET'), 'the other end closed the connection'],
  [new Error('connect EUNHEARDOF ::1:1'), 'connect EUNHEARDOF ::1:1'],
  [new Error('', { cause: new Error('below') }), 'below'],
  [
    Object.assign(new Error("ENOENT: no such file or directory, open '/x'"), { code: 'ENOENT', path: '/x' }),
    '/x: file or folder not found',
  ],
  [undefined, 'no reason given'],
  [null, 'no reason given'],
  ['', 'no reason given'],
  ['words', 'words'],
  [{ details: 'of gRPC' }, 'of gRPC'],
  [7, '7'],
])('%o', (error, expected) => {
  expect(messageOf(error)).toBe(expected);
});

it('whatever is thrown has words', () => {
  const thrown = fc.oneof(
    fc.anything(),
    fc.record(
      {
        message: fc.anything(),
        details: fc.anything(),
        code: fc.anything(),
        cause: fc.anything(),
        errors: fc.anything(),
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(thrown, (error) => {
      expect(messageOf(error).trim()).not.toBe('');
      if (typeof error !== 'string') expect(messageOf(error)).not.toBe('undefined');
    }),
  );
});

it('what gRPC says of a connection that it never had', () => {
  const details = 'No connection established. Last error: undefined. Resolution note: ';
  expect(reasonOf({ code: status.UNAVAILABLE, details })).toBe(
    'the connection was closed before the call began',
  );
  expect(reasonOf({ code: status.UNAVAILABLE })).toBe('code 14');
  expect(
    reasonOf({
      details:
        'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1 (2026-11-28T00:00:00.000Z). Resolution note: ',
    }),
  ).toBe('127.0.0.1:1: connection refused');
});

it.each([
  [
    'Name resolution failed for target dns:nohost.invalid:7420',
    "no host has the name 'nohost.invalid'; check the address",
  ],
  [
    'No connection established. Last error: Protocol error (2026-11-29T00:00:00.000Z). Resolution note: ',
    'the server there is not a coordinator; check the port (the dashboard uses a different one)',
  ],
  [
    'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ',
    undefined,
  ],
])('why nobody answers: %s', (details, why) => {
  expect(whyNobody({ details })).toBe(why);
});

it('a certificate of the future is told from one of another authority', () => {
  const details =
    'No connection established. Last error: Error: certificate is not yet valid. Resolution note: ';
  expect(whyInsecure({ details }, true)).toBe("its certificate is not valid yet; check this machine's clock");
});

it('no module prints the details of a gRPC error as they are', () => {
  const printing = [...sources()].filter(([, text]) =>
    /\$\{[^}]*\.details\}|Error\([^)]*\berror\.details\b/.test(text),
  );
  expect(printing.map(([file]) => file)).toEqual([]);
});

/** Nobody listens on port 9 of loopback; were it asked, the error would speak of it. */
const PROXY = 'http://127.0.0.1:9';

it.each(['grpc_proxy', 'http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'])(
  'a coordinator is asked directly, whatever %s says',
  (name) => {
    const script = `
      import { createServer } from 'node:net';
      import { CoordinatorClient } from '@kasane/protocol/client';
      let asked = 0;
      const server = createServer((socket) => { asked++; socket.destroy(); }).listen(0, '127.0.0.1', async () => {
        const client = new CoordinatorClient({ coordinator: '127.0.0.1:' + server.address().port });
        await client.status().catch(() => {});
        client.close();
        server.close();
        console.log(asked > 0 ? 'direct' : 'not asked');
      });`;
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '../../cli'),
      env: { ...process.env, no_proxy: '', NO_PROXY: '', NODE_USE_ENV_PROXY: '1', [name]: PROXY },
      encoding: 'utf8',
    });
    expect(said.trim()).toBe('direct');
  },
  30_000,
);
