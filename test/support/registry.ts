/**
 * An npm registry of this machine: it serves what this checkout's node_modules has installed, so that npm can install our
 * tarballs and all they depend on where no registry is reached. Packages are packed as they are asked for.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { checkout } from './image.ts';

interface Manifest {
  readonly name: string;
  readonly version: string;
}
interface Installed {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Binaries for other machines than this, of which Dawn has 110 MB: they would be packed and unpacked for nothing. */
const FOREIGN = ['darwin', 'linux', 'win32']
  .flatMap((platform) => ['arm64', 'x64', 'universal'].map((processor) => `${platform}-${processor}`))
  .filter(
    (name) => name !== `${process.platform}-${process.arch}` && name !== `${process.platform}-universal`,
  );

export interface Registry {
  readonly url: string;
  close(): Promise<void>;
}

/** @param host address to listen on; containers reach it by another than loopback. Default 127.0.0.1. */
export async function startRegistry(host = '127.0.0.1'): Promise<Registry> {
  const packages = installedPackages();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://registry').pathname.slice(1));
    const [name, version] = path.split('/-/');
    const found = packages.get(name!);
    if (!found) response.writeHead(404).end('{}');
    else if (version === undefined) answer(response, name!, found, `http://${request.headers.host}`);
    else
      pack(
        response,
        found.find(({ manifest }) => version === `${manifest.version}.tgz`),
      );
  }).listen(0, host);
  await once(server, 'listening');
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(response: ServerResponse, name: string, found: readonly Installed[], origin: string): void {
  const versions = found.map(({ manifest }) => {
    const dist = { tarball: `${origin}/${name}/-/${manifest.version}.tgz` };
    return [manifest.version, { ...manifest, dist }] as const;
  });
  const latest = versions.at(-1)![0];
  const body = { name, 'dist-tags': { latest }, versions: Object.fromEntries(versions) };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function pack(response: ServerResponse, installed: Installed | undefined): void {
  if (!installed) {
    response.writeHead(404).end();
    return;
  }
  const { folder } = installed;
  // npm takes the first part of each path away, whatever it is, and leaves hard links out, which pnpm's store makes.
  const options = [
    '-C',
    dirname(folder),
    '--hard-dereference',
    '--exclude',
    `${basename(folder)}/node_modules`,
    ...FOREIGN.map((name) => `--exclude=${name}`),
  ];
  // As it is: npm takes a tarball that is not compressed, too.
  const tar = spawn('tar', [...options, '-c', basename(folder)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  response.writeHead(200);
  tar.stdout.pipe(response);
}

/** What pnpm has put into node_modules/.pnpm, by name. */
function installedPackages(): Map<string, Installed[]> {
  const store = join(checkout, 'node_modules/.pnpm');
  const found = new Map<string, Installed[]>();
  const seen = new Set<string>();
  for (const entry of readdirSync(store)) {
    const modules = join(store, entry, 'node_modules');
    if (!existsSync(modules)) continue;
    for (const folder of packageFolders(modules)) {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
      const id = `${manifest.name}@${manifest.version}`;
      if (seen.has(id)) continue;
      seen.add(id);
      found.set(manifest.name, [...(found.get(manifest.name) ?? []), { folder, manifest }]);
    }
  }
  return found;
}

/** The packages in a node_modules folder; those that are links lie elsewhere. */
function packageFolders(modules: string): string[] {
  return readdirSync(modules, { withFileTypes: true }).flatMap((entry) => {
    const path = join(modules, entry.name);
    if (!entry.isDirectory() || entry.name.startsWith('.')) return [];
    if (entry.name.startsWith('@')) return packageFolders(path);
    return existsSync(join(path, 'package.json')) ? [path] : [];
  });
}
