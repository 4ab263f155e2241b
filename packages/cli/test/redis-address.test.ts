/** A password in the address of a Redis is never shown, however it is written. */

import { startCoordinator } from '@kasane/coordinator/coordinator';
import { redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import { startWorker } from '@kasane/worker/worker';
import fc from 'fast-check';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { withoutSecrets } from '../src/process/hide-secrets.ts';

it.each([
  ['redis://127.0.0.1:6379', '127.0.0.1:6379'],
  ['rediss://user:pass@host:1', 'host:1'],
  ['redis://:p%40ss%2Fw%3Ao%25rd@[::1]:7', '[::1]:7'],
])('%s', (url, host) => {
  expect(redisAddress(url).host).toBe(host);
});

it.each(['redis://::1:6379', 'redis://:pw@::1:6379', 'redis://fe80::1', 'rediss://u:pw@2001:db8::7:6379/1'])(
  '%s, without brackets',
  (url) => {
    expect(() => redisAddress(url)).toThrow(
      /write an IPv6 address in brackets, as in redis:\/\/\[::1\]:6379/,
    );
    expect(() => redisAddress(url)).not.toThrow(/pw/);
  },
);

it.each(['p@ss', 'p/ss', 'p:ss', 'p#ss', 'p?ss', 'p%ss', 'p ss', 'p\\\\ss', 'p@s/s:w%d'])(
  'password %s',
  (password) => {
    const url = `redis://user:${password}@127.0.0.1:6379`;
    expect(() => redisAddress(url)).toThrow(/write @ as %40/);
    expect(() => redisAddress(url)).not.toThrow(password);
    expect(withoutSecrets(['--redis', url]).join(' ')).toBe('--redis redis://user:***@127.0.0.1:6379');
  },
);

it('whatever a password is, no message has it, nor any part of four characters', () => {
  const password = fc.string({
    minLength: 4,
    maxLength: 12,
    unit: fc.constantFrom(...'@/:%#?& xyzQ7\u00e9'),
  });
  fc.assert(
    fc.property(password, fc.constantFrom('127.0.0.1:6379', 'h:99999', ''), (secret, host) => {
      try {
        const { host: shown } = redisAddress(`redis://:${secret}@${host}`);
        expect(shown).toBe(new URL(`redis://${host}`).host);
      } catch (error) {
        const message = (error as Error).message;
        expect(message).toMatch(/^Redis URL: /);
        for (let i = 0; i + 4 <= secret.length; i++) {
          const part = secret.slice(i, i + 4);
          if (/[xyzQ7\u00e9]/.test(part)) expect(message).not.toContain(part);
        }
      }
    }),
  );
});

it('one that is none is refused at start, wherever it is given', async () => {
  const log = pino({ level: 'silent' });
  const wrong = 'localhost:6379';
  const coordinator = {
    host: '127.0.0.1',
    port: 0,
    redisUrl: 'redis://127.0.0.1:1',
    stateDirectory: '/nowhere',
    log,
  };
  const says = /^Redis URL: expected redis:\/\/HOST:PORT or rediss/;
  await expect(startCoordinator({ ...coordinator, announceRedisUrl: wrong })).rejects.toThrow(says);
  await expect(startWorker({ coordinator: '127.0.0.1:1', redisUrl: wrong, log })).rejects.toThrow(says);
});

it('has a number for a database, or none', () => {
  expect(redisAddress('redis://h/00')).toMatchObject({ database: 0, place: 'h:6379' });
  expect(redisAddress('redis://h:1/3')).toMatchObject({ database: 3, place: 'h:1/3', server: 'redis://h:1' });
  expect(() => redisAddress('redis://h/abc')).toThrow(/'abc' is not a database number/);
});
