/** The commands that stay: coordinator and worker. */
import { availableParallelism, constants, networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import type { ExchangeMode } from '@kasane/coordinator/internal/peers/owner-choice';
import { type Access, isS3 } from '@kasane/data/internal/files/access';
import { hostPort } from '@kasane/protocol/internal/ports/address';
import type { MetricsOptions } from '@kasane/protocol/internal/ports/metrics-server';
import { readClientTls, readServerTls, type TlsFiles } from '@kasane/protocol/internal/security/tls';
import { isLoopback } from '@kasane/protocol/internal/security/token';
import type { Backend, GpuStorage } from '@kasane/worker/internal/slots/gpu';
import { startWorker } from '@kasane/worker/worker';
import { requireReplaceable } from '../../files/replaced-file.ts';
import { sweepTemporaryFolders } from '../../files/temporary-folder.ts';
import { makeLog } from '../../output/log.ts';
import { out } from '../../output/say.ts';
import { requireAddressSpace } from '../../process/address-space.ts';
import { requireFileSize } from '../../process/file-size.ts';
import { threadsEach } from '../../process/local-workers.ts';
import { requireOpenFiles } from '../../process/open-files.ts';
import { onStop, stopAsked } from '../../process/stop.ts';
import { limitsOf } from '../../program/limit-flags.ts';
import { type LogFormat, type LogLevel, stateFolder } from '../../program/options.ts';
import { endOrphan, startRedis } from '../../redis/start.ts';
import { dashboardBeside } from '../dashboard/dashboard.ts';

/** A worker that has stopped, or is told so again, may take so long to end, in milliseconds. */
const ENDING_MS = 1_000;

/** Where a command that stays serves metrics, if anywhere. */
interface MetricsFlags {
  readonly metricsPort?: number;
  readonly metricsHost: string;
  readonly metricsToken?: string;
}

function metricsOptions({
  metricsPort,
  metricsHost,
  metricsToken,
}: MetricsFlags): MetricsOptions | undefined {
  if (metricsPort === undefined) return undefined;
  return { port: metricsPort, host: metricsHost, token: metricsToken };
}

/** What jobs may name, by flags. */
export interface Places {
  readonly dataRoot?: readonly string[];
  readonly urlHost?: readonly string[];
}

/** Undefined where nothing was said: the defaults know whether this is loopback. */
function accessOf({ dataRoot, urlHost }: Places): Partial<Access> {
  return {
    ...(dataRoot && { roots: dataRoot.map((root) => (isS3(root) ? root : resolve(root))) }),
    ...(urlHost && { hosts: urlHost }),
  };
}

/** Limits are among its properties, by their flags. */
export interface CoordinatorCommand extends MetricsFlags, TlsFiles, Places {
  readonly host: string;
  readonly port: number;
  readonly redis?: string;
  readonly announceRedis?: string;
  readonly exchange: ExchangeMode;
  readonly dashboard: boolean;
  readonly dashboardHost: string;
  readonly dashboardPort: number;
  readonly state?: string;
  readonly token?: string;
  readonly mlflow?: string;
  readonly mlflowExperiment: string;
  readonly json?: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** Credentials come from the variables of MLflow's own client: every user of a machine can read command lines. */
function mlflowOptions({ mlflow: url, mlflowExperiment: experiment }: CoordinatorCommand) {
  if (url === undefined) return undefined;
  const { MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD } = process.env;
  return {
    ...{ url, experiment },
    // A variable that is set to nothing is none.
    token: MLFLOW_TRACKING_TOKEN || undefined,
    user: MLFLOW_TRACKING_USERNAME || undefined,
    password: MLFLOW_TRACKING_PASSWORD || undefined,
  };
}

export async function coordinator(options: CoordinatorCommand): Promise<void> {
  const { host, port, token, json } = options;
  requireOpenFiles(0);
  requireAddressSpace(0);
  requireFileSize();
  const say = (line: string) => {
    if (!json) out.write(`${line}\n`);
  };
  const log = makeLog(options.logLevel, options.logFormat);
  const tls = readServerTls(options);
  const access = accessOf(options);
  const stopped = stopAsked();
  await sweepTemporaryFolders(endOrphan);
  const redis = await startRedis({
    url: options.redis ?? process.env.REDIS_URL,
    log: (line) => log.info(line),
  });
  try {
    const running = await startCoordinator({
      host,
      port,
      redisUrl: redis.url,
      announceRedisUrl: options.announceRedis,
      stateDirectory: stateFolder(options.state),
      token,
      exchange: options.exchange,
      metrics: metricsOptions(options),
      mlflow: mlflowOptions(options),
      tls,
      access,
      limits: limitsOf({ ...options }),
      log,
    });
    say(`Coordinator at ${running.address}, ${redis.description}`);
    const join = reachable(running.address).map(
      (address) =>
        `${running.asksToken ? 'KASANE_TOKEN=... ' : ''}kasane worker --coordinator ${address}${tls ? ' --tls-ca ...' : ''}`,
    );
    for (const line of join) say(`To join:  ${line}`);
    if (!isLoopback(host) && !options.redis && !process.env.REDIS_URL) {
      log.warn(
        'this Redis is only reachable from this machine: for workers on other machines, set --redis to one that they can reach',
      );
    }
    const page = options.dashboard
      ? await dashboardBeside(
          {
            host: options.dashboardHost,
            port: options.dashboardPort,
            flags: { host: '--dashboard-host', port: '--dashboard-port' },
            coordinator: running.address,
            token: running.ownToken,
            own: tls,
            tls,
          },
          say,
        )
      : undefined;
    if (json) {
      const record = {
        address: running.address,
        join,
        redis: redis.description,
        dashboard: page?.url ?? null,
      };
      out.write(`${JSON.stringify(record)}\n`);
    }
    await stopped;
    await page?.close();
    await running.close();
  } finally {
    await redis.close();
  }
}

/** host:port as others may reach it: each of this machine's addresses when it listens on all of them; IPv6 where it has no other. */
export function reachable(address: string, interfaces = networkInterfaces()): string[] {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon);
  if (host !== '0.0.0.0' && host !== '::' && host !== '[::]') return [address];
  const own = Object.values(interfaces).flatMap((list) => list ?? []);
  const others = own.filter(({ internal }) => !internal);
  const byIPv4 = others.filter(({ family }) => family === 'IPv4');
  // Addresses of a link only are of no use without its name, which is another on each machine.
  const byIPv6 =
    host === '0.0.0.0'
      ? []
      : others.filter((one) => one.family === 'IPv6' && !/^fe[89ab]/i.test(one.address));
  const found = (byIPv4.length > 0 ? byIPv4 : byIPv6).map((one) => one.address);
  const loopback = host === '0.0.0.0' || own.some(({ family }) => family === 'IPv4') ? '127.0.0.1' : '::1';
  return (found.length > 0 ? found : [loopback]).map((one) =>
    hostPort(one, Number(address.slice(colon + 1))),
  );
}

/** Ends this process in a moment, whatever still keeps it. */
function endsAnyway(code: number): void {
  setTimeout(() => process.exit(code), ENDING_MS).unref();
}

export interface WorkerCommand extends MetricsFlags, TlsFiles, Places {
  readonly coordinator: string;
  readonly slots?: number;
  readonly threads?: number;
  readonly backend: Backend;
  readonly gpuStorage: GpuStorage;
  readonly profile?: string;
  readonly redis?: string;
  readonly token?: string;
  readonly sharedMemory: boolean;
  readonly peers: boolean;
  /** Seconds. */
  readonly connectTimeout: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export async function worker(options: WorkerCommand): Promise<void> {
  const { coordinator: address, slots, backend, gpuStorage, profile, redis, token } = options;
  const { sharedMemory, peers } = options;
  requireAddressSpace(slots ?? availableParallelism());
  if (profile !== undefined) requireReplaceable(profile, 'profile', '--profile');
  const running = await startWorker({
    coordinator: address,
    ...(slots !== undefined && { slots }),
    threads: options.threads ?? (backend === 'webgpu' ? 1 : threadsEach(slots ?? availableParallelism())),
    backend,
    gpuStorage,
    profile,
    redisUrl: redis,
    token,
    tls: readClientTls(options),
    access: accessOf(options),
    sharedMemory,
    peers,
    connectTimeoutMs: 1000 * options.connectTimeout,
    metrics: metricsOptions(options),
    log: makeLog(options.logLevel, options.logFormat),
  });
  // The first signal drains, a later one stops at once.
  onStop(
    () => void running.drain(),
    (signal) => {
      void running.close();
      endsAnyway(128 + constants.signals[signal]);
    },
    ['SIGINT', 'SIGTERM'],
  );
  await running.done;
  endsAnyway(0);
}
