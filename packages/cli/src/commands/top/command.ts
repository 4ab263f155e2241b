/** The command `kasane top`. Loads nothing heavy. */
import { asks, command, help } from '../../program/program.ts';

export function addTop(): void {
  asks(command('top', 'show jobs, charts, layers and workers live'), 'print one JSON object per event')
    .addHelpText(
      'after',
      help(
        ['kasane top', 'kasane top --json | tee events.jsonl'],
        [
          '{ time, subject: a job or a worker, event, args, message, reason: { code, args } }',
          'event: joined, left, or an event of kasane logs',
        ],
      ),
    )
    .action(async (options) => (await import('./top.ts')).top(options));
}
