/** What npm installs as `kasane`: its code is compiled once, and kept where only the user writes. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';

const bin = fileURLToPath(new URL('../src/bin.js', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'kasane-bin-'));
afterEach(() => rmSync(home, { recursive: true, force: true }));

async function version(env: Readonly<Record<string, string>>): Promise<string> {
  const { NODE_COMPILE_CACHE: _, NODE_DISABLE_COMPILE_CACHE: __, ...own } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [bin, '--version'], {
    env: { ...own, KASANE_CONFIG: '/nowhere/config.json', ...env },
  });
  return stdout.trim();
}

test("compiled code is kept in the user's folder for such things", { timeout: 60_000 }, async () => {
  expect(await version({ XDG_CACHE_HOME: home })).toMatch(/^\d+\.\d+\.\d+$/);
  const [kept] = readdirSync(join(home, 'kasane/compiled'));
  expect(readdirSync(join(home, 'kasane/compiled', kept!)).length).toBeGreaterThan(10);
  expect(await version({ XDG_CACHE_HOME: home })).toMatch(/^\d+\.\d+\.\d+$/);
});

test('without a folder that can be written, or when Node is told not to, nothing is kept', {
  timeout: 60_000,
}, async () => {
  expect(await version({ XDG_CACHE_HOME: home, NODE_DISABLE_COMPILE_CACHE: '1' })).toMatch(/^\d/);
  expect(existsSync(join(home, 'kasane'))).toBe(false);
  const file = mkdtempSync(join(tmpdir(), 'kasane-bin-'));
  writeFileSync(join(file, 'a-file'), '');
  expect(await version({ XDG_CACHE_HOME: join(file, 'a-file') })).toMatch(/^\d/);
  rmSync(file, { recursive: true });
});
