/** Ranges of IP addresses that are not on the public internet. Access rules and peer links decide by this one table. */
import { BlockList, isIP } from 'node:net';

type Range = readonly [network: string, bits: number];

/** Private networks, including those of carriers (100.64.0.0/10). */
const privateIpv4: readonly Range[] = [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
];
const privateIpv6: readonly Range[] = [['fc00::', 7]];

/** Loopback, link-local, multicast and reserved ranges (IANA's special-purpose registry, RFC 6890). */
const specialIpv4: readonly Range[] = [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  // Azure's metadata service, which tells each virtual machine about itself.
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];

/** Parts of global unicast that lead elsewhere: protocols (Teredo among them) and 6to4, which reach any IPv4 address, and documentation. */
const specialIpv6: readonly Range[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

/** Prefixes that contain an IPv4 address: mapped, and behind a NAT64 gateway (RFC 6052). */
const IPV4_INSIDE = ['::ffff:', '64:ff9b::'];

function listOf(ipv4: readonly Range[], ipv6: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const [network, bits] of ipv4) list.addSubnet(network, bits, 'ipv4');
  for (const [network, bits] of ipv6) list.addSubnet(network, bits, 'ipv6');
  return list;
}

const privateNetworks = listOf(privateIpv4, privateIpv6);

const everyIpv4 = [...privateIpv4, ...specialIpv4];
const notPublic = listOf(everyIpv4, [
  ...specialIpv6,
  ...IPV4_INSIDE.flatMap((prefix) =>
    everyIpv4.map(([network, bits]): Range => [`${prefix}${network}`, 96 + bits]),
  ),
]);
/** IPv6 is public only here, and outside `notPublic`. */
const globalIpv6 = listOf(
  [],
  [['2000::', 3], ...IPV4_INSIDE.map((prefix): Range => [`${prefix}0.0.0.0`, 96])],
);

const familyOf = (ip: string) => (isIP(ip) === 6 ? 'ipv6' : 'ipv4');

/** Whether an IP address belongs to a private network. Loopback and link-local addresses do not. */
export const isOfPrivateNetwork = (ip: string): boolean =>
  isIP(ip) > 0 && privateNetworks.check(ip, familyOf(ip));

/** Whether an IP address is not on the public internet: loopback, link-local, private, reserved or multicast. */
export function isNotPublic(ip: string): boolean {
  const family = familyOf(ip);
  return notPublic.check(ip, family) || (family === 'ipv6' && !globalIpv6.check(ip, family));
}
