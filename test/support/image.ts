/**
 * A container image made from what this machine has: redis-server and the shared libraries that it and Node need. No
 * registry is asked. Node itself and this checkout are mounted into the containers, read-only.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
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

/** Paths of the shared libraries of a binary, as its loader asks for them. */
async function libraries(binary: string): Promise<string[]> {
  const { stdout } = await run('ldd', [binary]);
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path!);
}
