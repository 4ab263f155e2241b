/** A token file is held to the same rule as a token, and named in what is said of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { kasane } from './support/kasane.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-token-'));
afterAll(() => rmSync(folder, { recursive: true }));

it.each([
  ['empty', ' \n', 'it is empty; expected only a token'],
  [
    'two',
    'abc def',
    'the token contains spaces or other characters that tokens never contain: copy it again',
  ],
  [
    'letters',
    't\u00f6ken',
    'the token contains spaces or other characters that tokens never contain: copy it again',
  ],
  [
    'control',
    'abc\u0007',
    'the token contains spaces or other characters that tokens never contain: copy it again',
  ],
])('%s', { timeout: 60_000 }, async (name, content, why) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  const { code, stderr } = await kasane(['status', '--token-file', path]);
  expect(code).toBe(2);
  expect(stderr).toContain(`kasane: --token-file: ${path}: ${why}`);
  expect(stderr.trim()).not.toContain('\n');
});
