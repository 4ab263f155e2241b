/** Tokens, certificates, limits and secrets on the command line. */

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readClientTls, readServerTls } from '@kasane/protocol/internal/security/tls';
import { defaultLimits } from '@kasane/protocol/limits';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { issue, issueAuthority } from '../src/commands/cert/issue.ts';
import { withoutSecrets } from '../src/process/hide-secrets.ts';
import { span } from '../src/program/duration.ts';
import { limitFlags, limitKey, limitsOf } from '../src/program/limit-flags.ts';
import { kasane } from './support/kasane.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('kasane token', () => {
  it('creates, lists and revokes', { timeout: 120_000 }, async () => {
    const state = join(folder, 'state');
    const created = await kasane([
      'token',
      'create',
      'gpu room',
      '--scope',
      'work',
      '--expires',
      '90d',
      '--state',
      state,
    ]);
    expect(created.stdout).toMatch(/^ksn_[0-9a-f]{12}_[\w-]{43}\n$/);
    expect(created.stderr).toMatch(/with scope work, shown only once/);
    const [record] = JSON.parse((await kasane(['token', 'list', '--json', '--state', state])).stdout) as [
      { id: string },
    ];
    expect(record).toMatchObject({ name: 'gpu room', scopes: ['work'], state: 'valid' });
    expect(JSON.stringify(record)).not.toContain(created.stdout.trim().slice(17));
    expect((await kasane(['token', 'revoke', record.id, '--state', state])).code).toBe(0);
    expect((await kasane(['token', 'list', '--state', state])).stdout).toMatch(/gpu room +work +revoked/);
    const again = await kasane(['token', 'revoke', record.id, '--state', state]);
    expect(again.stderr).toMatch(/^kasane: no token that can be revoked has[^\n]+\n$/);
    const wrong = await kasane(['token', 'create', 'x', '--scope', 'root', '--state', state]);
    expect(wrong.stderr).toMatch(/^kasane: [^\n]*read, submit, work, admin[^\n]*\n$/);
  });
});

describe('certificates', () => {
  it('are made, signed by one authority, and kept from others', { timeout: 60_000 }, async () => {
    const made = join(folder, 'certificates');
    const { stdout, code } = await kasane(['cert', 'dev', made, '--host', 'train.example.org', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      days: 365,
      hosts: expect.arrayContaining(['train.example.org']),
    });
    const read = (name: string) => new X509Certificate(readFileSync(join(made, `${name}.pem`)));
    const [ca, server, client] = [read('ca'), read('server'), read('client')];
    expect(ca.ca && server.verify(ca.publicKey) && client.verify(ca.publicKey)).toBe(true);
    expect(server.checkHost('train.example.org')).toBe('train.example.org');
    expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
    for (const name of ['ca', 'server', 'client'])
      expect(statSync(join(made, `${name}-key.pem`)).mode & 0o077).toBe(0);
    // Another authority would leave everybody who trusts this one behind.
    await kasane(['cert', 'dev', made]);
    expect(read('ca').fingerprint256).toBe(ca.fingerprint256);
    expect(read('server').fingerprint256).not.toBe(server.fingerprint256);
  });

  it('that can not serve are refused before anything listens, by name', async () => {
    const authority = await issueAuthority(2);
    const options = { name: 's', hosts: ['localhost'], use: 'server' } as const;
    const [good, other, ended] = [
      await issue(authority, { ...options, days: 2 }),
      await issue(authority, { ...options, days: 2 }),
      await issue(authority, { ...options, days: -2 }),
    ];
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const [tlsCert, tlsKey] = [write('good.pem', good.cert), write('good-key.pem', good.key)];
    const tlsCa = write('ca.pem', authority.cert);
    expect(readServerTls({})).toBeUndefined();
    expect(readServerTls({ tlsCert, tlsKey })).toHaveProperty('cert');
    expect(() => readServerTls({ tlsCert })).toThrow(/--tls-cert without --tls-key/);
    expect(() => readServerTls({ tlsCa })).toThrow(/a server needs --tls-cert/);
    expect(() => readServerTls({ tlsCert, tlsKey: write('k', other.key) })).toThrow(
      /does not belong to the certificate/,
    );
    expect(() => readServerTls({ tlsCert: write('e', ended.cert), tlsKey: write('ek', ended.key) })).toThrow(
      /it expired on \d{4}/,
    );
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3 * 86_400_000 });
    try {
      expect(() => readServerTls({ tlsCert, tlsKey })).toThrow(
        /good\.pem: it is not valid before \d{4}-\d\d-\d\d \d\d:\d\d UTC; check this machine's clock/,
      );
    } finally {
      vi.useRealTimers();
    }
    expect(() => readServerTls({ tlsCert, tlsKey, tlsCa: tlsCert })).toThrow(/not a CA certificate/);
    expect(() => readServerTls({ tlsCert: tlsKey, tlsKey })).toThrow(/contains no certificate/);
    expect(() => readServerTls({ tlsCert, tlsKey: tlsCert })).toThrow(/no unencrypted private key/);
    expect(() => readClientTls({ tlsCa: join(folder, 'nowhere.pem') })).toThrow(
      /nowhere\.pem: file or folder not found/,
    );
    expect(() => readClientTls({ tlsCert, tlsKey })).toThrow(/without --tls-ca/);
    expect(readClientTls({ tlsCa: 'system' })!.ca.toString()).toContain('BEGIN CERTIFICATE');
  });
});

describe('limits', () => {
  it('have a flag, a default and a line of the table in docs/limits.md each', () => {
    const table = readFileSync(fileURLToPath(new URL('../../../docs/limits.md', import.meta.url)), 'utf8');
    for (const [name, { flag }] of Object.entries(limitFlags)) {
      const [option] = flag.split(' ');
      const value = defaultLimits[name as keyof typeof defaultLimits];
      expect(table).toMatch(new RegExp(`^\\| \`${option}\` +\\| ${value} +\\|`, 'm'));
      expect(limitsOf({ [limitKey(flag)]: 7 })).toEqual({ [name]: 7 });
    }
    expect(limitsOf({ host: 'x' })).toEqual({});
  });
});

it('hides secrets of the command line, and nothing else', () => {
  const args = [
    'worker',
    '--token',
    's3',
    '--redis',
    'rediss://user:p:w@host:6379/0',
    '--token=s3',
    '--slots',
    '2',
  ];
  expect(withoutSecrets([...args, '--metrics-token', 's3', 'http://host/a:b@c'])).toEqual([
    ...[
      'worker',
      '--token',
      '***',
      '--redis',
      'rediss://user:***@host:6379/0',
      '--token=***',
      '--slots',
      '2',
    ],
    ...['--metrics-token', '***', 'http://host/a:b@c'],
  ]);
});

it('reads spans of time', () => {
  expect([span('30m'), span('12h'), span('90d')]).toEqual([1_800_000, 43_200_000, 7_776_000_000]);
  for (const wrong of ['', '0d', '1', '1y', '-1d', '1.5h'])
    expect(() => span(wrong)).toThrow(/30m, 12h or 90d/);
});
