/**
 * A container image made from what this machine has: redis-server and the shared libraries that it and Node need. No
 * registry is asked. Node itself and this checkout are mounted into the containers, read-only.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Root of this checkout; mounted at the same path in the containers. */
export const checkout = fileURLToPath(new URL('../..', import.meta.url));

/** Why containers can not be used on this machine; undefined where they can. */
export async function whyNoContainers(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'images are made from Linux binaries';
  if (!redisServer()) return 'redis-server is not on the PATH';
  try {
    await run('docker', ['info', '--format', '{{.ServerVersion}}']);
    return undefined;
  } catch (error) {
    return `no Docker engine answers: ${(error as Error).message.split('\n')[0]}`;
  }
}

/** Path of redis-server on this machine, and in the image. */
export function redisServer(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'redis-server')).find((path) => existsSync(path));
}

/** Makes the image and returns its name; the same name again replaces it. */
export async function makeImage(name: string): Promise<string> {
  const redis = redisServer();
  if (!redis) throw new Error('redis-server is not on the PATH');
  const files = new Set([redis]);
  for (const binary of [redis, process.execPath])
    for (const library of await libraries(binary)) files.add(library);
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
  const programs = ['sh', 'mkdir', 'chown', 'rm', 'env', 'redis-server', 'redis-cli'].map(onPath);
  const npm = dirname(dirname(realpathSync(onPath('npm'))));
  const files = new Set([...programs, process.execPath, npm]);
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
  if (!existsSync(join(root, 'bin/sh'))) symlinkSync(onPath('sh'), join(root, 'bin/sh'));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nnode:x:1000:1000::/state:/bin/sh\n');
  const path = `ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  await run('sh', ['-c', 'tar -C "$0" -c . | docker import --change "$1" - "$2"', root, path, name]);
  return name;
}

/** @throws Error when there is no such program */
function onPath(name: string): string {
  const folders = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules'));
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (!found) throw new Error(`${name} is not on the PATH`);
  return found;
}

/** How Compose is called here: a plugin of docker, or a program of its own; undefined where there is neither. */
export async function composeCommand(): Promise<[string, ...string[]] | undefined> {
  for (const [command, ...args] of [['docker', 'compose'], ['docker-compose']] as const) {
    const answers = await run(command, [...args, 'version']).then(
      () => true,
      () => false,
    );
    if (answers) return [command, ...args];
  }
  return undefined;
}

/** Paths of the shared libraries of a binary, as its loader asks for them. */
async function libraries(binary: string): Promise<string[]> {
  const { stdout } = await run('ldd', [binary]);
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path!);
}
