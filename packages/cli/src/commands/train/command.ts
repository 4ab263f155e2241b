/** The command `kasane train`. Loads nothing heavy. */
import { availableParallelism } from 'node:os';
import { threadsEach } from '../../process/threads-each.ts';
import { addTrainingFlags, integer } from '../../program/options.ts';
import {
  backend,
  command,
  dataPath,
  dryRun,
  gpuStorage,
  help,
  logLevel,
  profile,
  redis,
  tensorboard,
  threads,
} from '../../program/program.ts';

export function addTrain(): void {
  const train = command('train', 'train a job file, program or preset on a local cluster')
    .argument('[job]', 'job file, program (.ts, .js) or preset', 'mnist-mlp')
    .option('--workers <n>', 'worker processes', integer(1, 256), Math.min(2, availableParallelism()))
    .option('--slots <n>', 'shards that a worker computes at once', integer(1, 256), 1)
    .addOption(threads())
    .addOption(backend())
    .addOption(gpuStorage())
    .addOption(profile())
    .addOption(dataPath())
    .addOption(redis())
    .option('--out <file>', 'output file for the weights (default: .kasane/NAME.safetensors)')
    .addOption(tensorboard())
    .addOption(dryRun())
    .option('--open', 'open the dashboard in a browser')
    .option('--json', 'print one JSON object at the end')
    .addOption(logLevel('warn'))
    .addHelpText(
      'after',
      help(
        [
          'kasane train',
          'kasane train mnist-cnn --workers 4 --epochs 3',
          'kasane train job.yaml --open',
          'kasane train model.ts',
        ],
        [
          '{ job, metric, testMetric, testAccuracy, testLoss, testMetrics: { f1, ... }, epochs, steps, seconds,',
          '  samplesPerSecond, workers, digest, model }',
          'with --dry-run: { name, parameters, trainingSamples, testSamples, stepsPerEpoch, steps, notes: [] }',
        ],
      ),
    )
    .action(async (jobOrPreset, options) => {
      if (options.dryRun) return (await import('./dry-run.ts')).dryRun(jobOrPreset, options);
      const job = await (await import('./job-to-train.ts')).jobToTrain(jobOrPreset, options);
      const { withWorkers } = await import('./worker-processes.ts');
      const { workers, slots, backend, gpuStorage, logLevel } = options;
      const threads = options.threads ?? threadsEach(workers * slots);
      (await import('../../process/require-limits.ts')).requireLimits(workers);
      // A profile is written to a file of the cluster, which forks its workers itself, then.
      const first = options.profile === undefined ? workers : 0;
      await withWorkers(first, { slots, threads, backend, gpuStorage, logLevel }, async (forked) =>
        (await import('./train.ts')).train(job, { ...options, threads }, forked),
      );
    });
  addTrainingFlags(train);
}
