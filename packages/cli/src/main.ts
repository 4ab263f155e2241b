#!/usr/bin/env node
/** The `kasane` command. Help loads nothing but this file and its tables; each command loads what it needs. */
import { availableParallelism } from 'node:os';
import { CommanderError, Option } from 'commander';
import { addAskingCommands } from './asking.ts';
import { addContextCommands } from './context-commands.ts';
import { addDataCommands } from './data-commands.ts';
import { hideSecrets } from './hide-secrets.ts';
import { limitOptions } from './limit-flags.ts';
import {
  address,
  atLeast,
  DASHBOARD_PORT,
  DEFAULT_PORT,
  exportFormats,
  integer,
  oneOf,
  trainingFlags,
} from './options.ts';
import {
  addAll,
  asks,
  backend,
  clientTls,
  command,
  coordinator,
  gpuStorage,
  help,
  logFormat,
  logLevel,
  metrics,
  places,
  profile,
  program,
  redis,
  serverTls,
  tensorboard,
  token,
  version,
} from './program.ts';
import { addSecurityCommands } from './security-commands.ts';

hideSecrets();

command('init [file]', 'write a job file for data that is there')
  .option('--data <path>', 'folder of images, CSV file or text (default: asked for; MNIST)')
  .option('--target <column>', 'of a CSV file: what to predict (default: asked for; the last)')
  .option('--size <n>', 'of images: side in pixels (default: asked for; 64)', integer(1, 16_384))
  .option('--epochs <n>', 'passes over the training set (default: asked for; 10)', integer(1, 100_000))
  .option('-y, --yes', 'ask nothing')
  .option('--force', 'write over a file that is there')
  .addHelpText(
    'after',
    help(['kasane init', 'kasane init flowers.yaml --data flowers.csv --target kind --yes']),
  )
  .action(async (file, options) => (await import('./commands/init.ts')).init(file ?? 'job.yaml', options));

const train = command('train', 'train a job file or a preset on a cluster of this machine')
  .argument('[job]', 'job file, or preset', 'mnist-mlp')
  .option('--workers <n>', 'worker processes', integer(1, 256), Math.min(2, availableParallelism()))
  .option('--slots <n>', 'compute threads of each worker', integer(1, 256), 1)
  .addOption(backend())
  .addOption(gpuStorage())
  .addOption(profile())
  .option('--data <dir>', 'folder with the data, instead of the one in the job')
  .addOption(redis())
  .option('--out <file>', 'where the weights go (default: .kasane/NAME.safetensors)')
  .addOption(tensorboard())
  .option('--open', 'serve the dashboard, and open it in a browser')
  .option('--json', 'one JSON object on standard output at the end')
  .addOption(logLevel('warn'))
  .action(async (job, options) => (await import('./commands/train.ts')).train(job, options));
for (const flag of Object.values(trainingFlags)) {
  if ('flag' in flag) train.option(flag.flag, flag.description, flag.parse);
}

const coordinatorCommand = command('coordinator', 'serve jobs: hand out work, update parameters')
  .option('--host <host>', 'address to listen on; beyond loopback tokens are required', '127.0.0.1')
  .option('--port <n>', 'port to listen on, 0 for a free one', integer(0, 65535), DEFAULT_PORT)
  .addOption(redis())
  .option('--announce-redis <url>', 'Redis as workers reach it, when that differs')
  .option('--dashboard-port <n>', 'port of the page, 0 for a free one', integer(0, 65535), DASHBOARD_PORT)
  .option(
    '--dashboard-host <host>',
    'address of the page; beyond loopback it asks for certificates (--tls-ca)',
    '127.0.0.1',
  )
  .option('--no-dashboard', 'serve no page')
  .option('--state <dir>', 'folder for jobs, checkpoints and weights (default: ~/.local/state/kasane)')
  .addOption(token())
  .addOption(logLevel('info'))
  .addOption(logFormat())
  .addHelpText(
    'after',
    help([
      'kasane coordinator                                 # for this machine',
      'kasane token create gpu-room --scope work && kasane coordinator --host 0.0.0.0 --redis $REDIS_URL \\',
      '  --tls-cert server.pem --tls-key server-key.pem --data-root /srv/data',
    ]),
  )
  .action(async (options) => (await import('./commands/serve.ts')).coordinator(options));
