/** Where a job file comes from: its commit, if its folder is in a Git repository. */
import { execFile } from 'node:child_process';
import { basename, dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Source } from '@kasane/protocol/gen/kasane/v1/jobs';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { version } from '../program/version.ts';

/** Git that takes longer, in milliseconds, does not hold a job up. */
const GIT_MS = 3_000;

/** What a coordinator is told of a job file, as it is named on the command line. */
export async function sourceOf(jobOrPreset: string): Promise<Source> {
  const nothing: Source = { file: '', revision: '', dirty: false, kasane: version };
  if (jobOrPreset === '-' || Object.hasOwn(jobPresets, jobOrPreset)) return nothing;
  const path = resolve(jobOrPreset);
  const [folder, name] = [dirname(path), basename(path)];
  try {
    const [head, changed, tracked] = await Promise.all([
      git(folder, 'rev-parse', '--show-prefix', 'HEAD'),
      git(folder, 'status', '--porcelain', '--untracked-files=no', '--', '.'),
      git(folder, 'ls-files', '--', name),
    ]);
    const [prefix = '', revision = ''] = head.split('\n');
    return { ...nothing, file: prefix + name, revision, dirty: changed !== '' || tracked === '' };
  } catch {
    // No Git, no repository, or no commit yet.
    return { ...nothing, file: name };
  }
}

/** What a command of Git that changes nothing prints. */
async function git(folder: string, ...args: readonly string[]): Promise<string> {
  const all = ['-C', folder, '-c', 'core.fsmonitor=false', ...args];
  const env = { ...process.env, GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' };
  const { stdout } = await promisify(execFile)('git', all, { env, timeout: GIT_MS, maxBuffer: 16 << 20 });
  return stdout;
}
