/** Trained weights are never lost: what cannot be written where it was asked for stays where it is, and that is said. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KasaneError } from '@kasane/protocol/errors';
import { afterAll, expect, it } from 'vitest';
import { needing } from '../../../test/support/needs.ts';
import { deliver as deliverTo, placeWeights, requireWritable } from '../src/files/output-file.ts';
import { versionOf } from '../src/files/write-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
const mounted = join(folder, 'mounted');
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const weights = join(folder, 'weights.safetensors');
writeFileSync(weights, Buffer.alloc(1 << 20, 7));

const deliver = (from: string, out: string) =>
  deliverTo(from, { out, version: versionOf(out), say: () => {} });

function refused(out: string): KasaneError {
  try {
    deliver(weights, out);
  } catch (error) {
    expect(error).toBeInstanceOf(KasaneError);
    expect(error).toMatchObject({ code: 'CANNOT_WRITE' });
    expect(readFileSync(weights)).toHaveLength(1 << 20);
    expect((error as Error).message.replaceAll(folder, '')).not.toMatch(/\bE[A-Z]{3,}\b|undefined/);
    expect((error as Error).message).toContain(`they are in ${weights}`);
    expect((error as Error).message).toContain(`kasane export ${weights} -o FILE`);
    return error as KasaneError;
  }
  throw new Error('it was written');
}

it('weights go where they are asked for, through a link too', () => {
  const out = join(folder, 'out.safetensors');
  deliver(weights, out);
  deliver(weights, out);
  expect(readFileSync(out)).toEqual(readFileSync(weights));
  const link = join(folder, 'link.safetensors');
  symlinkSync(out, link);
  writeFileSync(out, 'old');
  deliver(weights, link);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(readFileSync(out)).toEqual(readFileSync(weights));
  expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
});

it('what another run wrote during the training is not replaced', () => {
  const out = join(folder, 'twice.safetensors');
  const notes: string[] = [];
  const place = (version: string) => deliverTo(weights, { out, version, say: (line) => notes.push(line) });
  const before = versionOf(out);
  expect(place(before)).toBe(out);
  expect(place(versionOf(out))).toBe(out);
  expect(notes).toEqual([]);
  expect(place(before)).toBe(join(folder, 'twice-2.safetensors'));
  expect(notes).toEqual([expect.stringContaining('twice-2.safetensors')]);
  expect(place(before)).toBe(join(folder, 'twice-3.safetensors'));
});

it.each([
  ['nothing', undefined],
  ['older weights', 'old'],
])('neither of two runs that end in the same moment replaces the other, with %s in place', (_, there) => {
  const out = join(folder, `moment-${there}.safetensors`);
  if (there !== undefined) writeFileSync(out, there);
  const version = versionOf(out);
  const own = placeWeights({ out, version, say: () => {} }, (partial) => {
    // The other ends while this one writes.
    if (!existsSync(`${out}.done`)) {
      writeFileSync(`${out}.other`, 'the other run');
      renameSync(`${out}.other`, out);
    }
    writeFileSync(`${out}.done`, '');
    writeFileSync(partial, 'this run');
  });
  expect(readFileSync(out, 'utf8')).toBe('the other run');
  expect(readFileSync(own, 'utf8')).toBe('this run');
  expect(own).not.toBe(out);
  expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
});

it('a folder that has vanished, or became a file', () => {
  mkdirSync(join(folder, 'gone'));
  requireWritable(join(folder, 'gone/x.safetensors'));
  rmSync(join(folder, 'gone'), { recursive: true });
  expect(refused(join(folder, 'gone/x.safetensors')).message).toMatch(
    /x\.safetensors: file or folder not found/,
  );
  writeFileSync(join(folder, 'gone'), '');
  expect(refused(join(folder, 'gone/x.safetensors')).message).toMatch(/a part of the path is a file/);
});

it('a file where the folder should be is not taken for the weights', () => {
  writeFileSync(join(folder, '.kasane'), '');
  expect(() => requireWritable(join(folder, '.kasane/x.safetensors'))).toThrow(
    /x\.safetensors: a part of the path is a file, not a folder; set --out to another file/,
  );
});

it('a disk that is full, or read-only', needing(['mount']), () => {
  mkdirSync(mounted);
  const mount = (options: string) =>
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'kasane-test', mounted]);
  mount('size=64k');
  try {
    const out = join(mounted, 'x.safetensors');
    requireWritable(out);
    writeFileSync(out, 'the one before');
    expect(refused(out).message).toMatch(/no space is left on the disk/);
    expect(readFileSync(out, 'utf8')).toBe('the one before');
    expect(readdirSync(mounted)).toEqual(['x.safetensors']);
    execFileSync('mount', ['-o', 'remount,ro', mounted]);
    expect(refused(out).message).toMatch(/the file system is read-only/);
    expect(() => requireWritable(out)).toThrow(/the file system is read-only; set --out to another file/);
  } finally {
    execFileSync('umount', ['-l', mounted]);
  }
});

it('a job file that a full disk refuses leaves nothing', needing(['mount']), () => {
  mkdirSync(mounted, { recursive: true });
  const data = join(folder, 'data.csv');
  writeFileSync(data, `x,kind\n${'1,a\n2,b\n'.repeat(20)}`);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'kasane-test', mounted]);
  try {
    expect(() => writeFileSync(join(mounted, 'filler'), Buffer.alloc(1 << 20))).toThrow(/ENOSPC/);
    const bin = join(import.meta.dirname, '../src/bin.js');
    const args = [bin, 'init', join(mounted, 'e.yaml'), '--data', data, '--yes'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toMatch(/no space is left on the disk/);
    expect(status).not.toBe(0);
    expect(readdirSync(mounted)).toEqual(['filler']);
  } finally {
    execFileSync('umount', ['-l', mounted]);
  }
});

it("a device is nobody's weights", () => {
  expect(() => requireWritable('/dev/null')).toThrow(/not a regular file/);
  expect(existsSync('/dev/null')).toBe(true);
});
