import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readWhole, sha256, writeWhole } from '../src/params/files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kasane-files-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('whole files', () => {
  it('reads back what was written and leaves no temporary file', async () => {
    const path = join(directory, 'a');
    const digest = await writeWhole(path, Buffer.from('kasane'));
    expect(digest).toBe(sha256(Buffer.from('kasane')));
    expect(await readWhole(path, digest)).toEqual({ bytes: Buffer.from('kasane') });
    expect(readdirSync(directory)).toEqual(['a']);
  });

  it.each([
    ['cut short', (path: string) => truncateSync(path, 3)],
    ['changed in one bit', (path: string) => writeFileSync(path, 'kasanf')],
    ['gone', (path: string) => rmSync(path)],
  ])('refuses a file that is %s, by name', async (_, damage) => {
    const path = join(directory, 'a');
    const digest = await writeWhole(path, Buffer.from('kasane'));
    damage(path);
    const read = await readWhole(path, digest);
    expect(read).toMatchObject({ why: expect.stringContaining(path) });
  });

  it('leaves the old file as it was when writing fails', async () => {
    const path = join(directory, 'folder');
    await expect(writeWhole(join(path, 'a'), Buffer.from('x'))).rejects.toThrow();
    expect(readdirSync(directory)).toEqual([]);
  });
});
