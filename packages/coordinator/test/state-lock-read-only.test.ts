/** A state directory whose disk has become read-only is given up all the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { claimState, ownerOf } from '../src/store/state-lock.ts';

const refused = vi.hoisted(() => ({ all: false }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const remove: typeof fs.rmSync = (path, options) => {
    if (refused.all) throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
    fs.rmSync(path, options);
  };
  return { ...fs, rmSync: remove };
});

const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('gives up the lock where the name of its owner cannot be removed', () => {
  const giveUp = claimState(folder);
  expect(ownerOf(folder)).toMatchObject({ pid: process.pid });
  refused.all = true;
  try {
    giveUp();
  } finally {
    refused.all = false;
  }
  expect(ownerOf(folder)).toBeUndefined();
});
