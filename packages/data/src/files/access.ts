/**
 * Which places data may be read from, judged where they are opened. Whoever runs a process says it, never a job: a job file comes from
 * others, and what it names would be read with this process's rights and from this machine's network.
 */
import { realpathSync } from 'node:fs';
import { isIP } from 'node:net';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { isNotPublic } from '@kasane/tensor/internal/node/ip-ranges';
import { DataError } from '../dataset.ts';
import { isWithin } from './folder.ts';

/** Both are always said: what is left out by mistake must not compile, rather than allow everything. */
export interface Access {
  /** Folders that paths must lie in, symbolic links followed, and s3://bucket/folder for places in S3; 'any' path. */
  readonly roots: readonly string[] | 'any';
  /** Hosts of URLs: names, addresses, or *.name for all below one; 'public': any, but for private addresses. */
  readonly hosts: readonly string[] | 'public';
  /** Ends the opening of data, and what is being fetched for it. Default: nothing does. */
  readonly signal?: AbortSignal;
}

/** No bounds but those of `isNotPublic`: for what a user opens by hand. */
export const anywhere: Access = { roots: 'any', hosts: 'public' };

/**
 * What a server lets jobs name, where whoever runs it has not said all of it.
 * @param local whether only this machine reaches it: otherwise no path is read that was not allowed
 */
export function accessBeyond({ roots, hosts }: Partial<Access>, local: boolean): Access {
  return { roots: roots ?? (local ? 'any' : []), hosts: hosts ?? 'public' };
}

/**
 * Checks that a path may be read, and says nothing of what lies outside.
 * @param what names it in messages, such as 'data.path'
 * @throws DataError
 */
export function checkPath(path: string, { roots }: Access, what: string): void {
  if (roots === 'any') return;
  if (isS3(path) ? roots.some((root) => isBelow(path, root)) : !leadsOutOf(path, roots)) return;
  const right =
    roots.length > 0
      ? `only files in ${roots.join(', ')} may be read (--data-root)`
      : 'no folder may be read here; its operator can allow one with --data-root FOLDER';
  throw new DataError(`${what}: ${path}: ${right}`);
}

/** Whether a place is in S3: the credentials of this process open it, so it is judged as a path is, by the folders that may be read. */
export const isS3 = (place: string): boolean => /^s3:\/\//i.test(place);

/** Of places in S3, whose names are what they are: nothing links anywhere. */
function isBelow(place: string, root: string): boolean {
  if (!isS3(root)) return false;
  const [own, above] = [place, root].map((one) => `s3://${one.slice(5)}`.replace(/\/*$/, '/')) as [
    string,
    string,
  ];
  return own.startsWith(above) && !/\/\.\.?\//.test(own);
}

/** Whether a path leads out of these folders, symbolic links followed. */
export function leadsOutOf(path: string, roots: readonly string[]): boolean {
  // `link/..` is the folder of the link to whoever joins paths, and the one above its target to the system.
  const readings = new Set([resolve(path), isAbsolute(path) ? path : `${process.cwd()}/${path}`]);
  return ![...readings]
    .map(realPath)
    .every((real) => roots.some((root) => !isS3(root) && isWithin(real, realPath(resolve(root)))));
}

/** Follows symbolic links of as much of the path as is there. */
function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), basename(path));
  }
}

/**
 * Checks that a URL may be asked for. Addresses of names are judged when the connection is made (`mayConnect`).
 * @throws DataError
 */
export function checkUrl(url: URL, access: Access): void {
  const shown = `${url.origin}${url.pathname}`;
  if (url.username !== '' || url.password !== '') {
    throw new DataError(
      `${shown}: a URL in a job must not contain a user or password, because others can read it`,
    );
  }
  const { hosts } = access;
  const host = hostOf(url);
  if (hosts !== 'public' && !hosts.some((allowed) => fits(host, allowed))) {
    const right =
      hosts.length > 0
        ? `data may only be downloaded from ${hosts.join(', ')} (--url-host)`
        : 'data may not be downloaded here';
    throw new DataError(`${shown}: ${right}`);
  }
  if (isIP(host) !== 0 && !mayConnect(host, url, access)) throw new DataError(privateMessage(url, host));
}

/** Whether a URL's host may be asked at this address: a private one only where the host itself is named as allowed. */
export function mayConnect(address: string, url: URL, { hosts }: Access): boolean {
  if (!isNotPublic(address) || process.env.KASANE_ALLOW_LOCAL_URLS === '1') return true;
  const host = hostOf(url);
  // Not by a pattern: whoever has a name below it could have that name point anywhere.
  return hosts !== 'public' && hosts.some((allowed) => allowed.toLowerCase() === host);
}

/** Why an address was not connected to. */
export function privateMessage(url: URL, address: string): string {
  return `${url.origin}${url.pathname}: ${address} is an address of this machine or its network; its operator can allow the host with --url-host ${hostOf(url)}`;
}

const hostOf = (url: URL) => url.hostname.replace(/^\[|\]$/g, '').toLowerCase();

function fits(host: string, allowed: string): boolean {
  const name = allowed.toLowerCase();
  return name.startsWith('*.') ? host.endsWith(name.slice(1)) : host === name;
}
