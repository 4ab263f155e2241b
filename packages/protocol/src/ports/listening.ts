/** Why an address to listen on cannot be had. */
import { systemWords } from '@kasane/tensor/internal/node/system-errors';
import { KasaneError, messageOf } from '../errors.ts';
import { hostPort } from './address.ts';

/** What is true of listening only. */
const reasons: Readonly<Record<string, string>> = {
  EACCES: 'this user may not listen on that port',
  EINVAL: 'it is not an address to listen on',
};

/** @param flags those by which another address is chosen: of the host, and of the port */
export function cannotListen(
  host: string,
  port: number,
  error: unknown,
  flags: { readonly host: string; readonly port: string },
): KasaneError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const why = Object.hasOwn(reasons, code) ? reasons[code] : (systemWords(error) ?? messageOf(error));
  const aboutPort = code === 'EADDRINUSE' || code === 'EACCES';
  const right = aboutPort
    ? `choose another with ${flags.port}${code === 'EADDRINUSE' ? ', or stop the program that uses it' : ''}`
    : `choose another with ${flags.host}`;
  return new KasaneError('CANNOT_LISTEN', `cannot listen on ${hostPort(host, port)}: ${why}; ${right}`, {
    cause: error,
  });
}
