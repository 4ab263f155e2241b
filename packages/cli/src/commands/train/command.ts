/** The command `kasane train`. Loads nothing heavy. */
import { localWorkers } from '../../process/local-workers.ts';
import { addTrainingFlags } from '../../program/options.ts';
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
  slots,
  tensorboard,
  threads,
  workers,
} from '../../program/program.ts';

export function addTrain(): void {
  const train = command('train', 'train a job file, program or preset on a local cluster')
    .argument('[job]', 'job file, program (.ts, .js) or preset', 'mnist-mlp')
    .addOption(workers())
    .addOption(slots())
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
      const { backend, gpuStorage, logLevel } = options;
      const { workers: count, ...each } = localWorkers(options);
      (await import('../../process/require-limits.ts')).requireLimits(count);
      // A profile is written to a file of the cluster, which forks its workers itself, then.
      const first = options.profile === undefined ? count : 0;
      await withWorkers(first, { ...each, backend, gpuStorage, logLevel }, async (forked) =>
        (await import('./train.ts')).train(job, { ...options, ...each }, forked),
      );
    });
  addTrainingFlags(train);
}