addAll(coordinatorCommand, [...serverTls(), ...places('jobs may'), ...limitOptions()]);

const workerCommand = command('worker', 'compute for a coordinator until stopped')
  .addOption(coordinator())
  .option('--slots <n>', 'compute threads (default: one a core, one for webgpu)', integer(1, 256))
  .addOption(backend())
  .addOption(gpuStorage())
  .addOption(profile())
  .option('--redis <url>', 'Redis as this machine reaches it (default: what the coordinator says)')
  .option('--no-shared-memory', 'send tensors over the network even to a coordinator on this machine')
  .addOption(token())
  .option('--connect-timeout <s>', 'give up when no coordinator answers for so many seconds', integer(1), 60)
  .addOption(logLevel('info'))
  .addOption(logFormat())
  .action(async (options) => (await import('./commands/serve.ts')).worker(options));
for (const option of metrics) {
  coordinatorCommand.addOption(option());
  workerCommand.addOption(option());
}
addAll(workerCommand, places('this worker may'));

addAskingCommands();

asks(
  command(
    'predict <model> <inputs...>',
    'what a trained model makes of inputs; a job id or a .safetensors file',
  )
    .option('--invert', 'images: black on white, invert first (default: grey ones with a bright border)')
    .option('--no-invert', 'images: never invert')
    .option('--max-tokens <n>', 'language models: tokens to write', integer(1, 1_000_000), 200)
    .option('--temperature <x>', 'above 1 is bolder, 0 always takes the best token', atLeast(0), 1)
    .option('--top-k <n>', 'draw from the best n tokens only, 0 from all', integer(0), 0)
    .option('--seed <n>', 'what is drawn; the same seed writes the same text', integer(0), 0),
  'one object for each input on standard output',
)
  .addHelpText(
    'after',
    help(
      [
        'kasane predict mnist-mlp-1a2b3c4d digit.png other.jpg',
        'kasane predict .kasane/xor.safetensors 0,1 1,1    # as many numbers as the model takes; -- before negative ones',
        'kasane predict flowers-1a2b3c4d new.csv 5.1,3.5,1.4 petal=1.4,sepal=5.1,leaf=2    # rows of a table',
        'kasane predict river-1a2b3c4d levels.csv              # what comes after its last rows',
        "kasane predict gpt-1a2b3c4d 'Once upon' --temperature 0.8 --max-tokens 400",
        "kasane predict bert-1a2b3c4d 'Once upon a [MASK]'",
      ],
      [
        'classes:  { input, class, label, probabilities, inverted }',
        'numbers:  { input, output: [0.5], targets: ["price"] }',
        'text:     { input, text, tokens }',
      ],
    ),
  )
  .action(async (model, inputs, options) =>
    (await import('./commands/predict.ts')).predict(model, inputs, options),
  );

asks(
  command('eval <model>', 'loss and metric of a trained model on test data; a job id or a .safetensors file')
    .option(
      '--data <path>',
      'where the data that it was trained on is (default: where the job has it; of a file, MNIST)',
    )
    .option('--test <path>', 'where the test data is, if the job named it apart'),
)
  .addHelpText(
    'after',
    help(
      [
        'kasane eval .kasane/mnist-cnn.safetensors',
        'kasane eval flowers-1a2b3c4d',
        'kasane eval flowers.safetensors --data flowers.csv',
      ],
      ['{ samples, counted, loss, metric: "accuracy", value: 0.98, seconds }'],
    ),
  )
  .action(async (model, options) => (await import('./commands/eval.ts')).evaluate(model, options));

