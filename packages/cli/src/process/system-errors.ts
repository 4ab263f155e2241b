/** What the operating system refuses, in words, and with which exit code a command ends over it (sysexits.h). */
import { hostPort } from '@kasane/protocol/internal/ports/address';
import {
  meaningOf,
  type SystemCode,
  type SystemMeaning,
  systemCodeOf,
} from '@kasane/tensor/internal/node/system-errors';
import { NO_THREADS } from '@kasane/tensor/internal/node/thread-answer';

const CANNOT_CREATE = 73;
const IO = 74;
const OS = 71;
const UNAVAILABLE = 69;
const NO_PERMISSION = 77;
const NO_INPUT = 66;

/** By the code of the system; a code that is forgotten here does not compile. */
const exits: Readonly<Record<SystemCode, number>> = {
  ...{
    ENOSPC: IO,
    EDQUOT: IO,
    EIO: IO,
    ESTALE: IO,
    EFBIG: IO,
    EBUSY: IO,
    EPIPE: IO,
    EBADF: IO,
    ENODEV: IO,
    ENXIO: IO,
  },
  ...{ EROFS: CANNOT_CREATE, ENOTDIR: CANNOT_CREATE, EISDIR: CANNOT_CREATE, EEXIST: CANNOT_CREATE },
  ...{ ENOTEMPTY: CANNOT_CREATE, ELOOP: CANNOT_CREATE, ENAMETOOLONG: CANNOT_CREATE, EXDEV: CANNOT_CREATE },
  ...{ ETXTBSY: CANNOT_CREATE, EACCES: NO_PERMISSION, EPERM: NO_PERMISSION, ENOENT: NO_INPUT },
  ...{
    ESRCH: OS,
    EINVAL: OS,
    ERR_INVALID_ARG_VALUE: NO_INPUT,
    EMFILE: OS,
    ENFILE: OS,
    ENOMEM: OS,
    EAGAIN: OS,
  },
  ...{ EADDRINUSE: UNAVAILABLE, EADDRNOTAVAIL: UNAVAILABLE, EAFNOSUPPORT: UNAVAILABLE },
  ...{
    ECONNREFUSED: UNAVAILABLE,
    ECONNRESET: UNAVAILABLE,
    ECONNABORTED: UNAVAILABLE,
    ETIMEDOUT: UNAVAILABLE,
  },
  ...{ EHOSTUNREACH: UNAVAILABLE, EHOSTDOWN: UNAVAILABLE, ENETUNREACH: UNAVAILABLE, ENETDOWN: UNAVAILABLE },
  ...{ ENOTFOUND: UNAVAILABLE, EAI_AGAIN: UNAVAILABLE },
};

interface Meaning extends SystemMeaning {
  readonly exit: number;
}

/** Codes of Node's own, which no operating system has. */
const ofNode: Readonly<Record<string, Meaning>> = {
  ERR_DLOPEN_FAILED: {
    words: 'a native module cannot be loaded on this machine',
    exit: UNAVAILABLE,
    todo: 'reinstall on this machine (npm install)',
  },
  ERR_WORKER_INIT_FAILED: { ...NO_THREADS, exit: OS },
  ERR_WORKER_OUT_OF_MEMORY: { words: 'a thread ran out of memory', exit: OS, todo: 'use fewer slots' },
  ERR_SQLITE_ERROR: {
    words: 'the database in the state folder reported an error',
    exit: IO,
    todo: 'see docs/troubleshooting.md',
  },
};

function knownOf(error: SystemError): Meaning | undefined {
  const code = systemCodeOf(error);
  if (code !== undefined) return { ...meaningOf(code), exit: exits[code] };
  return Object.hasOwn(ofNode, error.code) ? ofNode[error.code] : undefined;
}

/** Shape of an error of Node's system calls. */
interface SystemError {
  readonly code: string;
  readonly syscall?: unknown;
  readonly path?: unknown;
  readonly address?: unknown;
  readonly hostname?: unknown;
  readonly port?: unknown;
  readonly message: string;
}

interface SystemFailure {
  readonly message: string;
  /** The part of it that says what happened: neither with what, nor what to do. */
  readonly words: string;
  readonly exit: number;
}

/** One line and an exit code; undefined when the system has nothing to do with it. */
export function systemFailure(error: unknown): SystemFailure | undefined {
  if (isOutOfMemory(error)) {
    const words = 'not enough memory';
    const todo = 'stop other programs, raise the limit (ulimit -v), or use a smaller batch or model';
    return { message: `${words}; ${todo}`, words, exit: OS };
  }
  if (!isSystemError(error)) return undefined;
  const { syscall, message } = error;
  if (syscall === 'uv_cwd') {
    const words = 'the working directory no longer exists';
    return { message: `${words}; cd to another one`, words, exit: 66 };
  }
  const known = knownOf(error);
  if (!known) {
    if (typeof syscall !== 'string') return undefined;
    const words = `the system reported an error: ${message}`;
    return { message: words, words, exit: OS };
  }
  // What Node's own codes are about stands in their messages alone.
  const said = systemCodeOf(error) === undefined ? ` (${message.split('\n')[0]})` : '';
  const words = `${known.words}${said}`;
  return { message: `${subject(error)}${words}; ${known.todo}`, words, exit: known.exit };
}

/** What it was done with, as the beginning of a sentence. */
function subject({ syscall, path, address, hostname, port }: SystemError): string {
  const program = typeof syscall === 'string' ? /^spawn (.+)$/.exec(syscall)?.[1] : undefined;
  if (program !== undefined) return `${program} could not be started: `;
  if (typeof path === 'string') return `${path}: `;
  const host = address ?? hostname;
  if (typeof host !== 'string') return '';
  return typeof port === 'number' ? `${hostPort(host, port)}: ` : `${host}: `;
}

const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && typeof (error as { code?: unknown }).code === 'string';

const isOutOfMemory = (error: unknown): boolean =>
  error instanceof RangeError && /allocat|out of memory|Invalid array buffer length/i.test(error.message);
