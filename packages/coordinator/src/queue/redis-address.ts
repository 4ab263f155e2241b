/** Addresses of a Redis, as users write them. A password in one is never part of a message, however it is written. */
import { KasaneError } from '@kasane/protocol/errors';

const ESCAPES = '@ as %40, / as %2F, : as %3A, # as %23, ? as %3F, % as %25';

/** @throws KasaneError USAGE, without what may be secret in it */
export function redisAddress(url: string): URL {
  const refuse = (why: string) => new KasaneError('USAGE', `the address of Redis: ${why}`);
  if (!/^rediss?:\/\//.test(url)) throw refuse('redis://HOST:PORT or rediss://HOST:PORT is expected');
  const unescaped = refuse(`in a user or password, write ${ESCAPES}`);
  const [, user] = /^\w+:\/\/(.*)@/s.exec(url) ?? [];
  // What ends the part with the host for one reader, and not for another: some of a password would pass for a host.
  if (user !== undefined && (/[/?#@\\\s]/.test(user) || user.split(':').length > 2)) throw unescaped;
  if (!URL.canParse(url)) throw refuse('redis://HOST:PORT is expected, with a port from 1 to 65535');
  const parsed = new URL(url);
  if (parsed.hostname === '') throw refuse('it has no host; redis://HOST:PORT is expected');
  try {
    decodeURIComponent(parsed.username + parsed.password);
  } catch {
    throw unescaped;
  }
  return parsed;
}
