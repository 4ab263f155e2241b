/** The command `kasane status`. Loads nothing heavy. */
import { asks, command, help } from '../../program/program.ts';

export function addStatus(): void {
  asks(command('status', 'summarize the coordinator, its workers and jobs'))
    .addHelpText(
      'after',
      help(
        ['kasane status', 'kasane status --coordinator 10.0.0.1:7420'],
        [
          '{ coordinator, version, uptimeSeconds, workers, slots, tasksHeld, jobs: [as in kasane jobs], ended }',
        ],
      ),
    )
    .action(async (options) => (await import('./status.ts')).status(options));
}
