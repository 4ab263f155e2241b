/**
 * Which places data may be read from, judged where they are opened. Whoever runs a process says it, never a job: a job file comes from
 * others, and what it names would be read with this process's rights and from this machine's network.
 */
import { realpathSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { DataError } from '../dataset.ts';
import { isWithin } from './folder.ts';

/** Both are always said: what is left out by mistake must not compile, rather than allow everything. */
export interface Access {
  /** Folders that paths must lie in, symbolic links followed; 'any' path. */
  readonly roots: readonly string[] | 'any';
  /** Hosts of URLs: names, addresses, or *.name for all below one; 'public': any, but for private addresses. */
  readonly hosts: readonly string[] | 'public';
  /** Ends the opening of data, and what is being fetched for it. Default: nothing does. */
  readonly signal?: AbortSignal;
}

/** No bounds but those of `isPrivate`: for what a user opens by hand. */
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
  if (!leadsOutOf(path, roots)) return;
  const right =
    roots.length > 0
      ? `only files in ${roots.join(', ')} may be read (--data-root)`
      : 'no folder may be read here; its operator can allow one with --data-root FOLDER';
  throw new DataError(`${what}: ${path}: ${right}`);
}

/** Whether a path leads out of these folders, symbolic links followed. */
export function leadsOutOf(path: string, roots: readonly string[]): boolean {
  // `link/..` is the folder of the link to whoever joins paths, and the one above its target to the system.
  const readings = new Set([resolve(path), isAbsolute(path) ? path : `${process.cwd()}/${path}`]);
  return ![...readings]
    .map(realPath)
    .every((real) => roots.some((root) => isWithin(real, realPath(resolve(root)))));
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
  if (!isPrivate(address) || process.env.KASANE_ALLOW_LOCAL_URLS === '1') return true;
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

/** IPv4 ranges that are not reached over the internet (IANA's special-purpose registry, RFC 6890; multicast and reserved ones). */
const privateIpv4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // Azure's host answers each of its machines here with what concerns that machine alone.
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const;
/** IPv6: what is not global unicast is private, but for IPv4 addresses as they are written in it and behind a gateway (RFC 6052). */
const globalIpv6 = new BlockList();
globalIpv6.addSubnet('2000::', 3, 'ipv6');
const privateRanges = new BlockList();
for (const [network, bits] of privateIpv4) privateRanges.addSubnet(network, bits, 'ipv4');
for (const around of ['::ffff:', '64:ff9b::']) {
  globalIpv6.addSubnet(`${around}0.0.0.0`, 96, 'ipv6');
  for (const [network, bits] of privateIpv4)
    privateRanges.addSubnet(`${around}${network}`, 96 + bits, 'ipv6');
}
for (const [network, bits] of [
  // For protocols, Teredo among them, which leads to any IPv4 address; 6to4 does, too. The others are for documents.
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  privateRanges.addSubnet(network, bits, 'ipv6');
}

/** Whether an address is of this machine, its link, or a private network, or of nobody on the internet. */
export function isPrivate(address: string): boolean {
  if (isIP(address) !== 6) return privateRanges.check(address, 'ipv4');
  return !globalIpv6.check(address, 'ipv6') || privateRanges.check(address, 'ipv6');
}
