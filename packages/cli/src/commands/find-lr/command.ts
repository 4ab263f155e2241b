/** The command `kasane find-lr`, a learning-rate range test. Loads nothing heavy. */
import { localWorkers } from '../../process/local-workers.ts';
import { integer, positive } from '../../program/options.ts';
import {
  backend,
  command,
  dataPath,
  gpuStorage,
  help,
  logLevel,
  redis,
  slots,
  threads,
  workers,
} from '../../program/program.ts';

/** Steps are kept whole in memory and on the terminal. */
const MOST_STEPS = 1000;

export function addFindLr(): void {
  command(
    'find-lr <job>',
    'suggest a learning rate by raising it during a short training run on a local cluster',
  )
    .option('--from <rate>', 'first learning rate', positive(), 1e-7)
    .option('--to <rate>', 'last learning rate', positive(), 10)
    .option('--steps <n>', 'number of steps', integer(20, MOST_STEPS), 100)
    .addOption(workers())
    .addOption(slots())
    .addOption(threads())
    .addOption(backend())
    .addOption(gpuStorage())
    .addOption(dataPath())
    .addOption(redis())
    .option('--batch <n>', 'global batch size', integer(1))
    .option('--json', 'print one JSON object at the end')
    .addOption(logLevel('error'))
    .addHelpText(
      'after',
      help(
        ['kasane find-lr job.yaml', 'kasane find-lr mnist-cnn --from 1e-5 --to 1 --steps 200'],
        [
          '{ name, suggestion, steepest, minimum, minimumTenth, diverged, error, steps, seed, batch,',
          '  points: [{ step, learningRate, loss, smoothed }] }',
        ],
      ),
    )
    .action(async (jobOrPreset, options) => {
      const job = await (await import('./range-job.ts')).rangeJob(jobOrPreset, options);
      const { withWorkers } = await import('../train/worker-processes.ts');
      const { backend, gpuStorage, logLevel } = options;
      const { workers: count, ...each } = localWorkers(options);
      (await import('../../process/require-limits.ts')).requireLimits(count);
      await withWorkers(count, { ...each, backend, gpuStorage, logLevel }, async (forked) =>
        (await import('./find-lr.ts')).findLr(job, { ...options, ...each }, forked),
      );
    });
}
