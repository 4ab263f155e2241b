/** The range of job priorities. */
import { KasaneError } from '@kasane/protocol/errors';
import { PRIORITY } from '@kasane/protocol/limits';

/** @throws KasaneError USAGE */
export function checkPriority(priority: number): void {
  if (Math.abs(priority) <= PRIORITY) return;
  throw new KasaneError('USAGE', `priority ${priority}: expected a number from -${PRIORITY} to ${PRIORITY}`);
}
