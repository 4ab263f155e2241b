/** The disk of a log fills, or its folder is deleted, while a training writes to it: the training goes on, and it is said once. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFile } from '@kasane/cli/internal/files/write-file';
import { crc32c, EventFile } from '@kasane/cli/internal/tensorboard/event-file';
import { Trace } from '@kasane/worker/internal/observe/trace';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';
import { needing } from './support/needs.ts';
import { smallDisk } from './support/small-disk.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** Of two pages. */
const fullSoon = () => smallDisk(cleanUp, '8k');

/** How many records a file of events has. @throws Error where TensorBoard would stop reading */
function records(path: string): number {
  const bytes = readFileSync(path);
  let count = 0;
  for (let at = 0; at < bytes.length; count++) {
    const crc = crc32c(bytes.subarray(at, at + 8));
    expect(bytes.readUInt32LE(at + 8)).toBe((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
    at += 16 + Number(bytes.readBigUInt64LE(at));
    expect(at).toBeLessThanOrEqual(bytes.length);
  }
  return count;
}

it('a full disk keeps whole records, and new ones once there is room again', needing(['mount']), () => {
  const disk = fullSoon();
  const said: string[] = [];
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(4096));
  const file = new EventFile(join(disk, 'job'), 0, (what) => said.push(what));
  for (let step = 1; step <= 200; step++) file.scalars(step, step, { 'train/loss': 1, 'train/accuracy': 0 });
  expect(said).toEqual([`${file.path}: no space is left on the disk`]);
  const before = records(file.path);
  expect(before).toBeLessThan(200);
  rmSync(join(disk, 'ballast'));
  file.scalars(201, 201, { 'train/loss': 1 });
  file.close();
  expect(records(file.path)).toBe(before + 1);
  expect(said).toHaveLength(1);
});

it('a file that is deleted is written anew', () => {
  const folder = join(temporaryDirectory(cleanUp), 'logs', 'job');
  const said: string[] = [];
  const file = new EventFile(folder, 0, (what) => said.push(what));
  for (const step of [1, 2, 3, 4]) {
    file.scalars(step, step, { 'train/loss': 1 });
    if (step < 3) rmSync(join(folder, '..'), { recursive: true });
  }
  file.close();
  expect(said).toEqual([`${file.path} was deleted, and is written anew`]);
  expect(records(file.path)).toBe(3);
});

it('a file that cannot be begun is named, and not left behind', needing(['mount']), () => {
  const disk = fullSoon();
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(8192));
  expect(() => new EventFile(disk, 0, () => {})).toThrow(
    expect.objectContaining({ code: 'ENOSPC', path: expect.stringContaining(join(disk, 'events.out')) }),
  );
  expect(readdirSync(disk)).toEqual(['ballast']);
});

it('a file that does not fit is named as whoever asked for it knows it', needing(['mount']), () => {
  const path = join(fullSoon(), 'profile.json');
  expect(() => writeFile(Buffer.alloc(1 << 16), path)).toThrow(
    expect.objectContaining({ code: 'ENOSPC', path }),
  );
  expect(existsSync(path)).toBe(false);
});

it('a trace that the disk refuses disturbs no task', needing(['mount']), async () => {
  const disk = fullSoon();
  const said: string[] = [];
  const trace = new Trace(join(disk, 'trace.json'), 'w1', (what) => said.push(what));
  for (let step = 0; step < 200; step++)
    expect(await trace.part('samples', 'queue', { step }, async () => step)).toBe(step);
  trace.close();
  expect(said).toEqual([`${join(disk, 'trace.json')}: no space is left on the disk`]);
});

it('kasane train --tensorboard on a disk that fills ends with weights', {
  ...needing(['mount']),
  timeout: 120_000,
}, async () => {
  const folder = temporaryDirectory(cleanUp);
  const disk = fullSoon();
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(4096));
  const rows = Array.from({ length: 64 }, (_, i) => `${i % 9},${(i * 7) % 13},${i % 2 ? 'odd' : 'even'}`);
  writeFileSync(join(folder, 't.csv'), `a,b,y\n${rows.join('\n')}\n`);
  const job = {
    name: 't',
    model: { input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] },
    data: { format: 'csv', path: join(folder, 't.csv'), target: 'y' },
    training: { epochs: 100, batch: 8 },
  };
  writeFileSync(join(folder, 'job.json'), JSON.stringify(job));
  const weights = join(folder, 't.safetensors');
  const { stderr } = await runCommand([
    ...['train', join(folder, 'job.json'), '--workers', '1', '--out', weights, '--tensorboard', disk],
  ]);
  const notes = stderr.split('\n').filter((line) => line.startsWith('Note: '));
  expect(notes).toEqual([
    expect.stringMatching(/^Note: \S*disk\/t-\w+\/events\S*: no space is left .* continues$/),
  ]);
  expect(existsSync(weights)).toBe(true);
});
