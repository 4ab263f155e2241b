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
  todo: 'name another place, or have its owner allow it',
};

const meanings = {
  // Disks.
  ENOSPC: { words: 'no space is left on the disk', todo: 'make room, or name another folder' },
  EDQUOT: { words: 'the disk quota is used up', todo: 'make room, or name another folder' },
  EROFS: { words: 'the file system is read-only', todo: 'name another folder' },
  EIO: { words: 'the disk or network share reported an error', todo: 'check the disk' },
  ESTALE: { words: 'the network share has replaced it', todo: 'mount the share again' },
  EFBIG: { words: 'the file would become larger than is allowed', todo: 'raise the limit (ulimit -f)' },
  // Paths.
  EACCES: denied,
  EPERM: denied,
  ENOENT: { words: 'there is no such file or folder', todo: 'check the path' },
  ENOTDIR: { words: 'a part of the path is a file, not a folder', todo: 'check the path' },
  EISDIR: { words: 'it is a folder', todo: 'name a file' },
  EEXIST: { words: 'it exists already', todo: 'name another' },
  ENOTEMPTY: { words: 'the folder is not empty', todo: 'name another, or empty it' },
  ELOOP: { words: 'its symbolic links lead back to themselves', todo: 'fix the link' },
  ENAMETOOLONG: { words: 'the path is too long', todo: 'use a shorter one' },
  EXDEV: { words: 'it is on another file system', todo: 'name another place' },
  EBUSY: { words: 'it is in use', todo: 'try again later' },
  ETXTBSY: { words: 'it is a program that is running', todo: 'name another file' },
  ENXIO: { words: 'it is a socket, or a device that is not there', todo: 'name a regular file' },
  ENODEV: { words: 'its device is not there', todo: 'check the disk' },
  EINVAL: { words: 'the system does not accept it', todo: 'check the value' },
  ERR_INVALID_ARG_VALUE: { words: 'a path holds no NUL character', todo: 'check the path' },
  // Streams.
  EPIPE: { words: 'whoever read the output has left', todo: 'try again' },
  EBADF: { words: 'a file or stream was closed from outside', todo: 'check how the command is started' },
  ESRCH: { words: 'there is no such process', todo: 'check whether it still runs' },
  // Limits.
  EMFILE: { words: 'too many files are open', todo: 'raise the limit (ulimit -n)' },
  ENFILE: { words: 'too many files are open on this machine', todo: 'close some programs' },
  ENOMEM: { words: 'the system has no memory left', todo: 'stop other programs, or raise the limit' },
  EAGAIN: { words: 'the system has nothing left to give', todo: 'raise the limit (ulimit -u)' },
  // Networks.
  EADDRINUSE: { words: 'the port is in use', todo: 'use another port' },
  EADDRNOTAVAIL: { words: 'this machine does not have that address', todo: 'use another address' },
  EAFNOSUPPORT: { words: 'this machine has no IPv6', todo: 'use an IPv4 address' },
  ECONNREFUSED: network('nobody listens there'),
  ECONNRESET: network('the other end broke the connection'),
  ECONNABORTED: network('the connection was given up'),
  ETIMEDOUT: network('no answer came in time'),
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
