/** Shared memory between this process and another one, and its end when the owner is killed. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHARED_MEMORY_BYTES } from '../src/limits.ts';
import { bytesOf } from '../src/wire/frame.ts';
import { SharedGradients, SharedParameters } from '../src/wire/shared-memory.ts';

const source = new URL('../src/wire/shared-memory.ts', import.meta.url).pathname;
const floats = 1000;
const numbers = (seed: number) => Float32Array.from({ length: floats }, (_, i) => seed + i / 7);
const values = (seed: number) => bytesOf(numbers(seed));
const copies = () => readdirSync('/dev/shm').filter((name) => name.startsWith('kasane-'));

describe.runIf(process.platform === 'linux')('SharedParameters', () => {
  it('are read by another process, and have no name that could stay behind', () => {
    const shared = SharedParameters.create(floats)!;
    shared.begin(6);
    shared.write(6, 0, values(6));
    const code = `
      const { SharedParameters } = await import(${JSON.stringify(source)});
      const { path, key } = JSON.parse(process.argv[1]);
      const into = Buffer.alloc(12);
      const opened = SharedParameters.open({ path, key: Buffer.from(key, 'hex') }, ${floats});
      process.stdout.write(opened.read(6, 40, into) + ' ' + into.toString('hex'));
    `;
    const { path, key } = shared.address;
    const address = JSON.stringify({ path, key: Buffer.from(key).toString('hex') });
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', code, address], {
      encoding: 'utf8',
    });
    expect(said).toBe(`true ${Buffer.from(values(6).subarray(40, 52)).toString('hex')}`);
    expect(copies()).toEqual([]);
    shared.close();
    shared.close();
  });

  it('keep two versions, and say when one has been overwritten', () => {
    const shared = SharedParameters.create(floats)!;
    const reader = SharedParameters.open(shared.address, floats);
    const into = new Uint8Array(4 * floats);
    expect(reader.read(0, 0, into)).toBe(false);
    for (const version of [0, 1, 2]) {
      shared.begin(version);
      shared.write(version, 0, values(version));
    }
    expect(reader.read(0, 0, into)).toBe(false);
    for (const version of [1, 2]) {
      expect(reader.read(version, 0, into)).toBe(true);
      expect(Buffer.compare(into, values(version))).toBe(0);
    }
    // The next one begins: it is there in parts, and the one before last is gone.
    shared.begin(3);
    shared.write(3, 0, values(3).subarray(0, 400));
    expect(reader.read(1, 0, into)).toBe(false);
    expect(reader.read(3, 0, into.subarray(0, 400))).toBe(true);
    expect(Buffer.compare(into.subarray(0, 400), values(3).subarray(0, 400))).toBe(0);
    expect(reader.read(2, 0, into)).toBe(true);
    reader.close();
    shared.close();
  });

  it('are refused with another key, under a path that is no memory, and after their owner is gone', async () => {
    const shared = SharedParameters.create(floats)!;
    const { path, key } = shared.address;
    expect(() => SharedParameters.open({ path, key: key.map((byte) => byte ^ 1) }, floats)).toThrow(
      /a different file/,
    );
    expect(() => SharedParameters.open({ path, key: key.subarray(1) }, floats)).toThrow(/a different file/);
    for (const bad of ['/etc/passwd', '/proc/1/fd/../../../etc/passwd', '/proc/self/mem'])
      expect(() => SharedParameters.open({ path: bad, key }, floats)).toThrow(/not shared memory/);
    shared.close();
    const code = `
      const { SharedParameters } = await import(${JSON.stringify(source)});
      const { path, key } = SharedParameters.create(10).address;
      console.log(JSON.stringify({ path, key: Buffer.from(key).toString('hex') }));
      setInterval(() => {}, 1000);
    `;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(owner.stdout, 'data');
    const address = JSON.parse(String(line)) as { path: string; key: string };
    expect(readlinkSync(address.path)).toMatch(/deleted/);
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const late = { path: address.path, key: Buffer.from(address.key, 'hex') };
    expect(() => SharedParameters.open(late, 10)).toThrow(/ENOENT/);
    expect(copies()).toEqual([]);
  });
});

describe.runIf(process.platform === 'linux')('SharedGradients', () => {
  it('have places that the other side finds', () => {
    const shared = SharedGradients.create(floats, 3)!;
    const worker = SharedGradients.open(shared.address, floats);
    expect(worker.places.length).toBe(3);
    for (const place of [2, 0, 1]) worker.places[place]!.write(0, numbers(place));
    worker.places[1]!.write(10, numbers(9).subarray(0, 2));
    const into = new Float32Array(floats);
    shared.places[0]!.read(0, into);
    expect(into).toEqual(numbers(0));
    shared.places[1]!.read(10, into.subarray(10));
    expect(into.subarray(10, 12)).toEqual(numbers(9).subarray(0, 2));
    expect(into.subarray(12)).toEqual(numbers(1).subarray(12));
    worker.close();
    shared.close();
  });

  it('touch nothing once they are closed, whatever file has their descriptor then', () => {
    const shared = SharedGradients.create(floats, 1)!;
    const worker = SharedGradients.open(shared.address, floats);
    const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
    worker.close();
    const file = openSync(join(folder, 'other'), 'w+');
    expect(() => worker.places[0]!.write(0, numbers(1))).toThrow('shared memory is closed');
    expect(() => worker.places[0]!.read(0, new Float32Array(1))).toThrow('shared memory is closed');
    expect(fstatSync(file).size).toBe(0);
    closeSync(file);
    rmSync(folder, { recursive: true });
    shared.close();
  });

  it('have fewer places where there is not room for all, and are not there where there is none', () => {
    const most = SharedGradients.create(SHARED_MEMORY_BYTES / 4096, 2000);
    expect(most?.places.length).toBeLessThanOrEqual(1024);
    expect(most?.places.length).toBeGreaterThan(0);
    most?.close();
    expect(SharedGradients.create(SHARED_MEMORY_BYTES / 4 + 1, 2)).toBeUndefined();
  });
});
