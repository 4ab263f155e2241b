/** How the command line fails: one clear line and an exit code of the protocol package's table. */
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';
import { err } from '../output/say.ts';
import { StoppedBySignal } from './stop.ts';
import { systemFailure } from './system-errors.ts';

/**
 * Errors that say what is wrong with what a user gave, by their names: those of other packages, which know no codes. What is in neither
 * list is a bug until somebody decides; a test walks the classes.
 */
export const userErrors: readonly string[] = [
  'DataError',
  'FileError',
  'GraphError',
  'LabelError',
  'LayerError',
  'ModelError',
  'ObjectiveError',
  'OnnxError',
  'OnnxImportError',
  'OptionError',
  'PresetError',
  'SafetensorsError',
];
/** These are ours to mend: whoever calls what throws one makes something of it that a user is told. */
export const ownErrors: readonly string[] = [
  'BatchError',
  'DeviceLostError',
  'GradientError',
  'IndexError',
  'KasaneError',
  'MlflowError',
  'OnnxFileError',
  'OnnxNodeError',
  'OpError',
  'UnsupportedError',
];

/** What an error comes to. */
export interface Failure {
  readonly message: string;
  readonly exit: number;
}

const UNFIT = errorCodes.DATA_INVALID.exit;
/** Exit code of what is ours to mend. */
export const BUG = 70;

/** The error and what caused it. */
function* causes(error: unknown): Generator<Error & { code?: unknown; syscall?: unknown }> {
  let at = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    yield at;
    at = at.cause;
  }
}

/** Whether it was caused by a file that does not exist. */
const isMissing = (error: unknown) => [...causes(error)].some(({ code }) => code === 'ENOENT');

export function failureOf(error: unknown): Failure {
  // Whoever asked for a path that depends on it, and says so as its own error.
  const withoutFolder = [...causes(error)].find(({ syscall }) => syscall === 'uv_cwd');
  if (withoutFolder) return systemFailure(withoutFolder)!;
  if (error instanceof StoppedBySignal) return { message: messageOf(error), exit: error.exit };
  const known =
    error instanceof KasaneError
      ? errorCodes[error.code].exit
      : error instanceof Error && userErrors.includes(error.name)
        ? UNFIT
        : undefined;
  if (known !== undefined) {
    // What is unfit because it does not exist has a code of its own, whoever found that out.
    const exit = known === UNFIT && isMissing(error) ? errorCodes.NO_INPUT.exit : known;
    return { message: messageOf(error), exit };
  }
  const system = systemFailure(error);
  if (system) return system;
  return { message: `${messageOf(error)} (this is a bug; set KASANE_DEBUG=1 for a stack trace)`, exit: BUG };
}

/** Prints what went wrong and returns the exit code. Stack traces only with KASANE_DEBUG=1. */
export function reportFailure(error: unknown): number {
  if (process.env.KASANE_DEBUG === '1' && error instanceof Error) err.write(`${error.stack}\n`);
  const { message, exit } = failureOf(error);
  // A job file with several faults has a line for each, indented: none of them can pass for a message of its own.
  const lines =
    error instanceof KasaneError && error.code === 'JOB_INVALID' ? message.split('\n') : [message];
  err.lines(...[`kasane: ${lines[0]}`, ...lines.slice(1).map((line) => `  ${line}`)]);
  return exit;
}
