/** The commands `kasane sweep` and `kasane sweeps`. Load nothing heavy. */
import { Option } from 'commander';
import { localWorkers } from '../../process/local-workers.ts';
import { address, integer } from '../../program/options.ts';
import {
  asks,
  backend,
  command,
  gpuStorage,
  help,
  logLevel,
  redis,
  slots,
  threads,
  token,
  workers,
} from '../../program/program.ts';
import { PRIORITY_HELP } from '../jobs/command.ts';

/** Options that are about a cluster of this machine. */
const ofCluster = ['workers', 'slots', 'threads', 'backend', 'gpuStorage', 'redis', 'logLevel'];

export function addSweep(): void {
  command('sweep <file>', 'try many variants of a job on a local cluster, and keep the best')
    .addOption(workers())
    .addOption(slots())
    .addOption(threads())
    .addOption(backend())
    .addOption(gpuStorage())
    .addOption(redis())
    .option('--out <file>', "output file for the best trial's weights (default: .kasane/NAME.safetensors)")
    .addOption(
      new Option('--coordinator <host:port>', 'run the sweep on this coordinator instead')
        .argParser(address())
        .conflicts(ofCluster),
    )
    .addOption(token())
    .option('--priority <n>', `with --coordinator: ${PRIORITY_HELP}`, integer(-1000, 1000))
    .addOption(new Option('--detach', "with --coordinator: print the sweep's ID and exit").conflicts('out'))
    .option('--json', 'print one JSON object at the end')
    .addOption(logLevel('warn'))
    .addHelpText(
      'after',
      help(
        [
          'kasane sweep examples/sweep-mnist.yaml',
          'kasane sweep job.yaml --coordinator 10.0.0.1:7420 --detach',
          'A sweep file is a job file with a `search` section, which says what to vary:',
          '  search:',
          '    trials: 20',
          '    parameters:',
          '      training.learningRate: { log: [0.0001, 0.1] }',
          '      training.batch: { choices: [64, 128, 256] }',
        ],
        [
          '{ sweep, name, state, error, waitingFor, waitingReason, metric, minimize, objectives, epochs, trials, trialsLimit,',
          '  running, paused, succeeded, stopped, failed, submittedAt, endedAt, best, front, ranking: [{ as in best }],',
          '  digest, model, jobFile, init, models: [{ trial, digest, model, jobFile, init }] }',
          'init: the weights of the trial that it started from, or null',
          'of several metrics, models has the trials of the front; digest, model, jobFile and init are of the first of them',
          'with --detach: { sweep }',
        ],
      ),
    )
    .action(async (file, options) => {
      const { readSweep } = await import('../../files/read-sweep.ts');
      const sweep = await readSweep(file);
      if (options.coordinator !== undefined)
        return (await import('./remote-sweep.ts')).remoteSweep(file, sweep, options);
      (await import('./remote-sweep.ts')).requireLocal(options);
      const place = (await import('../../files/output-file.ts')).sweepPlace(sweep, options.out, file);
      const { withWorkers } = await import('../train/worker-processes.ts');
      const { backend, gpuStorage, logLevel } = options;
      const { workers: count, ...each } = localWorkers(options);
      (await import('../../process/require-limits.ts')).requireLimits(count);
      await withWorkers(count, { ...each, backend, gpuStorage, logLevel }, async (forked) =>
        (await import('./sweep.ts')).sweepHere(sweep, place, { ...options, ...each }, forked),
      );
    });
}

export function addSweeps(): void {
  asks(
    command('sweeps [sweep]', 'list sweeps, or show the trials of one, best first').option(
      '--watch',
      'follow the sweep until it ends',
    ),
    'print a JSON array of objects, or one object for a sweep',
  )
    .addHelpText(
      'after',
      help(
        ['kasane sweeps', 'kasane sweeps mnist-mlp-1a2b3c4d', 'kasane cancel mnist-mlp-1a2b3c4d'],
        [
          '[{ sweep, name, state, error, waitingFor, waitingReason: { code, args }, metric, minimize,',
          '   objectives: [{ metric, minimize }], epochs, trials, trialsLimit, running, paused, succeeded, stopped, failed,',
          '   submittedAt, endedAt, best: { trial, job, state, parent, values, epochs, value, metrics, front, error }, front }]',
          'of a sweep: { sweep, name, state, error, waitingFor, waitingReason, metric, minimize, objectives, epochs,',
          '   trials, trialsLimit, running, paused, succeeded, stopped, failed, submittedAt, endedAt, best, front, ranking: [{ as in best }] }',
          'parent: the trial whose weights it started from, or null',
          'metrics: the value of each objective by its name; front: of several, whether the trial is on it, or how many are',
          'state: running, succeeded, failed, cancelled; of a trial: running, paused, succeeded, stopped, failed',
        ],
      ),
    )
    .action(async (sweep, options) => (await import('./sweeps.ts')).sweeps(sweep, options));
}
