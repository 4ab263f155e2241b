/** Addresses of a Redis, as users write them. A password in one is never part of a message, however it is written. */
import { KasaneError } from '../errors.ts';

const ESCAPES = '@ as %40, / as %2F, : as %3A, # as %23, ? as %3F, % as %25';

/** A Redis in an address, taken apart. */
export interface RedisAddress {
  /** HOST:PORT */
  readonly host: string;
  readonly database: number;
  readonly username: string;
  readonly password: string;
  /** Without the rest. */
  readonly server: string;
  /** For people: HOST:PORT, with /DATABASE where it is not the first one; never a user or password. */
  readonly place: string;
}

/** @throws KasaneError USAGE, without what may be secret in it */
export function redisAddress(url: string): RedisAddress {
  const refuse = (why: string) => new KasaneError('USAGE', `Redis URL: ${why}`);
  if (!/^rediss?:\/\//.test(url)) throw refuse('expected redis://HOST:PORT or rediss://HOST:PORT');
  const unescaped = refuse(`in the user or password, write ${ESCAPES}`);
  const [, user] = /^\w+:\/\/(.*)@/s.exec(url) ?? [];
  // What ends the part with the host for one reader, and not for another: some of a password would pass for a host.
  if (user !== undefined && (/[/?#@\\\s]/.test(user) || user.split(':').length > 2)) throw unescaped;
  // The host alone, which no part of a password can be any more.
  if (/^\w+:\/\/(?:[^@]*@)?[^[/?#@]*:[^[/?#@]*:/.test(url))
    throw refuse('write an IPv6 address in brackets, as in redis://[::1]:6379');
  if (!URL.canParse(url)) throw refuse('expected redis://HOST:PORT, with a port from 1 to 65535');
  const parsed = new URL(url);
  if (parsed.hostname === '') throw refuse('it has no host; expected redis://HOST:PORT');
  const { protocol, hostname, port, pathname } = parsed;
  const path = pathname.replace(/^\//, '') || '0';
  if (!/^\d{1,5}$/.test(path))
    throw refuse(`'${path}' is not a database number; expected redis://HOST:PORT/NUMBER`);
  const [host, database] = [`${hostname}:${port || 6379}`, Number(path)];
  try {
    const [username, password] = [parsed.username, parsed.password].map(decodeURIComponent) as [
      string,
      string,
    ];
    const place = database === 0 ? host : `${host}/${database}`;
    return { host, database, username, password, server: `${protocol}//${host}`, place };
  } catch {
    throw unescaped;
  }
}
