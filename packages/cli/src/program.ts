/** The parts that commands are made of: the program, options that several have, and how help looks. Loads nothing heavy. */
import { whyNoToken } from '@kasane/protocol/token-text';
import { FileError, readRegularSync } from '@kasane/tensor/node/regular-file';
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
  .version(version)
  .showSuggestionAfterError()
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

export const logLevel = (level: LogLevel) =>
  new Option('--log-level <level>', logLevels.join(', ')).default(level).argParser(oneOf(logLevels));
export const logFormat = () =>
  new Option('--log-format <format>', 'text, or json: an object a line, with job, step, shard and worker')
    .env('KASANE_LOG_FORMAT')
    .default('text')
    .argParser(oneOf(logFormats));
/** Of the commands that stay. */
export const metrics = [
  () =>
    new Option('--metrics-port <n>', 'serve /metrics for Prometheus, and /health, there; 0 for a free port')
      .env('KASANE_METRICS_PORT')
      .argParser(integer(0, 65535)),
  () =>
    new Option('--metrics-host <host>', 'address for them; beyond loopback --metrics-token is required')
      .env('KASANE_METRICS_HOST')
      .default('127.0.0.1'),
  () => new Option('--metrics-token <token>', 'what /metrics asks for').env('KASANE_METRICS_TOKEN'),
];
export const backend = () =>
  new Option(
    '--backend <backend>',
    'what computes jobs of `math: fast`: wasm, webgpu, or auto for a GPU if there is one',
  )
    .default('wasm')
    .argParser(oneOf(backends));
export const gpuStorage = () =>
  new Option(
    '--gpu-storage <storage>',
    'how a GPU holds what lies between layers: f32, or f16 for half the memory and less precision',
  )
    .default('f32')
    .argParser(oneOf(gpuStorages));
export const profile = () =>
  new Option(
    '--profile <file>',
    'write kernels, layers, queue and network in the Chrome trace format (ui.perfetto.dev opens it); steps get slower',
  );
export const tensorboard = () =>
  new Option(
    '--tensorboard <dir>',
    'write curves and layers for TensorBoard into a folder of the job below this',
  );
export const token = (what = 'token to show the coordinator (kasane token create)') =>
  new Option('--token <token>', what).env('KASANE_TOKEN');
export const tokenFile = () =>
  new Option('--token-file <file>', 'file with the token: unlike --token no other user sees it')
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
  const why = text === '' ? 'it is empty; a token is expected, and nothing else' : whyNoToken(text);
  if (why !== undefined) throw refuse(why);
  return text;
}

export const coordinator = () =>
  new Option('--coordinator <host:port>', 'where the coordinator is')
    .env('KASANE_COORDINATOR')
    .default(context.value?.coordinator ?? `127.0.0.1:${DEFAULT_PORT}`)
    .argParser(address());
/** For whoever listens. */
export const serverTls = (prefix = '', of = '') => [
  new Option(`--${prefix}tls-cert <file>`, `PEM: speak TLS${of}, with this certificate`),
  new Option(`--${prefix}tls-key <file>`, 'PEM: its private key'),
  new Option(`--${prefix}tls-ca <file>`, 'PEM: clients must show a certificate of this authority'),
];
/** For whoever asks. */
export const clientTls = () => [
  new Option(
    '--tls-ca <file>',
    "PEM: speak TLS, and believe this authority; 'system' for the usual ones",
  ).env('KASANE_TLS_CA'),
  new Option('--tls-cert <file>', 'PEM: certificate to show').env('KASANE_TLS_CERT'),
  new Option('--tls-key <file>', 'PEM: its private key').env('KASANE_TLS_KEY'),
];
/** Parses an option that may be given again for more. */
export const each = (value: string, before: readonly string[] = []) => [...before, value];
/** What jobs may name. */
export const places = (who: string) => [
  new Option(
    '--data-root <folder>',
    `folder that ${who} read data from, again for more (default: any on loopback, else none)`,
  ).argParser(each),
  new Option(
    '--url-host <host>',
    'host that data may come from, or *.NAME, again for more (default: any with a public address)',
  ).argParser(each),
];
export const addAll = (to: Command, options: readonly Option[]) => {
  for (const option of options) to.addOption(option);
  return to;
};
export const redis = () =>
  new Option('--redis <url>', 'Redis to use, instead of REDIS_URL or one of its own');
export const command = (text: string, summary: string) => program.command(text).description(summary);
/** The options, after its own, of a command that asks a coordinator and prints the answer. */
export const asks = (asking: Command, json = 'one object on standard output') =>
  asking.option('--json', json).addOption(coordinator()).addOption(token());

/** Below a command's options: how it is used, and what --json prints. */
export const help = (examples: readonly string[], json: readonly string[] = []) =>
  ['', 'Examples:', ...examples.map((line) => `  ${line}`)]
    .concat(json.length > 0 ? ['', 'With --json:', ...json.map((line) => `  ${line}`)] : [])
    .join('\n');
