/** A password in the address of a Redis is never shown, however it is written. */

import { redisAddress } from '@kasane/coordinator/queue/redis-address';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withoutSecrets } from '../src/hide-secrets.ts';

it.each([
  ['redis://127.0.0.1:6379', '127.0.0.1:6379'],
  ['rediss://user:pass@host:1', 'host:1'],
  ['redis://:p%40ss%2Fw%3Ao%25rd@[::1]:7', '[::1]:7'],
])('%s', (url, host) => {
  expect(redisAddress(url).host).toBe(host);
});

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
        expect(message).toMatch(/^the address of Redis: /);
        for (let i = 0; i + 4 <= secret.length; i++) {
          const part = secret.slice(i, i + 4);
          if (/[xyzQ7\u00e9]/.test(part)) expect(message).not.toContain(part);
        }
      }
    }),
  );
});
