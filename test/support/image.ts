/**
 * A container image made from what this machine has: redis-server and the shared libraries that it and Node need. No
 * registry is asked. Node itself and this checkout are mounted into the containers, read-only.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { environmentOf, findRedis } from '@kasane/cli/internal/redis/start';
import { programPath } from './needs.ts';

const run = promisify(execFile);

/** Root of this checkout; mounted at the same path in the containers. */
export const checkout = fileURLToPath(new URL('../..', import.meta.url));

interface RedisOfImage {
  /** How the server, or its client, is started in the image: what is here lies there at the same place. */
  command(program: 'server' | 'cli'): string[];
  /** Everything that takes. */
  readonly files: readonly string[];
}

/** The Redis of this machine: the one on its PATH, or the one that Kasane fetches. */
export async function redisOfImage(): Promise<RedisOfImage> {
  const binary = await findRedis();
  const settings = Object.entries(environmentOf(binary)).map(([name, value]) => `${name}=${value}`);
  const pathOf = (program: string) =>
    join(dirname(binary.path), basename(binary.path).replace('server', program));
  const programs = [pathOf('server'), pathOf('cli'), '/usr/bin/env'];
  const needed = await Promise.all(programs.map((path) => libraries(path, environmentOf(binary))));
  return {
    command: (program) => ['/usr/bin/env', ...settings, pathOf(program)],
    files: [...programs, ...needed.flat()],
  };
}

/** Makes the image and returns its name; the same name again replaces it. */
export async function makeImage(name: string): Promise<string> {
  const redis = await redisOfImage();
  const files = new Set([...redis.files, ...(await libraries(process.execPath))]);
  // -h: the files that links lead to, under the names by which the loader asks for them.
  const tar = spawn('tar', ['-C', '/', '-ch', ...[...files].map((path) => path.slice(1))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const docker = spawn('docker', ['import', '-', name], { stdio: ['pipe', 'ignore', 'inherit'] });
  tar.stdout.pipe(docker.stdin);
  const ended = await Promise.all(
    [tar, docker].map((child) => new Promise<number | null>((resolve) => child.on('close', resolve))),
  );
  if (ended.some((code) => code !== 0)) throw new Error(`tar and docker import ended with ${ended.join()}`);
  return name;
}

/**
 * An image to build upon, as `node:24-slim` is one: Node, npm, a shell with the few programs that our Dockerfile calls, and Redis, so
 * that it serves as Redis' image too.
 */
export async function makeBaseImage(name: string, folder: string): Promise<string> {
  const programs = ['sh', 'mkdir', 'chown', 'rm', 'env'].map(onPath);
  const redis = await redisOfImage();
  const npm = dirname(dirname(realpathSync(onPath('npm'))));
  const files = new Set([...programs, ...redis.files, process.execPath, npm]);
  for (const binary of [...programs, process.execPath])
    for (const library of await libraries(binary)) files.add(library);
  const root = join(folder, 'root');
  for (const part of ['usr/local/bin', 'bin', 'etc', 'tmp']) mkdirSync(join(root, part), { recursive: true });
  const copy = 'tar -C / -ch -- "$@" | tar -C "$0" -x';
  await run('sh', ['-c', copy, root, ...[...files].map((path) => path.slice(1))]);
  const place = (path: string, name: string) => {
    writeFileSync(join(root, 'usr/local/bin', name), `#!/bin/sh\nexec ${path} "$@"\n`, { mode: 0o755 });
  };
  place(process.execPath, 'node');
  place(`${process.execPath} ${npm}/bin/npm-cli.js`, 'npm');
  for (const program of ['server', 'cli'] as const)
    place(redis.command(program).join(' '), `redis-${program}`);
  if (!existsSync(join(root, 'bin/sh'))) symlinkSync(onPath('sh'), join(root, 'bin/sh'));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nnode:x:1000:1000::/state:/bin/sh\n');
  const path = `ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  await run('sh', ['-c', 'tar -C "$0" -c . | docker import --change "$1" - "$2"', root, path, name]);
  return name;
}

/** @throws Error when there is no such program */
function onPath(name: string): string {
  const found = programPath(name);
  if (!found) throw new Error(`${name} is not on the PATH`);
  return found;
}

/** Paths of the shared libraries of a binary, as its loader asks for them. */
async function libraries(binary: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const { stdout } = await run(onPath('ldd'), [binary], { env: { ...process.env, ...env } });
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path!);
}
