/** The commands that ask a coordinator: about jobs, workers, and what happens. Their tables only; each loads what it needs. */
import { integer } from '../program/options.ts';
import { asks, command, coordinator, help, tensorboard, token } from '../program/program.ts';

const PRIORITY_HELP =
  'priority from -1000 to 1000; the highest runs first, jobs of equal priority take turns';

/** Adds them to the program. */
export function addAskingCommands(): void {
  asks(
    command('submit <job>', "submit a job file or preset and print the job's ID")
      .option('--watch', 'follow the job until it ends')
      .option('--priority <n>', PRIORITY_HELP, integer(-1000, 1000), 0),
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane submit mnist-mlp --watch',
          'kasane submit job.yaml --priority 5',
          'sed s/0.01/0.02/ job.yaml | kasane submit -',
        ],
        ['{ job }'],
      ),
    )
    .action(async (job, options) => (await import('./jobs/jobs.ts')).submit(job, options));

  asks(command('jobs', 'list jobs, newest first'), 'print a JSON array of objects')
    .addHelpText(
      'after',
      help(
        ['kasane jobs', 'kasane jobs --json | jq ".[] | select(.state == \\"failed\\").job"'],
        [
          '[{ job, name, state, error, waitingFor, waitingReason: { code, args }, epoch, epochs, priority, step, steps,',
          '   trainLoss, metric, trainMetric, testLoss, testMetric, trainAccuracy, testAccuracy, samplesPerSecond, workers,',
          '   submittedAt, startedAt, endedAt, digest, model }]',
          'state: queued, running, paused, succeeded, failed, cancelled',
        ],
      ),
    )
    .action(async (options) => (await import('./jobs/jobs.ts')).jobs(options));

  asks(command('workers', 'list the connected workers'), 'print a JSON array of objects')
    .addHelpText(
      'after',
      help(
        ['kasane workers'],
        [
          '[{ id, host, slots, connectedAt: ms since 1970, tasksDone, tasksHeld, backend, draining, busy, waiting, silentMs,',
          '   bytesReceived, bytesSent, tasksFailed, resting: [{ code, args, text }] }]',
          'resting: why it currently gets no shards of a job',
        ],
      ),
    )
    .action(async (options) => (await import('./jobs/jobs.ts')).workers(options));

  asks(command('drain <worker>', 'stop a worker after its current tasks'))
    .addHelpText('after', help(['kasane drain rack-3-4711-9f3c'], ['the worker, as in kasane workers']))
    .action(async (worker, options) => (await import('./jobs/jobs.ts')).drain(worker, options));

  command('watch <job>', 'follow a job until it ends')
    .option('--json', 'print one JSON object per change')
    .addOption(tensorboard().conflicts('json'))
    .addOption(coordinator())
    .addOption(token())
    .addHelpText(
      'after',
      help(['kasane watch mnist-mlp-1a2b3c4d'], ['the job at each change, as in kasane jobs']),
    )
    .action(async (job, options) => (await import('./jobs/jobs.ts')).watch(job, options));

  asks(command('cancel <job>', 'stop a job'))
    .addHelpText('after', help(['kasane cancel mnist-mlp-1a2b3c4d'], ['the job, as in kasane jobs']))
    .action(async (job, options) => (await import('./jobs/jobs.ts')).cancel(job, options));

  asks(command('pause <job>', 'pause a job, keeping its progress'))
    .addHelpText(
      'after',
      help(
        ['kasane pause mnist-mlp-1a2b3c4d', 'kasane resume mnist-mlp-1a2b3c4d'],
        ['the job, as in kasane jobs'],
      ),
    )
    .action(async (job, options) => (await import('./jobs/jobs.ts')).pause(job, options));

  asks(
    command('retry <job>', 'run a finished job again from the start and print the new ID').option(
      '--watch',
      'follow the job until it ends',
    ),
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane retry mnist-mlp-1a2b3c4d --watch',
          'To continue from the last checkpoint instead, use kasane resume.',
        ],
        ['{ job: the new ID }'],
      ),
    )
    .action(async (job, options) => (await import('./jobs/jobs.ts')).retry(job, options));

  asks(command('priority <job>', "set a job's priority").argument('<n>', PRIORITY_HELP, integer(-1000, 1000)))
    .addHelpText(
      'after',
      help(
        ['kasane priority mnist-mlp-1a2b3c4d 5', 'kasane priority mnist-mlp-1a2b3c4d -5'],
        ['the job, as in kasane jobs'],
      ),
    )
    .action(async (job, n, options) => (await import('./jobs/jobs.ts')).priority(job, n, options));

  asks(
    command('resume <job>', 'continue a paused job, or a finished one from its last checkpoint')
      .option('--epochs <n>', 'number of additional epochs', integer(1))
      .option('--watch', 'follow the job until it ends'),
  )
    .addHelpText(
      'after',
      help(
        ['kasane resume mnist-mlp-1a2b3c4d', 'kasane resume mnist-mlp-1a2b3c4d --epochs 5 --watch'],
        ['the job, as in kasane jobs'],
      ),
    )
    .action(async (job, options) => (await import('./jobs/jobs.ts')).resume(job, options));

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
    .action(async (options) => (await import('./top/top.ts')).top(options));

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
          'time: null for what an earlier version recorded without it',
        ],
      ),
    )
    .action(async (job, options) => (await import('./logs/logs.ts')).logs(job, options));

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
    .action(async (options) => (await import('./status/status.ts')).status(options));
}
