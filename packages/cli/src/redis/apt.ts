/**
 * Redis from Debian's or Ubuntu's packages, unpacked into a cache folder without being installed: needs no root, and
 * leaves apt's own state alone.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { userFolder } from '@kasane/data/internal/files/user-folders';
import { messageOf } from '@kasane/protocol/errors';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { systemFailure } from '../process/system-errors.ts';
import type { RedisBinary } from './start.ts';

const APT_GET = '/usr/bin/apt-get';

/** Runs one of Debian's own programs, with the PATH on which they look for one another, whatever ours is. */
function run(name: string, args: readonly string[], options: { cwd?: string; timeout?: number } = {}) {
  const env = { ...process.env, LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  return promisify(execFile)(`/usr/bin/${name}`, args, { ...options, env });
}

/** Where fetched servers are kept; undefined for a user without a home. */
export function cacheDirectory(): string | undefined {
  const folder = userFolder('cache');
  return folder && join(folder, 'redis');
}

const described = (folder: string, libraryPath: string): RedisBinary => ({
  path: join(folder, 'usr/bin/redis-server'),
  libraryPath,
  description: 'redis-server downloaded with apt',
});

/** Where what apt fetched is unpacked. */
const folderOf = (cache: string) => join(cache, `apt-${process.arch}`);

/** What was fetched before; undefined when nothing was. */
export async function fetchedWithApt(): Promise<RedisBinary | undefined> {
  const cache = cacheDirectory();
  if (cache === undefined) return undefined;
  const folder = folderOf(cache);
  if (!existsSync(join(folder, 'usr/bin/redis-server'))) return undefined;
  const lib = join(folder, 'usr/lib');
  const triplets = (await readdir(lib)).filter((name) => name.includes('-linux-'));
  return described(folder, triplets.map((name) => join(lib, name)).join(':'));
}

/** @throws Error saying why it is not available this way */
export async function fetchWithApt(log: (line: string) => void): Promise<RedisBinary> {
  const fetched = await fetchedWithApt();
  if (fetched) return fetched;
  if (!existsSync(APT_GET)) throw new Error('apt-get is not installed');
  const cache = cacheDirectory();
  if (cache === undefined) throw new Error('there is no home folder to download Redis to (HOME)');
  log('Downloading redis-server with apt (once, about 3 MB) ...');
  let work: string | undefined;
  try {
    makeFolders(cache);
    work = await mkdtemp(join(cache, 'fetch-'));
    makeFolders(join(work, 'lists/partial'));
    makeFolders(join(work, 'archives/partial'));
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
    await rename(root, folderOf(cache)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } catch (error) {
    const text = (error as { stderr?: string }).stderr || (systemFailure(error)?.message ?? messageOf(error));
    throw new Error(`apt could not download redis-server (${text.trim().split('\n')[0]})`);
  } finally {
    if (work !== undefined) await rm(work, { recursive: true, force: true });
  }
  return (await fetchedWithApt())!;
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
