/** The parts that commands are made of: the program, options that several have, and how help looks. Loads nothing heavy. */
import { whyNoToken } from '@kasane/protocol/internal/security/token-text';
import { FileError, readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { Command, CommanderError, Option } from 'commander';
import { contextInUse } from './contexts.ts';
import {
  address,
  backends,
  DEFAULT_PORT,
  gpuStorages,
  integer,
  type LogLevel,
  logFormats,
  logLevels,
  oneOf,
} from './options.ts';
import { version } from './version.ts';

export const program = new Command('kasane')
  .description('Train neural networks on many machines from TypeScript.')
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'show this help')
  .helpCommand('help [command]', 'show help for a command')
  .showSuggestionAfterError()
  // What follows a command is for that command.
  .enablePositionalOptions()
  .exitOverride()
  .configureOutput({ outputError: () => {} });

/** The context in use, if any; what is wrong with it is said only when a command would need it. */
const context = (() => {
  try {
    return { value: contextInUse(), problem: undefined };
  } catch (error) {
    return { value: undefined, problem: (error as Error).message };
  }
})();
program.hook('preAction', (_, action) => {
  refuseEmpty(action);
  const file = action.getOptionValue('tokenFile') as string | undefined;
  if (file !== undefined && action.getOptionValueSource('token') !== 'cli')
    action.setOptionValue('token', tokenIn(file));
  if (action.getOptionValueSource('coordinator') !== 'default') return;
  if (context.problem !== undefined) throw new CommanderError(2, 'kasane.context', context.problem);
  // A token is for its own coordinator only, and so are certificates.
  for (const key of ['token', 'tlsCa', 'tlsCert', 'tlsKey'] as const) {
    if (context.value?.[key] !== undefined && action.getOptionValue(key) === undefined)
      action.setOptionValue(key, context.value[key]);
  }
});

/** An empty text is no path, name or address: a variable of a script that is not set would mean the working directory. @throws CommanderError */
function refuseEmpty(action: Command): void {
  const isEmpty = (value: unknown) => value === '' || (Array.isArray(value) && value.includes(''));
  // Of several arguments each is answered for itself, also one that is empty.
  const argument = action.registeredArguments.find((_, at) =>
    [action.processedArgs[at]].flat().every((value) => value === ''),
  );
  const option = action.options.find((one) => {
    const key = one.attributeName();
    return action.getOptionValueSource(key) === 'cli' && isEmpty(action.getOptionValue(key));
  });
  const what = argument ? `argument <${argument.name()}>` : option && `option '${option.flags}'`;
  if (what !== undefined) throw new CommanderError(2, 'kasane.empty', `${what} is empty`);
}

export const logLevel = (level: LogLevel) =>
  new Option('--log-level <level>', logLevels.join(', ')).default(level).argParser(oneOf(logLevels));
export const logFormat = () =>
  new Option('--log-format <format>', 'text, or json for one object per line')
    .env('KASANE_LOG_FORMAT')
    .default('text')
    .argParser(oneOf(logFormats));
/** Of the commands that stay. */
export const metrics = () => [
  new Option('--metrics-port <n>', 'port for /metrics (Prometheus) and /health, 0 for any free port')
    .env('KASANE_METRICS_PORT')
    .argParser(integer(0, 65535)),
  new Option('--metrics-host <host>', 'address for --metrics-port; requires --metrics-token beyond loopback')
    .env('KASANE_METRICS_HOST')
    .default('127.0.0.1'),
  new Option('--metrics-token <token>', 'bearer token that /metrics requires').env('KASANE_METRICS_TOKEN'),
];
export const backend = () =>
  new Option(
    '--backend <backend>',
    'backend for jobs with `math: fast`: wasm, webgpu, or auto (webgpu if there is a GPU)',
  )
    .default('wasm')
    .argParser(oneOf(backends));
export const workers = () =>
  new Option('--workers <n>', 'worker processes').default(1).argParser(integer(1, 256));
export const slots = () =>
  new Option(
    '--slots <n>',
    'shards that a worker computes at once (default: 2, or 1 with several workers)',
  ).argParser(integer(1, 256));
export const threads = () =>
  new Option(
    '--threads <n>',
    'threads that compute one shard together, on wasm (default: cores divided by slots)',
  ).argParser(integer(1, 256));
