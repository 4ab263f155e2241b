/** The commands that need no coordinator: init, train, doctor, version, schema. Loads nothing heavy. */
import { availableParallelism } from 'node:os';
import { Option } from 'commander';
import { out } from '../output/say.ts';
import { address, integer, trainingFlags } from '../program/options.ts';
import {
  backend,
  command,
  gpuStorage,
  help,
  logLevel,
  profile,
  redis,
  tensorboard,
  token,
} from '../program/program.ts';
import { version } from '../program/version.ts';

export function addLocalCommands(): void {
  command('init [file]', 'create a job file for your data')
    .option('--data <path>', 'folder of images, table or text (default: prompt, or MNIST)')
    .option('--target <column>', 'table or series: column to predict (default: prompt, or the last one)')
    .option('--size <n>', 'images: side length in pixels (default: prompt, or 64)', integer(1, 16_384))
    .option('--epochs <n>', 'passes over the training set (default: prompt, or 10)', integer(1, 100_000))
    .option('-y, --yes', 'accept all defaults without prompting')
    .option(
      '--set <key=value...>',
      'keys of the data section, such as delimiter=";" or columns.Ticket=ignore',
    )
    .option('--force', 'overwrite an existing file')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      help(
        [
          'kasane init',
          'kasane init flowers.yaml --data flowers.csv --target kind --yes',
          'kasane init titanic.yaml --data titanic.csv --target Survived --set columns.Fare=ignore --yes',
        ],
        ['{ file, why, notes: [], job: { name, model, data, training } }'],
      ),
    )
    .action(async (file, options) => (await import('./init/init.ts')).init(file ?? 'job.yaml', options));

  const train = command('train', 'train a job file or preset on a local cluster')
    .argument('[job]', 'job file or preset', 'mnist-mlp')
    .option('--workers <n>', 'worker processes', integer(1, 256), Math.min(2, availableParallelism()))
    .option('--slots <n>', 'compute threads per worker', integer(1, 256), 1)
    .addOption(backend())
    .addOption(gpuStorage())
    .addOption(profile())
    .option('--data <dir>', 'path of the data, overriding the job file')
    .addOption(redis())
    .option('--out <file>', 'output file for the weights (default: .kasane/NAME.safetensors)')
    .addOption(tensorboard())
    .option('--open', 'open the dashboard in a browser')
    .option('--json', 'print one JSON object at the end')
    .addOption(logLevel('warn'))
    .addHelpText(
      'after',
      help(
        ['kasane train', 'kasane train mnist-cnn --workers 4 --epochs 3', 'kasane train job.yaml --open'],
        [
          '{ job, metric, testMetric, testAccuracy, testLoss, epochs, steps, seconds, samplesPerSecond, workers,',
          '  digest, model }',
        ],
      ),
    )
    .action(async (jobOrPreset, options) => {
      const job = await (await import('./train/job-to-train.ts')).jobToTrain(jobOrPreset, options);
      const { withWorkers } = await import('./train/worker-processes.ts');
      const { workers, slots, backend, gpuStorage, logLevel } = options;
      (await import('../process/open-files.ts')).requireOpenFiles(workers);
      // A profile is written to a file of the cluster, which forks its workers itself, then.
      const first = options.profile === undefined ? workers : 0;
      await withWorkers(first, { slots, backend, gpuStorage, logLevel }, async (forked) =>
        (await import('./train/train.ts')).train(job, options, forked),
      );
    });
  for (const flag of Object.values(trainingFlags)) {
    if ('flag' in flag) train.option(flag.flag, flag.description, flag.parse);
  }

  command('doctor', 'check this machine and suggest fixes')
    .addOption(redis())
    .addOption(
      new Option('--coordinator <host:port>', 'also check this coordinator')
        .env('KASANE_COORDINATOR')
        .argParser(address()),
    )
    .addOption(token())
    .option('--state <dir>', "a coordinator's state directory (default: ~/.local/state/kasane)")
    .option('--json', 'print a JSON array of objects')
    .addHelpText(
      'after',
      help(
        ['kasane doctor', 'kasane doctor --redis redis://:PASSWORD@10.0.0.1:6379'],
        [
          '[{ name, state: "ok" | "note" | "wrong", found, todo: what to do or null }]',
          'Exits with code 69 if something is wrong.',
        ],
      ),
    )
    .action(async (options) => (await import('./doctor/doctor.ts')).doctor(options));

  command('version', 'print the versions of Kasane and its runtime')
    .option('--json', 'print one JSON object')
    .addHelpText('after', help(['kasane version'], ['{ kasane, node, platform, processors }']))
    .action(({ json }) => {
      const { platform, arch, versions } = process;
      const record = {
        kasane: version,
        node: versions.node,
        platform: `${platform} ${arch}`,
        processors: availableParallelism(),
      };
      const line = `kasane ${version}, Node ${record.node}, ${record.platform}, ${record.processors} processors`;
      out.write(`${json ? JSON.stringify(record) : line}\n`);
    });

  command('schema', 'print the JSON Schema of job files')
    .addHelpText(
      'after',
      help(['kasane schema > job.schema.json    # for validation and completion in editors']),
    )
    .action(async () => {
      const { jobJsonSchema } = await import('@kasane/protocol/job');
      out.write(`${JSON.stringify(jobJsonSchema(), null, 2)}\n`);
    });
}
