/** Addresses that servers listen on: how they are written, and why one cannot be had. */
import { isIPv6 } from 'node:net';
import { KasaneError, messageOf } from './errors.ts';

/** host:port as clients and URLs take it: an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  const bare = bareHost(host);
  return `${isIPv6(bare) ? `[${bare}]` : bare}:${port}`;
}

/** As Node's servers take it: an IPv6 address without brackets. */
export const bareHost = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EACCES: 'this user may not listen on that port',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EAFNOSUPPORT: 'this machine has no IPv6',
  ENOTFOUND: 'no host has that name',
  EAI_AGAIN: 'the name cannot be resolved now',
  EINVAL: 'it is no address to listen on',
};

/** @param flags those by which another address is chosen: of the host, and of the port */
export function cannotListen(
  host: string,
  port: number,
  error: unknown,
  flags: { readonly host: string; readonly port: string },
): KasaneError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const why = Object.hasOwn(reasons, code) ? reasons[code] : messageOf(error);
  const aboutPort = code === 'EADDRINUSE' || code === 'EACCES';
  const right = aboutPort
    ? `choose another with ${flags.port}${code === 'EADDRINUSE' ? ', or stop what listens there' : ''}`
    : `choose another with ${flags.host}`;
  return new KasaneError('CANNOT_LISTEN', `cannot listen on ${hostPort(host, port)}: ${why}; ${right}`, {
    cause: error,
  });
}
