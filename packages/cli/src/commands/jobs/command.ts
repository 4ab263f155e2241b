/** Jobs and workers of a coordinator: submit, jobs, workers, drain, watch, cancel, delete, pause, retry, priority and resume. Loads nothing heavy. */
import { addTrainingFlags, integer } from '../../program/options.ts';
import {
  asks,
  command,
  coordinator,
  dataPath,
  dryRun,
  help,
  tensorboard,
  token,
} from '../../program/program.ts';

export const PRIORITY_HELP = 'priority from -1000 to 1000; higher ones run first, equal ones take turns';

export function addSubmit(): void {
  const submit = asks(
    command('submit <job>', "submit a job file, program or preset and print the job's ID")
      .option('--watch', 'follow the job until it ends')
      .option('--priority <n>', PRIORITY_HELP, integer(-1000, 1000), 0)
      .addOption(dryRun().conflicts('watch'))
      .addOption(dataPath()),
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane submit mnist-mlp --watch',
          'kasane submit job.yaml --priority 5',
          'kasane submit model.ts',
          'kasane submit job.yaml --epochs 3 --dry-run',
          'sed s/0.01/0.02/ job.yaml | kasane submit -',
        ],
        [
          '{ job, notes: [] }',
          'with --dry-run: { name, parameters, trainingSamples, testSamples, stepsPerEpoch, steps, notes: [] }',
        ],
      ),
    )
    .action(async (job, options) => (await import('./jobs.ts')).submit(job, options));
  addTrainingFlags(submit);
}

export function addJobs(): void {
  asks(
    command('jobs', 'list jobs, newest first').option('--tag <tag>', 'only jobs with this tag'),
    'print a JSON array of objects',
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane jobs',
          'kasane jobs --tag baseline',
          `kasane jobs --json | jq -r '.[] | select(.state == "failed").job'`,
        ],
        [
          '[{ job, name, description, tags, state, error, waitingFor, waitingReason: { code, args }, epoch, epochs, priority, step, steps, localSteps,',
          '   trainLoss, metric, trainMetric, testLoss, testMetric, testMetrics: { f1, ... }, bestMetric, bestEpoch,',
          '   trainAccuracy, testAccuracy, samplesPerSecond, workers, submittedAt, startedAt, endedAt, digest, model,',
          '   models: registered with its weights, sweep, trial: null unless it is a trial of a sweep }]',
          'state: queued, running, paused, succeeded, failed, cancelled',
        ],
      ),
    )
    .action(async (options) => (await import('./jobs.ts')).jobs(options));
}

export function addWorkers(): void {
  asks(command('workers', 'list the connected workers'), 'print a JSON array of objects')
    .addHelpText(
      'after',
      help(
        ['kasane workers'],
        [
          '[{ id, host, slots, connectedAt: ms since 1970, tasksDone, tasksHeld, backend, draining, busy, waiting, silentMs,',
          '   bytesReceived, bytesSent, tasksFailed, resting: [{ code, args, text }], routes: [{ code, args, text }] }]',
          'resting: why it currently gets no shards of a job',
          'routes: where it sends gradients over the network, and why',
        ],
      ),
    )
    .action(async (options) => (await import('./jobs.ts')).workers(options));
}

export function addDrain(): void {
  asks(command('drain <worker>', 'stop a worker after its current tasks'))
    .addHelpText('after', help(['kasane drain rack-3-4711-9f3c'], ['the worker, as in kasane workers']))
    .action(async (worker, options) => (await import('./jobs.ts')).drain(worker, options));
}

export function addWatch(): void {
  command('watch <job>', 'follow a job until it ends')
    .option('--json', 'print one JSON object per change')
    .addOption(tensorboard().conflicts('json'))
    .addOption(coordinator())
    .addOption(token())
    .addHelpText(
      'after',
      help(['kasane watch mnist-mlp-1a2b3c4d'], ['the job at each change, as in kasane jobs']),
    )
    .action(async (job, options) => (await import('./jobs.ts')).watch(job, options));
}

export function addCancel(): void {
  asks(command('cancel <job>', 'stop a job, or a sweep with its trials'))
    .addHelpText(
      'after',
      help(
        ['kasane cancel mnist-mlp-1a2b3c4d'],
        ['the job, as in kasane jobs, or the sweep, as in kasane sweeps'],
      ),
    )
    .action(async (job, options) => (await import('./jobs.ts')).cancel(job, options));
}

export function addDelete(): void {
  asks(
    command('delete <jobs...>', 'delete finished jobs with their history, checkpoints and weights').option(
      '-y, --yes',
      'skip the confirmation; required without a terminal',
    ),
    'print one JSON object per job',
  )
    .addHelpText(
      'after',
      help(
        [
          'kasane delete mnist-mlp-1a2b3c4d',
          `kasane delete --yes $(kasane jobs --json | jq -r '.[] | select(.state == "failed").job')`,
        ],
        ['{ job, bytes: size of its files }'],
      ),
    )
    .action(async (jobs, options) => (await import('./delete.ts')).deleteJobs(jobs, options));
}

export function addPause(): void {
  asks(command('pause <job>', 'pause a job, keeping its progress'))
    .addHelpText(
      'after',
      help(
        ['kasane pause mnist-mlp-1a2b3c4d', 'kasane resume mnist-mlp-1a2b3c4d'],
        ['the job, as in kasane jobs'],
      ),
    )
    .action(async (job, options) => (await import('./jobs.ts')).pause(job, options));
}

export function addRetry(): void {
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
        ['{ job: the new ID, notes: [] }'],
      ),
    )
    .action(async (job, options) => (await import('./jobs.ts')).retry(job, options));
}

export function addPriority(): void {
  asks(
    command('priority', "set a job's priority")
      .argument('<job>', 'job ID')
      .argument('<n>', PRIORITY_HELP, integer(-1000, 1000)),
  )
    .addHelpText(
      'after',
      help(
        ['kasane priority mnist-mlp-1a2b3c4d 5', 'kasane priority mnist-mlp-1a2b3c4d -5'],
        ['the job, as in kasane jobs'],
      ),
    )
    .action(async (job, n, options) => (await import('./jobs.ts')).priority(job, n, options));
}

export function addResume(): void {
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
    .action(async (job, options) => (await import('./jobs.ts')).resume(job, options));
}
