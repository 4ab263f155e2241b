/** The command `kasane find-batch`, which measures batch sizes. Loads nothing heavy. */
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

export function addFindBatch(): void {
  command('find-batch <job>', 'suggest a batch size by measuring several on a local cluster')
    .option(
      '--from <n>',
      'first batch size, then doubled each time (default: one sample per shard)',
      integer(1),
    )
    .option(
      '--to <n>',
      'last batch size (default: until memory or data run out, or speed stops increasing)',
      integer(1),
    )
    .option('--seconds <n>', 'time to measure each batch size', positive(), 3)
    .addOption(workers())
    .addOption(slots())
    .addOption(threads())
    .addOption(backend())
    .addOption(gpuStorage())
    .addOption(dataPath())
    .addOption(redis())
    .option('--json', 'print one JSON object at the end')
    .addOption(logLevel('error'))
    .addHelpText(
      'after',
      help(
        ['kasane find-batch job.yaml', 'kasane find-batch mnist-cnn --from 32 --to 4096 --seconds 10'],
        [
          '{ name, suggestion, fastest, largest, limit, shards, sizes: [{ batch, shardSamples, samplesPerSecond, stepMs, computeMs, steps }] }',
          'largest: the largest batch that fits (null if no limit was met); limit: why no larger one was measured',
        ],
      ),
    )
    .action(async (jobOrPreset, options) => {
      const job = await (await import('./batch-job.ts')).batchJob(jobOrPreset, options);
      const { withWorkers } = await import('../train/worker-processes.ts');
      const { backend, gpuStorage, logLevel } = options;
      const { workers: count, ...each } = localWorkers(options);
      (await import('../../process/require-limits.ts')).requireLimits(count);
      await withWorkers(count, { ...each, backend, gpuStorage, logLevel }, async (forked) =>
        (await import('./find-batch.ts')).findBatch(job, { ...options, ...each }, forked),
      );
    });
}