export const gpuStorage = () =>
  new Option('--gpu-storage <storage>', 'precision of activations on a GPU: f32, or f16 for half the memory')
    .default('f32')
    .argParser(oneOf(gpuStorages));
export const profile = () =>
  new Option(
    '--profile <file>',
    'record a profile in the Chrome trace format, for ui.perfetto.dev; slows down steps',
  );
export const dataPath = () => new Option('--data <path>', 'path of the data, overriding the job file');
export const dryRun = () =>
  new Option('--dry-run', 'check the job and its data, print what it would do, and stop');
export const tensorboard = () =>
  new Option('--tensorboard <dir>', 'write TensorBoard logs to a subfolder named after the job');
export const token = (what = 'access token (see kasane token create)') =>
  new Option('--token <token>', what).env('KASANE_TOKEN');
export const tokenFile = () =>
  new Option(
    '--token-file <file>',
    'read the token from this file; unlike --token, this hides it from other users',
  )
    .env('KASANE_TOKEN_FILE')
    .conflicts('token');

/** A token has 64 characters; a file this large is not one. */
const MOST_TOKEN_BYTES = 4096;

/** @throws CommanderError naming the file and what is wrong with it */
function tokenIn(path: string): string {
  const refuse = (why: string) => new CommanderError(2, 'kasane.token', `--token-file: ${path}: ${why}`);
  let text: string;
  try {
    text = readRegularSync(path, MOST_TOKEN_BYTES).toString('utf8').trim();
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new CommanderError(2, 'kasane.token', `--token-file: ${error.message}`);
  }
  const why = text === '' ? 'it is empty; expected only a token' : whyNoToken(text);
  if (why !== undefined) throw refuse(why);
  return text;
}

export const coordinator = () =>
  new Option('--coordinator <host:port>', "coordinator's address")
    .env('KASANE_COORDINATOR')
    .default(context.value?.coordinator ?? `127.0.0.1:${DEFAULT_PORT}`)
    .argParser(address());
/** For whoever listens. */
export const serverTls = (prefix = '', of = '') => [
  new Option(`--${prefix}tls-cert <file>`, `certificate (PEM); enables TLS${of}`),
  new Option(`--${prefix}tls-key <file>`, `private key of --${prefix}tls-cert (PEM)`),
  new Option(
    `--${prefix}tls-ca <file>`,
    'CA certificate (PEM); requires clients to have a certificate that it signed',
  ),
];
/** For whoever asks. */
export const clientTls = () => [
  new Option(
    '--tls-ca <file>',
    "CA certificate to trust (PEM), or 'system' for the system's CAs; enables TLS",
  ).env('KASANE_TLS_CA'),
  new Option('--tls-cert <file>', 'client certificate (PEM)').env('KASANE_TLS_CERT'),
  new Option('--tls-key <file>', 'private key of --tls-cert (PEM)').env('KASANE_TLS_KEY'),
];
/** Parses an option that may be repeated. */
export const each = (value: string, before: readonly string[] = []) => [...before, value];
/** What jobs may name. */
export const places = (who: string) => [
  new Option(
    '--data-root <folder>',
    `folder, or s3://BUCKET/FOLDER, that ${who} read data from; repeatable (default: any on loopback, otherwise none)`,
  ).argParser(each),
  new Option(
    '--url-host <host>',
    'host from which data may be downloaded, or *.NAME; repeatable (default: any with a public address)',
  ).argParser(each),
];
export const addAll = (to: Command, options: readonly Option[]) => {
  for (const option of options) to.addOption(option);
  return to;
};
export const redis = () =>
  new Option('--redis <url>', 'Redis URL (default: REDIS_URL, or an embedded Redis)');
export const command = (text: string, summary: string) => program.command(text).description(summary);
/** The options, after its own, of a command that asks a coordinator and prints the answer. */
export const asks = (asking: Command, json = 'print one JSON object') =>
  asking.option('--json', json).addOption(coordinator()).addOption(token());

/** Below a command's options: how it is used, and what --json prints. */
export const help = (examples: readonly string[], json: readonly string[] = []) =>
  ['', 'Examples:', ...examples.map((line) => `  ${line}`)]
    .concat(json.length > 0 ? ['', 'With --json:', ...json.map((line) => `  ${line}`)] : [])
    .join('\n');
