/** How long jobs take, where clocks may be set back between two looks at them. */
import type { Job } from '../gen/kasane/v1/jobs.ts';

/**
 * Seconds from the start of a job to its end, or to now: as many as its epochs took at least, which are measured without the clock.
 * 0 of a job that has not started.
 */
export function elapsedSeconds(
  { startedAt, endedAt, history }: Pick<Job, 'startedAt' | 'endedAt' | 'history'>,
  now = Date.now(),
): number {
  if (startedAt === 0) return 0;
  const epochs = history.reduce((sum, { seconds }) => sum + seconds, 0);
  return Math.max(epochs, ((endedAt || now) - startedAt) / 1000);
}
