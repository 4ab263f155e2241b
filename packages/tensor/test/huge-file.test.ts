/** Files over 2 GiB, of which nothing is read here: Node ends the process when it is asked for so much at once. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { RegularFile, readRegularSync } from '../src/node/regular-file.ts';

const HUGE = 2 ** 32 + 5;
const asked: number[] = [];

vi.mock('node:fs', async (original) => ({
  ...(await original<typeof import('node:fs')>()),
  readSync: (_file: number, _into: Uint8Array, _at: number, length: number) => {
    asked.push(length);
    return length;
  },
}));

const total = () => asked.reduce((sum, length) => sum + length, 0);

it('reads a file of more than 2 GiB in several calls', () => {
  asked.length = 0;
  const folder = mkdtempSync(join(tmpdir(), 'kasane-huge-'));
  try {
    const path = join(folder, 'huge.safetensors');
    writeFileSync(path, '');
    truncateSync(path, HUGE);
    expect(readRegularSync(path, 2 * HUGE)).toHaveLength(HUGE);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(total()).toBe(HUGE);
  expect(Math.max(...asked)).toBeLessThan(2 ** 31);
});

it('reads a part of more than 2 GiB in several calls', async () => {
  asked.length = 0;
  const read = async (_into: Uint8Array, _at: number, length: number) => {
    asked.push(length);
    return { bytesRead: length };
  };
  const file = new RegularFile('huge', HUGE, { read } as unknown as FileHandle);
  await file.readInto({ length: HUGE } as Uint8Array, 0);
  expect(total()).toBe(HUGE);
  expect(Math.max(...asked)).toBeLessThan(2 ** 31);
});
