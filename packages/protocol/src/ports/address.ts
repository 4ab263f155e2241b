/** Addresses of hosts, as people write them and as servers take them. Loads nothing: the command line reads options with it. */
import { isIP, isIPv6 } from 'node:net';

export { isOfPrivateNetwork } from '@kasane/tensor/internal/node/ip-ranges';

/** host:port as clients and URLs take it: an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  const bare = bareHost(host);
  return `${isIPv6(bare) ? `[${bare}]` : bare}:${port}`;
}

/** As Node's servers take it: an IPv6 address without brackets. */
export const bareHost = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

/** One text for one IP address: IPv4 inside IPv6 is IPv4, and an interface is no part of it. */
export const plainIp = (ip: string): string =>
  bareHost(ip)
    .replace(/^::ffff:(?=\d+\.)/i, '')
    .replace(/%.*$/, '');

const EXPECTED = 'expected HOST:PORT, such as 127.0.0.1:7420 or [::1]:7420';

/** What is wrong with an address that somebody has written as host:port; undefined where nothing is. */
export function whyNoAddress(text: string): string | undefined {
  const [scheme] = /^\w+:\/\//.exec(text) ?? [];
  if (scheme !== undefined) return `${EXPECTED}, without ${scheme}`;
  const [, bracketed, plain, digits] = /^(?:\[(.*)\]|([^[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  if (isIP(bareHost(text)) === 6 || isIPv6(plain ?? ''))
    return 'write an IPv6 address in brackets, followed by the port, such as [::1]:7420';
  const port = Number(digits);
  if (!(port >= 1 && port <= 65535)) return EXPECTED;
  if (bracketed !== undefined && !isIPv6(bracketed)) return `${EXPECTED}; brackets are for IPv6 addresses`;
  return plain !== undefined && /[\s:/]/.test(plain) ? EXPECTED : undefined;
}
