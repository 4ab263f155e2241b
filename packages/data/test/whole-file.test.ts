/** What a process that is killed while it writes leaves behind, and that it goes. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweepTemporaryFiles } from '@kasane/data/internal/files/whole-file';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes 64 MiB to `path` in a process that kills itself once a file is there. */
function writeAndBeKilled(path: string): void {
  const module = import.meta.resolve('@kasane/data/internal/files/whole-file');
  const script = `
    import { watch } from 'node:fs';
    import { dirname } from 'node:path';
    import { writeWholeFile } from ${JSON.stringify(module)};
    const path = ${JSON.stringify(path)};
    watch(dirname(path), () => process.kill(process.pid, 'SIGKILL'));
    await writeWholeFile(path, new Uint8Array(2 ** 26));`;
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
  expect(signal).toBe('SIGKILL');
}

it('removes what a killed process has not finished, and nothing else', async () => {
  const job = join(folder, 'a-job');
  mkdirSync(job);
  writeFileSync(join(job, 'notes.tmp'), '');
  writeFileSync(join(job, 'step-1.safetensors'), '');
  writeAndBeKilled(join(job, 'step-2.safetensors'));
  expect(existsSync(join(job, 'step-2.safetensors'))).toBe(false);
  expect(readdirSync(job)).toHaveLength(3);
  expect(await sweepTemporaryFiles(folder)).toBe(1);
  expect(readdirSync(job).sort()).toEqual(['notes.tmp', 'step-1.safetensors']);
  expect(await sweepTemporaryFiles(folder)).toBe(0);
});
