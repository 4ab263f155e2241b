/** How the command line fails: one clear line and an exit code of the protocol package's table. */
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';

/** Prints what went wrong and returns the exit code. Stack traces only with KASANE_DEBUG=1. */
export function reportFailure(error: unknown): number {
  const known = error instanceof KasaneError;
  if (process.env.KASANE_DEBUG === '1' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  const hint = known ? '' : ' (a bug: KASANE_DEBUG=1 shows where)';
  process.stderr.write(`kasane: ${messageOf(error)}${hint}\n`);
  return known ? errorCodes[error.code].exit : 70;
}
