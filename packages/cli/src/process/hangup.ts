/**
 * SIGHUP, which a terminal sends when it is closed. `nohup` has programs ignore it, and Node undoes that at its start; what nohup leaves
 * to be seen is that no standard stream is a terminal. Then it is ignored here.
 */
import { isatty } from 'node:tty';

/** Whether a terminal that is closed is no reason to end. */
const outlivesTerminal = ![0, 1, 2].some((stream) => isatty(stream));

/** What asks a command to stop. */
export const stopSignals: readonly ('SIGINT' | 'SIGTERM' | 'SIGHUP')[] = outlivesTerminal
  ? ['SIGINT', 'SIGTERM']
  : ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Goes on when the terminal is closed that this process was started from, if nohup, or something like it, took its streams away. */
export function outliveTerminal(): void {
  if (outlivesTerminal) process.on('SIGHUP', () => {});
}
