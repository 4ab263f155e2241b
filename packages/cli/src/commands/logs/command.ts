/** The command `kasane logs`. Loads nothing heavy. */
import { asks, command, help } from '../../program/program.ts';

export function addLogs(): void {
  asks(
    command('logs <job>', "print a job's events").option(
      '-f, --follow',
      'keep printing new events until the job ends',
    ),
    'print one JSON object per line',
  )
    .addHelpText(
      'after',
      help(
        ['kasane logs mnist-mlp-1a2b3c4d -f'],
        [
          '{ time, event, args, message, reason: { code, args } }',
          'event: submitted, started, waiting, continued, paused, resumed, epoch, checkpoint, worker-joined,',
          '   worker-left, tasks-reissued, restarted, succeeded, failed, cancelled and others (see the docs)',
          'time: null if the version that recorded the event stored no time',
        ],
      ),
    )
    .action(async (job, options) => (await import('./logs.ts')).logs(job, options));
}
