/**
 * Every error that a user of Kasane can meet, in one table: the code travels in gRPC metadata (`kasane-error`) and
 * decides the exit code of the command line.
 */
// Not of '@grpc/grpc-js', which loads all of gRPC: threads that call nobody have errors too.
import { Status as status } from '@grpc/grpc-js/build/src/constants.js';
import { connectionWords, inWords, systemWords } from '@kasane/tensor/internal/node/system-errors';

/** `exit` follows sysexits where it has a word for the case: 2 usage, 65 data, 66 no input, 69 unavailable, 70 software, 71 system, 73 cannot create, 77 permission. */
export const errorCodes = {
  /** A flag or argument of the command line is wrong. */
  USAGE: { exit: 2, grpc: status.INVALID_ARGUMENT },
  /** The job file does not parse or does not fit the schema. */
  JOB_INVALID: { exit: 65, grpc: status.INVALID_ARGUMENT },
  /** A data file is damaged, or does not fit the model. */
  DATA_INVALID: { exit: 65, grpc: status.INVALID_ARGUMENT },
  /** A file or folder that a command was given does not exist. */
  NO_INPUT: { exit: 66, grpc: status.NOT_FOUND },
  /** What a command makes cannot be written where it was told to. */
  CANNOT_WRITE: { exit: 73, grpc: status.FAILED_PRECONDITION },
  /** No job has this id. */
  JOB_NOT_FOUND: { exit: 66, grpc: status.NOT_FOUND },
  /** No sweep has this id. */
  SWEEP_NOT_FOUND: { exit: 66, grpc: status.NOT_FOUND },
  /** No registered model has this name and version, or this alias. */
  MODEL_NOT_FOUND: { exit: 66, grpc: status.NOT_FOUND },
  /** The name has this version already: versions never change. */
  MODEL_EXISTS: { exit: 65, grpc: status.ALREADY_EXISTS },
  /** No worker of this id is connected. */
  WORKER_NOT_FOUND: { exit: 66, grpc: status.NOT_FOUND },
  /** The job or sweep has ended, or has no weights yet: what was asked needs another state. */
  JOB_STATE: { exit: 65, grpc: status.FAILED_PRECONDITION },
  /** The job ran and failed, or all trials of a sweep did. */
  JOB_FAILED: { exit: 1, grpc: status.ABORTED },
  /** The job or sweep was cancelled while somebody waited for it. */
  JOB_CANCELLED: { exit: 1, grpc: status.CANCELLED },
  /** The coordinator or Redis cannot be reached. */
  UNREACHABLE: { exit: 69, grpc: status.UNAVAILABLE },
  /** This worker's Redis is not the coordinator's: tasks that the one hands out never reach the other. */
  OTHER_REDIS: { exit: 69, grpc: status.FAILED_PRECONDITION },
  /** The address to listen on is taken or not allowed. */
  CANNOT_LISTEN: { exit: 69, grpc: status.UNAVAILABLE },
  /** The token is missing or wrong: nobody knows who calls. */
  NOT_ALLOWED: { exit: 77, grpc: status.UNAUTHENTICATED },
  /** The token is valid, and does not allow this call. */
  SCOPE: { exit: 77, grpc: status.PERMISSION_DENIED },
  /** A limit of the protocol package's table is exceeded. */
  LIMIT: { exit: 65, grpc: status.RESOURCE_EXHAUSTED },
  /** The system lets this process open too few files. */
  OPEN_FILES: { exit: 71, grpc: status.RESOURCE_EXHAUSTED },
  /** What was asked to compute on is not there. */
  BACKEND: { exit: 69, grpc: status.UNAVAILABLE },
  /** A frame or message from the network does not decode. */
  PROTOCOL: { exit: 70, grpc: status.INVALID_ARGUMENT },
  /** Another worker that is connected has this name: it is free once that one has left. */
  WORKER_NAME: { exit: 69, grpc: status.ALREADY_EXISTS },
  /** What this worker sent was damaged or did not fit, again and again: the coordinator has sent it away. */
  QUARANTINED: { exit: 70, grpc: status.PERMISSION_DENIED },
  /** Another coordinator, or another program, has the state directory in use. */
  STATE_IN_USE: { exit: 69, grpc: status.UNAVAILABLE },
  /** The state directory cannot be read or written, or a later version of Kasane has written it. */
  STATE_UNUSABLE: { exit: 73, grpc: status.FAILED_PRECONDITION },
  /** A checkpoint, a model file or the coordinator's database is damaged. */
  FILE_DAMAGED: { exit: 65, grpc: status.DATA_LOSS },
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** An error whose message a user can act on: what was wrong, where, and what would be right. */
export class KasaneError extends Error {
  override readonly name = 'KasaneError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Wrappers of others' libraries that say nothing by themselves: their cause does. */
const wrappers = /^(fetch failed|terminated|internal error)$/i;

/** What anything thrown says, for people: never empty, never 'undefined'. What it was caused by follows where it says nothing itself. */
export function messageOf(error: unknown): string {
  const said = [...new Set(wordsOf(error, 0))];
  return said.length > 0 ? said.join(': ') : 'no reason given';
}

/** Of an error, and of those below it as far as they are needed. */
function wordsOf(error: unknown, depth: number): string[] {
  if (depth > 4 || error === undefined || error === null) return [];
  if (typeof error !== 'object') return String(error).trim() === '' ? [] : [String(error)];
  const { message, details, code, cause, errors, name, path } = error as Readonly<Record<string, unknown>>;
  // A file that the system refuses, without its error number.
  const refused = typeof path === 'string' ? systemWords(error) : undefined;
  if (refused !== undefined) return [`${path}: ${refused}`];
  const own = [message, details].find((text) => typeof text === 'string' && text.trim() !== '') as
    | string
    | undefined;
  if (own !== undefined && !wrappers.test(own)) return [inWords(own)];
  const several = Array.isArray(errors) ? [errors.flatMap((one) => wordsOf(one, depth + 1)).join('; ')] : [];
  const below = [...several, ...wordsOf(cause, depth + 1)].filter((text) => text !== '');
  const meant = below.length === 0 ? connectionWords(error) : undefined;
  if (meant !== undefined) return [...(own === undefined ? [] : [own]), meant];
  const named = typeof code === 'string' || typeof code === 'number' ? [`code ${code}`] : [];
  const last = named.length > 0 ? named : typeof name === 'string' && name !== 'Error' ? [name] : [];
  return [...(own === undefined ? [] : [own]), ...(below.length > 0 ? below : last)];
}
