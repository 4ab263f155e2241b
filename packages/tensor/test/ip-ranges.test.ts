/** IP addresses that peers may share without TLS, and those that jobs may not fetch data from. */
import { expect, it } from 'vitest';
import { isNotPublic, isOfPrivateNetwork } from '../src/node/ip-ranges.ts';

it.each([
  ...['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '100.127.255.255'],
  ...['fc00::1', 'fd12:3456::1', 'FD00::1'],
])('%s is in a private network', (ip) => {
  expect([isOfPrivateNetwork(ip), isNotPublic(ip)]).toEqual([true, true]);
});

it.each(['127.0.0.1', '::1', '169.254.1.1', 'fe80::1', '224.0.0.1', '0.0.0.0', '2001:db8::1'])(
  '%s is in no private network, but not public either',
  (ip) => {
    expect([isOfPrivateNetwork(ip), isNotPublic(ip)]).toEqual([false, true]);
  },
);

it.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1', '::ffff:8.8.8.8'])('%s is public', (ip) => {
  expect([isOfPrivateNetwork(ip), isNotPublic(ip)]).toEqual([false, false]);
});

it('an address that is no IP address is in no private network', () => {
  for (const text of ['', 'localhost', '10.0.0.1:80', 'fd12', '[fd12::1]'])
    expect(isOfPrivateNetwork(text)).toBe(false);
});
