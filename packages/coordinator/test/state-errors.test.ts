/** SQLite says that it may not write; the file system says why. */
import { expect, it, vi } from 'vitest';
import { SQLITE, stateError } from '../src/store/state-errors.ts';

const refusal = vi.hoisted(() => ({ code: '' }));
vi.mock('node:fs', async (original) => ({
  ...(await original<typeof import('node:fs')>()),
  accessSync: () => {
    if (refusal.code) throw Object.assign(new Error(), { code: refusal.code });
  },
}));

it.each([
  ['EROFS', 'the file system is read-only'],
  ['EACCES', 'permission denied'],
  ['', 'it cannot be written to'],
])('in the words of %s', (code, words) => {
  refusal.code = code;
  for (const errcode of [SQLITE.READONLY, SQLITE.PERM])
    expect(stateError(Object.assign(new Error(), { errcode }), '/state/kasane.sqlite').message).toContain(
      `/state/kasane.sqlite: ${words}`,
    );
});
