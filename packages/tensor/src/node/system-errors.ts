/** What the operating system refuses, in words: the one table of its error codes. Whoever adds a path, an exit code or other advice starts from here. */

export interface SystemMeaning {
  /** What happened, as a clause without its subject. */
  readonly words: string;
  /** What to do, where the caller knows nothing better. */
  readonly todo: string;
}

const network = (words: string): SystemMeaning => ({ words, todo: 'check the address and the network' });
const denied: SystemMeaning = {
  words: 'permission denied',
  todo: 'use another path, or ask its owner for permission',
};

const meanings = {
  // Disks.
  ENOSPC: { words: 'no space is left on the disk', todo: 'free up space, or use another folder' },
  EDQUOT: { words: 'the disk quota is used up', todo: 'free up space, or use another folder' },
  EROFS: { words: 'the file system is read-only', todo: 'use another folder' },
  EIO: { words: 'the disk or network share reported an error', todo: 'check the disk' },
  ESTALE: { words: 'the network share has replaced it', todo: 'mount the share again' },
  EFBIG: { words: 'the file would exceed the size limit', todo: 'raise the limit (ulimit -f)' },
  // Paths.
  EACCES: denied,
  EPERM: denied,
  ENOENT: { words: 'file or folder not found', todo: 'check the path' },
  ENOTDIR: { words: 'a part of the path is a file, not a folder', todo: 'check the path' },
  EISDIR: { words: 'it is a folder', todo: 'give a file' },
  EEXIST: { words: 'it already exists', todo: 'use another name' },
  ENOTEMPTY: { words: 'the folder is not empty', todo: 'use another, or empty it' },
  ELOOP: { words: 'its symbolic links form a loop', todo: 'fix the link' },
  ENAMETOOLONG: { words: 'the path is too long', todo: 'use a shorter one' },
  EXDEV: { words: 'it is on another file system', todo: 'use another path' },
  EBUSY: { words: 'it is in use', todo: 'try again later' },
  ETXTBSY: { words: 'it is a program that is running', todo: 'use another file' },
  ENXIO: { words: 'it is a socket, or its device is missing', todo: 'give a regular file' },
  ENODEV: { words: 'its device is missing', todo: 'check the disk' },
  EINVAL: { words: 'the system rejected the value', todo: 'check the value' },
  ERR_INVALID_ARG_VALUE: { words: 'a path cannot contain NUL characters', todo: 'check the path' },
  // Streams.
  EPIPE: { words: 'the other end closed the connection', todo: 'try again' },
  EBADF: {
    words: 'a file or stream was closed by another program',
    todo: 'check how the command is started',
  },
  ESRCH: { words: 'process not found', todo: 'check whether it still runs' },
  // Limits.
  EMFILE: { words: 'too many files are open', todo: 'raise the limit (ulimit -n)' },
  ENFILE: { words: 'too many files are open on this machine', todo: 'close some programs' },
  ENOMEM: { words: 'the system has no memory left', todo: 'stop other programs, or raise the limit' },
  EAGAIN: { words: 'the system is out of resources', todo: 'raise the limit (ulimit -u)' },
  // Networks.
  EADDRINUSE: { words: 'the port is in use', todo: 'use another port' },
  EADDRNOTAVAIL: { words: 'this machine does not have that address', todo: 'use another address' },
  EAFNOSUPPORT: { words: 'this machine has no IPv6', todo: 'use an IPv4 address' },
  ECONNREFUSED: network('connection refused'),
  ECONNRESET: network('the other end closed the connection'),
  ECONNABORTED: network('the connection was aborted'),
  ETIMEDOUT: network('timed out'),
  EHOSTUNREACH: network('the host cannot be reached'),
  EHOSTDOWN: network('the host is down'),
  ENETUNREACH: network('the network cannot be reached'),
  ENETDOWN: network('the network is down'),
  ENOTFOUND: network('no host has that name'),
  EAI_AGAIN: network('the name cannot be resolved now'),
} as const satisfies Readonly<Record<string, SystemMeaning>>;

/** Codes that have words. */
export type SystemCode = keyof typeof meanings;

export const systemCodes = Object.keys(meanings) as readonly SystemCode[];

/** The system's code of an error, where it is one that has words. */
export function systemCodeOf(error: unknown): SystemCode | undefined {
  const code = (error as { code?: unknown } | undefined | null)?.code;
  return typeof code === 'string' && Object.hasOwn(meanings, code) ? (code as SystemCode) : undefined;
}

export const meaningOf = (code: SystemCode): SystemMeaning => meanings[code];

/** What an error of the system says, without its number; undefined for one that is not the system's. */
export function systemWords(error: unknown): string | undefined {
  const code = systemCodeOf(error);
  return code && meanings[code].words;
}

const NO_TLS = 'it does not speak TLS';

/** What two ends of TLS find wrong, by the codes of Node and OpenSSL; of the rest the words say enough. */
const insecure: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; check the clocks',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed, and this machine does not trust it',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is from a CA that this machine does not trust',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is from a CA that this machine does not trust',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is from a CA that this machine does not trust',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is from a CA that this machine does not trust',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for other names than this address',
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  EPROTO: 'the two ends have no common TLS version or cipher',
};

/** Whether an end of TLS does not accept the other: to try again is of no use. */
export function isInsecure(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' && Object.hasOwn(insecure, code);
}

/** What went wrong with a connection, as a clause; undefined where it is neither the system nor TLS that says so. */
export function connectionWords(error: unknown): string | undefined {
  const { code, errors, message } = (error ?? {}) as Partial<Record<'code' | 'errors' | 'message', unknown>>;
  // A host with several addresses fails with one error for each; they mostly say the same.
  const each = Array.isArray(errors) ? new Set(errors.map(connectionWords)) : new Set<undefined>();
  each.delete(undefined);
  if (each.size > 0) return [...each].join('; ');
  // OpenSSL's own code is in the text alone where a call failed over it.
  if (code === 'EPROTO' && /wrong version number|packet length too long/i.test(String(message)))
    return NO_TLS;
  const said = isInsecure(error) ? insecure[code as string] : undefined;
  return said ?? systemWords(error);
}

/** Node's text of a failed call on the network, wherever it stands: call, code, address, and where it was called from. */
const CALL =
  /\b(?:connect|getaddrinfo|bind|listen|read|write|send|recv|shutdown) (E[A-Z_]{2,})\b(?: ([\w.:%[\]-]*[\w\]]))?(?: - Local \([^)]*\))?/g;

/** Node's text of a thread that could not be started. */
const THREAD = /^Worker initialization failure: (E[A-Z]+)$/;

/** A text of Node's, or of a library that passes it on, with what the system says in words. */
export function inWords(text: string): string {
  const refused = THREAD.exec(text)?.[1];
  if (refused !== undefined && Object.hasOwn(meanings, refused)) {
    const { words, todo } = meanings[refused as SystemCode];
    return `a thread could not be started: ${words}; ${todo}`;
  }
  return text.replace(CALL, (whole, code: string, at: string | undefined) => {
    if (!Object.hasOwn(meanings, code)) return whole;
    const { words } = meanings[code as SystemCode];
    return at === undefined ? words : `${at}: ${words}`;
  });
}
