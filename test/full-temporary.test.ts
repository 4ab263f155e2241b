/** The disk of temporary files is full before or while `kasane train` runs: it says where, and weights that were trained are written. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';
import { needing } from './support/needs.ts';
import { smallDisk } from './support/small-disk.ts';
import { smallTableJob } from './support/small-table.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** Begins to train a small table with TMPDIR on a disk of 20 MiB. */
function training(epochs: number) {
  const folder = temporaryDirectory(cleanUp);
  const disk = smallDisk(cleanUp, '20m');
  const job = smallTableJob(folder, epochs);
  const fill = (leave: number) => {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(Math.max(0, bavail * bsize - leave)));
  };
  const start = (out: string) => {
    const child = spawn(process.execPath, [main, 'train', job, '--out', out], {
      env: { ...process.env, TMPDIR: disk },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    cleanUp.add(() => child.kill('SIGKILL'));
    const said = { text: '' };
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.text += text;
    });
    return { child, said };
  };
  return { folder, disk, fill, start };
}

it('in mid-training: said once with the path, and the weights are those of a quiet run', {
  ...needing(['mount']),
  timeout: 120_000,
}, async () => {
  const { folder, disk, fill, start } = training(150);
  const [quiet, full] = ['quiet', 'full'].map((name) => join(folder, `${name}.safetensors`));
  const undisturbed = start(quiet!);
  await once(undisturbed.child, 'close');
  const { child, said } = start(full!);
  const closed = once(child, 'close');
  child.stderr.on('data', () => {
    if (/^epoch \d/m.test(said.text) && !readdirSync(disk).includes('ballast')) {
      try {
        fill(0);
      } catch {
        // It is full before the last byte.
      }
    }
  });
  const [code] = await closed;
  expect(code, said.text).toBe(0);
  const notes = said.text.split('\n').filter((line) => line.startsWith('Note: the state of this training'));
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(/disk\/kasane-\w+: no space is left on the disk\. .*full\.safetensors\. .*TMPDIR/);
  expect(readFileSync(full!)).toEqual(readFileSync(quiet!));
  expect(readdirSync(disk)).toEqual(['ballast']);
});

it.each([
  ['no room at all', 0],
  ['no room for a file', 8 << 10],
  ['no room for a database', 60 << 10],
])(
  'at the start, %s: TMPDIR is named, not --state',
  {
    ...needing(['mount']),
    timeout: 60_000,
  },
  async (_, leave) => {
    const { folder, disk, fill, start } = training(1);
    fill(leave);
    const { child, said } = start(join(folder, 'out.safetensors'));
    const [code] = await once(child, 'close');
    expect(said.text).toMatch(/^kasane: .*disk.*: no space is left on the disk; set TMPDIR to a /m);
    expect(said.text).not.toContain('--state');
    expect(code).toBe(73);
    expect(readdirSync(disk)).toEqual(['ballast']);
    rmSync(join(disk, 'ballast'));
  },
);
