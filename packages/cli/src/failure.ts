/** How the command line fails: one clear line and an exit code of the protocol package's table. */
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';
import { err } from './say.ts';

/** Prints what went wrong and returns the exit code. Stack traces only with KASANE_DEBUG=1. */
export function reportFailure(error: unknown): number {
  const known = error instanceof KasaneError;
  if (process.env.KASANE_DEBUG === '1' && error instanceof Error) err.write(`${error.stack}\n`);
  const hint = known ? '' : ' (a bug: KASANE_DEBUG=1 shows where)';
  // A job file with several faults has a line for each; the first is mended first.
  const [first, ...others] = messageOf(error).split('\n');
  const more = others.length > 0 ? ` (and ${others.length} more)` : '';
  err.write(`kasane: ${first}${more}${hint}\n`);
  return known ? errorCodes[error.code].exit : 70;
}
