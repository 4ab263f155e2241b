/**
 * Redis from Debian's or Ubuntu's packages, unpacked into a cache folder without being installed: needs no root, and
 * leaves apt's own state alone.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RedisBinary } from './start.ts';

const run = promisify(execFile);

/** Where fetched servers are kept. */
export function cacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kasane', 'redis');
}

const described = (folder: string, libraryPath: string): RedisBinary => ({
  path: join(folder, 'usr/bin/redis-server'),
  libraryPath,
  description: 'redis-server fetched with apt',
});

/** @throws Error saying why it cannot be had this way */
export async function fetchWithApt(log: (line: string) => void): Promise<RedisBinary> {
  const cache = cacheDirectory();
  const folder = join(cache, `apt-${process.arch}`);
  const libraries = async () => {
    const lib = join(folder, 'usr/lib');
    const triplets = (await readdir(lib)).filter((name) => name.includes('-linux-'));
    return triplets.map((name) => join(lib, name)).join(':');
  };
  if (existsSync(join(folder, 'usr/bin/redis-server'))) return described(folder, await libraries());
  if (!existsSync('/usr/bin/apt-get')) throw new Error('apt-get is not here');
  log('Fetching redis-server with apt (once, about 3 MB) ...');
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetch-'));
  try {
    await mkdir(join(work, 'lists/partial'), { recursive: true });
    await mkdir(join(work, 'archives/partial'), { recursive: true });
    const apt = [
      '-qq',
      '-o',
      `Dir::State::Lists=${work}/lists`,
      '-o',
      `Dir::Cache=${work}`,
      '-o',
      'APT::Sandbox::User=',
      '-o',
      'Debug::NoLocking=1',
    ];
    await run('apt-get', [...apt, 'update'], { timeout: 120_000 });
    const packages = await neededPackages(apt);
    await run('apt-get', [...apt, 'download', ...packages], { cwd: work, timeout: 120_000 });
    const root = join(work, 'root');
    for (const file of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg-deb', ['-x', join(work, file), root]);
    }
    // Of several processes that fetch at once, one wins.
    await rename(root, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } catch (error) {
    const text = (error as { stderr?: string }).stderr || (error as Error).message;
    throw new Error(`apt could not fetch redis-server (${text.trim().split('\n')[0]})`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return described(folder, await libraries());
}

/** redis-server, redis-tools (which has the program), and those of their libraries that are not installed. */
async function neededPackages(apt: readonly string[]): Promise<string[]> {
  const options = ['-o', apt[2]!, '-o', apt[4]!];
  const { stdout } = await run('apt-cache', [
    ...options,
    'depends',
    '--recurse',
    '--no-recommends',
    '--no-suggests',
    '--no-conflicts',
    '--no-breaks',
    '--no-replaces',
    '--no-enhances',
    'redis-tools',
  ]);
  const libraries = [...new Set(stdout.split('\n').filter((line) => /^lib[\w.+-]+$/.test(line)))];
  const missing: string[] = [];
  for (const library of libraries) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholder
    const installed = await run('dpkg-query', ['-W', '-f', '${Status}', library]).then(
      (result) => result.stdout.includes('install ok installed'),
      () => false,
    );
    if (!installed) missing.push(library);
  }
  return ['redis-server', 'redis-tools', ...missing];
}
