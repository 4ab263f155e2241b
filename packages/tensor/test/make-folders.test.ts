/** Folders are made by one function: Node's own recursive mkdir hangs where the system says of a parent that exists that it does not. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('makes what is missing, and says what that was', () => {
  const path = join(folder, 'a/b/c');
  expect(makeFolders(path, 0o700)).toBe(join(folder, 'a'));
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(makeFolders(path)).toBeUndefined();
});

it('says why it cannot, and does not hang', () => {
  writeFileSync(join(folder, 'file'), '');
  for (const path of ['file', 'file/below', 'file/far/below'])
    expect(() => makeFolders(join(folder, path))).toThrow(
      expect.objectContaining({ code: 'ENOTDIR', path: expect.stringContaining(join(folder, 'file')) }),
    );
  if (process.platform === 'linux') expect(() => makeFolders('/proc/kasane/below')).toThrow(/ENOENT/);
});

it('is what every package makes folders with', () => {
  const packages = fileURLToPath(new URL('../..', import.meta.url));
  const sources = readdirSync(packages).flatMap((name) =>
    readdirSync(join(packages, name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|js)$/.test(path))
      .map((path) => join(packages, name, 'src', path)),
  );
  expect(sources.length).toBeGreaterThan(100);
  const own = sources.filter((path) => /mkdir(Sync)?\([^;]*recursive/.test(readFileSync(path, 'utf8')));
  expect(own).toEqual([]);
});
