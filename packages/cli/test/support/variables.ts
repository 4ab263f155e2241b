/**
 * Every environment variable that Kasane, or what it is built on, reads: a name that is not in here fails the suite. `odd` are values that
 * somebody's machine may have, beside those that all are tried with.
 */

export interface Variable {
  /** Who reads it. */
  readonly who: string;
  readonly odd?: readonly string[];
  /** Exit codes that an odd value may lead to, besides 0: usage, an unreachable service, a folder that cannot be written to. */
  readonly exits?: readonly number[];
}

const folder = (who: string, exits: readonly number[] = []): Variable => ({
  who,
  odd: [
    '/proc/nowhere at all',
    '/dev/null',
    'relative folder',
    '/tmp/a \'quoted\' "name"',
    `/tmp/${'x'.repeat(200)}`,
    '/proc',
  ],
  exits,
});
const proxy: Variable = {
  who: 'clients of HTTP',
  odd: ['http://127.0.0.1:9', 'nowhere:1', 'socks5://[::1]:9', '://'],
};
const flag = (who: string, exits: readonly number[] = [2]): Variable => ({ who, exits });

export const variables: Readonly<Record<string, Variable>> = {
  // Kasane's own
  KASANE_ALLOW_LOCAL_URLS: flag('data from URLs'),
  KASANE_CACHE: folder('packed data', [2]),
  KASANE_CACHE_GB: { who: 'packed data', odd: ['-1', 'NaN', '1e999', '10 GB', '0'], exits: [2] },
  KASANE_CONFIG: folder('contexts', [2]),
  KASANE_CONTEXT: { who: 'contexts', odd: ['absent', '__proto__', 'constructor'], exits: [2] },
  KASANE_COORDINATOR: {
    who: 'commands that ask',
    odd: ['nowhere', ':1', '127.0.0.1:99999', '[::1]:9'],
    exits: [2, 69],
  },
  KASANE_DEBUG: flag('failures'),
  KASANE_LOG_FORMAT: { who: 'logs', odd: ['JSON', 'xml'], exits: [2] },
  KASANE_METRICS_HOST: { who: 'coordinator and worker', odd: ['nowhere.invalid'] },
  KASANE_METRICS_PORT: { who: 'coordinator and worker', odd: ['-1', '99999', 'x'], exits: [2] },
  KASANE_METRICS_TOKEN: flag('coordinator and worker'),
  KASANE_TLS_CA: { ...folder('clients', [2, 69]) },
  KASANE_TLS_CERT: { ...folder('clients', [2, 69]) },
  KASANE_TLS_KEY: { ...folder('clients', [2, 69]) },
  KASANE_TOKEN: { who: 'clients', odd: ['\u00e9', 'a b', 'x'.repeat(10_000)], exits: [2] },
  KASANE_TOKEN_FILE: folder('clients', [2]),
  KASANE_LAUNCHED: { who: 'scripts/kasane.mjs, which sets it', odd: ['1', 'yes'] },
  KASANE_WORKER_OPTIONS: { who: 'the parent of a worker, which sets it', odd: ['{', 'null', '[]'] },
  REDIS_URL: {
    who: 'Redis',
    odd: [
      '127.0.0.1:9',
      'http://127.0.0.1:9',
      'redis://',
      'redis://user:p@ss/w:o%rd@127.0.0.1:9',
      'redis://127.0.0.1:99999',
      'rediss://127.0.0.1:9',
    ],
    exits: [2, 69, 77],
  },
  // of the AWS tools, for data in S3 and nothing else
  AWS_ACCESS_KEY_ID: { who: 'data in S3', odd: ['\u00e9', 'a b'] },
  AWS_SECRET_ACCESS_KEY: { who: 'data in S3', odd: ['\u00e9', 'x'.repeat(10_000)] },
  AWS_SESSION_TOKEN: { who: 'data in S3', odd: ['a b'] },
  AWS_PROFILE: { who: 'data in S3', odd: ['absent', '__proto__'] },
  AWS_CONFIG_FILE: folder('data in S3'),
  AWS_SHARED_CREDENTIALS_FILE: folder('data in S3'),
  AWS_REGION: { who: 'data in S3', odd: ['nowhere', '../x'] },
  AWS_DEFAULT_REGION: { who: 'data in S3', odd: ['nowhere'] },
  AWS_ENDPOINT_URL: { who: 'data in S3', odd: ['nowhere', 'ftp://127.0.0.1:9', '://'] },
  AWS_ENDPOINT_URL_S3: { who: 'data in S3', odd: ['nowhere', 'http://127.0.0.1:9'] },
  // the system's
  HOME: folder('user folders', [2, 69]),
  XDG_CACHE_HOME: folder('user folders'),
  XDG_CONFIG_HOME: folder('user folders', [2]),
  XDG_RUNTIME_DIR: folder('drivers of GPUs'),
  TMPDIR: folder('temporary files', [69, 73, 77]),
  PATH: { who: 'whatever starts programs', odd: ['/nowhere', '::', 'relative'] },
  LANG: { who: 'programs that are started', odd: ['C', 'tr_TR.UTF-8', 'ja_JP.eucJP', 'nonsense'] },
  LC_ALL: {
    who: 'programs that are started',
    odd: ['C', 'POSIX', 'tr_TR.UTF-8', 'de_DE.ISO-8859-1', 'nonsense'],
  },
  TZ: {
    who: 'dates',
    odd: ['Nowhere/Never', 'UTC+25', ':/etc/localtime', 'Pacific/Apia', '../../etc/passwd'],
  },
  TERM: { who: 'terminals', odd: ['dumb', 'unknown', 'xterm-256color'] },
  COLUMNS: { who: 'terminals', odd: ['0', '-1', '1', '99999999', 'wide'] },
  LINES: { who: 'terminals', odd: ['0', '-1', 'x'] },
  NO_COLOR: flag('logs'),
  FORCE_COLOR: { who: 'logs', odd: ['0', '3', 'x'] },
  LD_LIBRARY_PATH: { who: 'the loader', odd: ['/nowhere'] },
  // of Node
  // Below /proc Node itself never starts (its recursive mkdir does not return), whatever it is to run.
  NODE_COMPILE_CACHE: { who: 'Node', odd: folder('').odd!.filter((value) => !value.startsWith('/proc')) },
  NODE_DISABLE_COMPILE_CACHE: flag('Node'),
  NODE_ENV: { who: 'libraries', odd: ['production', 'development', 'test'] },
  NODE_OPTIONS: {
    who: 'Node',
    odd: ['--no-warnings', '--trace-warnings', '--max-old-space-size=512', '--enable-source-maps'],
  },
  NODE_EXTRA_CA_CERTS: { who: 'Node', odd: ['/nowhere'] },
  NODE_USE_ENV_PROXY: flag('Node'),
  NODE_DEBUG: { who: 'Node', odd: ['nonsense'] },
  UV_THREADPOOL_SIZE: { who: 'Node', odd: ['0', '1', '-5', 'x'] },
  // of libraries
  GRPC_VERBOSITY: { who: 'gRPC', odd: ['DEBUG', 'NONE', 'nonsense'] },
  GRPC_TRACE: { who: 'gRPC', odd: ['nonsense'] },
  DEBUG: { who: 'ioredis', odd: ['nonsense'] },
  OTEL_SDK_DISABLED: { who: 'OpenTelemetry', odd: ['true', 'TRUE', 'x'] },
  OTEL_TRACES_EXPORTER: { who: 'OpenTelemetry', odd: ['none', 'console', 'x'] },
  OTEL_TRACES_SAMPLER: { who: 'OpenTelemetry', odd: ['always_off', 'x'] },
  OTEL_EXPORTER_OTLP_ENDPOINT: { who: 'OpenTelemetry', odd: ['nowhere', 'http://127.0.0.1:9'] },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: { who: 'OpenTelemetry', odd: ['nowhere', 'http://127.0.0.1:9'] },
  OTEL_EXPORTER_OTLP_PROTOCOL: { who: 'OpenTelemetry', odd: ['grpc', 'x'] },
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: { who: 'OpenTelemetry', odd: ['grpc', 'x'] },
  OTEL_EXPORTER_OTLP_TIMEOUT: { who: 'OpenTelemetry', odd: ['-1', 'x'] },
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: { who: 'OpenTelemetry', odd: ['-1', 'x'] },
  VK_ICD_FILENAMES: { who: 'drivers of GPUs', odd: ['/nowhere'] },
  VK_DRIVER_FILES: { who: 'drivers of GPUs', odd: ['/nowhere'] },
  // proxies, whichever way they are written
  ...Object.fromEntries(
    ['http_proxy', 'https_proxy', 'grpc_proxy', 'all_proxy'].flatMap((name) => [
      [name, proxy],
      [name.toUpperCase(), proxy],
    ]),
  ),
  no_proxy: { who: 'clients of HTTP', odd: ['*', 'nonsense,,'] },
  NO_PROXY: { who: 'clients of HTTP', odd: ['*', 'nonsense,,'] },
  no_grpc_proxy: { who: 'gRPC', odd: ['*'] },
};