asks(
  command('export <model>', 'write a trained model as a file for other programs')
    .addOption(
      new Option('--format <format>', 'onnx or safetensors (default: as --output ends, else onnx)').argParser(
        oneOf(exportFormats),
      ),
    )
    .option('-o, --output <file>', 'where it goes (default: MODEL.onnx or MODEL.safetensors, here)'),
)
  .addHelpText(
    'after',
    help(
      ['kasane export mnist-mlp-1a2b3c4d', 'kasane export .kasane/mnist-cnn.safetensors -o digits.onnx'],
      ['{ file, format, bytes, digest, input: [784], output: [10] }'],
    ),
  )
  .action(async (model, options) => (await import('./commands/export.ts')).exportModel(model, options));

command(
  'models [job]',
  'list presets, or show the options and layers of a preset, or the layers of a job file',
)
  .option('--set <name=value...>', 'options of the preset, such as classes=10 stem=cifar')
  .option('--json', 'objects on standard output')
  .action(async (job, options) => (await import('./commands/models.ts')).models(job, options));

addDataCommands();

const page = command('dashboard', 'serve a page that shows jobs, layers and workers')
  .option('--host <host>', 'address of the page; beyond loopback --page-tls-ca is required', '127.0.0.1')
  .option('--port <n>', 'port of the page, 0 for a free one', integer(0, 65535), DASHBOARD_PORT)
  .addOption(coordinator())
  .addOption(token())
  .action(async (options) => (await import('./commands/dashboard.ts')).dashboard(options));
addAll(page, serverTls('page-', ' to browsers'));

command('doctor', 'whether this machine has what is needed, and what to do if not')
  .addOption(redis())
  .addOption(
    new Option('--coordinator <host:port>', 'ask this coordinator, too')
      .env('KASANE_COORDINATOR')
      .argParser(address()),
  )
  .addOption(token())
  .option('--state <dir>', 'folder of a coordinator (default: ~/.local/state/kasane)')
  .option('--json', 'an array of objects on standard output')
  .addHelpText(
    'after',
    help(
      ['kasane doctor', 'kasane doctor --redis redis://:PASSWORD@10.0.0.1:6379'],
      ['[{ name, state: "ok" | "note" | "wrong", found, todo }]', 'Exits with 69 when something is wrong.'],
    ),
  )
  .action(async (options) => (await import('./commands/doctor.ts')).doctor(options));

command('version', 'versions of Kasane and of what it runs on')
  .option('--json', 'one object on standard output')
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
    process.stdout.write(`${json ? JSON.stringify(record) : line}\n`);
  });

const contexts = addContextCommands();
addSecurityCommands();
// Whoever asks a coordinator may have to do so through TLS.
for (const asking of [...program.commands, ...contexts.commands]) {
  if (asking.options.some((option) => option.attributeName() === 'coordinator')) addAll(asking, clientTls());
}

command('schema', 'print the JSON Schema of job files').action(async () => {
  const { jobJsonSchema } = await import('@kasane/protocol/job');
  process.stdout.write(`${JSON.stringify(jobJsonSchema(), null, 2)}\n`);
});

/** Completion walks the commands above; nobody else waits for its code. */
async function addCompletion(): Promise<void> {
  const called = process.argv[2] === 'completion' || process.argv[2] === 'complete';
  if (called) {
    const { default: tab } = await import('@bomb.sh/tab/commander');
    tab(program, { completionCommandName: 'completion' });
  } else {
    command('completion', 'print a completion script for a shell').argument('<zsh|bash|fish|powershell>');
  }
}

// gRPC writes lines of its own about what our messages say already.
process.env.GRPC_VERBOSITY ??= 'NONE';
try {
  await addCompletion();
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version have printed themselves.
    if (error.exitCode !== 0) {
      const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
      process.stderr.write(
        error.code === 'commander.help' ? '' : `kasane: ${message}; \`kasane --help\` shows how\n`,
      );
    }
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.exitCode = (await import('./failure.ts')).reportFailure(error);
  }
}
