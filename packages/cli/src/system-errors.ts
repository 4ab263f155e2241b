/** What the operating system refuses, in words, and with which exit code a command ends over it (sysexits.h). */

interface Meaning {
  readonly words: string;
  readonly exit: number;
  /** What to do. */
  readonly todo: string;
}

const CANNOT_CREATE = 73;
const IO = 74;
const OS = 71;
const UNAVAILABLE = 69;
const NO_PERMISSION = 77;

const network = (words: string): Meaning => ({
  words,
  exit: UNAVAILABLE,
  todo: 'check the address and the network',
});

/** By the code of Node's error. */
const meanings: Readonly<Record<string, Meaning>> = {
  ENOSPC: { words: 'no space is left on the disk', exit: IO, todo: 'make room, or name another folder' },
  EDQUOT: { words: 'the disk quota is used up', exit: IO, todo: 'make room, or name another folder' },
  EROFS: { words: 'the file system is read-only', exit: CANNOT_CREATE, todo: 'name another folder' },
  EACCES: {
    words: 'permission denied',
    exit: NO_PERMISSION,
    todo: 'name another place, or have its owner allow it',
  },
  EPERM: {
    words: 'permission denied',
    exit: NO_PERMISSION,
    todo: 'name another place, or have its owner allow it',
  },
  ENOENT: { words: 'it does not exist', exit: 66, todo: 'check the path' },
  ENOTDIR: { words: 'a part of the path is a file', exit: CANNOT_CREATE, todo: 'check the path' },
  EISDIR: { words: 'it is a folder', exit: CANNOT_CREATE, todo: 'name a file' },
  EEXIST: { words: 'it exists already', exit: CANNOT_CREATE, todo: 'name another' },
  ELOOP: { words: 'its symbolic links lead back to themselves', exit: CANNOT_CREATE, todo: 'fix the link' },
  ENAMETOOLONG: { words: 'the path is too long', exit: CANNOT_CREATE, todo: 'use a shorter one' },
  EXDEV: { words: 'it is on another file system', exit: CANNOT_CREATE, todo: 'name another place' },
  EBUSY: { words: 'it is in use', exit: IO, todo: 'try again later' },
  EIO: { words: 'the disk reported an error', exit: IO, todo: 'check the disk' },
  ESTALE: { words: 'the network share has gone', exit: IO, todo: 'mount it again' },
  EFBIG: {
    words: 'the file would become larger than is allowed',
    exit: IO,
    todo: 'raise the limit (ulimit -f)',
  },
  EPIPE: { words: 'whoever read the output has left', exit: IO, todo: 'try again' },
  EBADF: {
    words: 'a file or stream was closed from outside',
    exit: IO,
    todo: 'check how the command is started',
  },
  EMFILE: { words: 'too many files are open', exit: OS, todo: 'raise the limit (ulimit -n)' },
  ENFILE: { words: 'too many files are open on this machine', exit: OS, todo: 'close some programs' },
  ENOMEM: {
    words: 'the system has no memory left',
    exit: OS,
    todo: 'stop other programs, or raise the limit',
  },
  EAGAIN: { words: 'the system has nothing left to give', exit: OS, todo: 'raise the limit (ulimit -u)' },
  EADDRINUSE: { words: 'the address is in use', exit: UNAVAILABLE, todo: 'use another port' },
  EADDRNOTAVAIL: {
    words: 'this machine does not have the address',
    exit: UNAVAILABLE,
    todo: 'use another address',
  },
  EAFNOSUPPORT: { words: 'this machine has no IPv6', exit: UNAVAILABLE, todo: 'use an IPv4 address' },
  ECONNREFUSED: network('nobody listens there'),
  ECONNRESET: network('the other end broke the connection'),
  ETIMEDOUT: network('no answer came in time'),
  EHOSTUNREACH: network('the host cannot be reached'),
  ENETUNREACH: network('the network cannot be reached'),
  ENOTFOUND: network('no host has this name'),
  EAI_AGAIN: network('the name cannot be resolved now'),
  ERR_DLOPEN_FAILED: {
    words: 'a native module does not load on this machine',
    exit: UNAVAILABLE,
    todo: 'install again on this machine (npm install)',
  },
  ERR_WORKER_OUT_OF_MEMORY: { words: 'a thread has no memory left', exit: OS, todo: 'use fewer slots' },
  ERR_SQLITE_ERROR: {
    words: 'the database of the state folder refuses',
    exit: IO,
    todo: 'see docs/troubleshooting.md',
  },
};

/** Shape of an error of Node's system calls. */
interface SystemError {
  readonly code: string;
  readonly syscall?: unknown;
  readonly path?: unknown;
  readonly message: string;
}

/** One line and an exit code; undefined when the system has nothing to do with it. */
export function systemFailure(
  error: unknown,
): { readonly message: string; readonly exit: number } | undefined {
  if (isOutOfMemory(error)) {
    return {
      message:
        'not enough memory; stop other programs, raise the limit (ulimit -v), or use a smaller batch or model',
      exit: OS,
    };
  }
  if (!isSystemError(error)) return undefined;
  const { code, syscall, path, message } = error;
  if (syscall === 'uv_cwd')
    return { message: 'the working directory is gone; cd to one that exists', exit: 66 };
  const known = Object.hasOwn(meanings, code) ? meanings[code] : undefined;
  if (!known)
    return typeof syscall === 'string' ? { message: `the system refuses: ${message}`, exit: OS } : undefined;
  const what = subject(syscall, path);
  const said = code.startsWith('ERR_') ? ` (${message.split('\n')[0]})` : '';
  return { message: `${what}${known.words}${said}; ${known.todo}`, exit: known.exit };
}

/** What it was done with, as the beginning of a sentence. */
function subject(syscall: unknown, path: unknown): string {
  const program = typeof syscall === 'string' ? /^spawn (.+)$/.exec(syscall)?.[1] : undefined;
  if (program !== undefined) return `${program} could not be started: `;
  return typeof path === 'string' ? `${path}: ` : '';
}

const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && typeof (error as { code?: unknown }).code === 'string';

const isOutOfMemory = (error: unknown): boolean =>
  error instanceof RangeError && /allocat|out of memory|Invalid array buffer length/i.test(error.message);
