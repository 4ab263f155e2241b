/** Assembles a coordinator: store, Redis, jobs, gRPC. */
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Access, accessBeyond } from '@kasane/data/internal/files/access';
import { sweepTemporaryFiles } from '@kasane/data/internal/files/whole-file';
import { messageOf } from '@kasane/protocol/errors';
import type { MetricsOptions } from '@kasane/protocol/internal/ports/metrics-server';
import { redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import type { ServerTls } from '@kasane/protocol/internal/security/tls';
import { checkToken, isLoopback } from '@kasane/protocol/internal/security/token';
import { defaultLimits, type Limits } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import { JobManager } from './jobs/manager.ts';
import { checkMlflow, type MlflowOptions } from './mlflow/api.ts';
import type { MlflowExportOptions } from './mlflow/export.ts';
import { Registry } from './models/registry.ts';
import { PeerMesh } from './peers/mesh.ts';
import type { ExchangeMode } from './peers/owner-choice.ts';
import { inspectRedis } from './queue/inspect-redis.ts';
import { WatchedRedis } from './queue/watched-redis.ts';
import type { StepTimes } from './run/run-options.ts';
import type { Unkept } from './run/saved-state.ts';
import { clusterService } from './serve/cluster.ts';
import { Downloads } from './serve/downloads.ts';
import { jobsService } from './serve/jobs.ts';
import { modelsService } from './serve/models.ts';
import type { CoordinatorMetrics } from './serve/prometheus.ts';
import { listen } from './serve/server.ts';
import { sweepsService } from './serve/sweeps.ts';
import { trainingHandlers } from './serve/training.ts';
import { type DecideOptions, defaultDecideOptions } from './steps/decide.ts';
import { finishDeletions, JOBS } from './store/deleted-files.ts';
import { isLock } from './store/disk.ts';
import { EventRecord } from './store/event-record.ts';
import { settleModels } from './store/model-files.ts';
import { MODELS } from './store/model-store.ts';
import { checkState } from './store/state-check.ts';
import { makeStateDirectory } from './store/state-database.ts';
import { claimState } from './store/state-lock.ts';
import { JobStore } from './store/store.ts';
import { TokenStore } from './store/tokens.ts';
import { Sweeps } from './sweeps/sweeps.ts';
import { VERSION } from './version.ts';
import { WorkerRegistry } from './workers.ts';

export interface CoordinatorOptions {
  /** Address to listen on. Beyond loopback, `token` or tokens in the state directory are required. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly redisUrl: string;
  /** Redis URL for workers, if it differs from `redisUrl`. */
  readonly announceRedisUrl?: string | undefined;
  /** Folder for the job store, checkpoints and models; created if missing. */
  readonly stateDirectory: string;
  /** Grants every scope. With it, or with tokens in the state directory, callers need a token even on loopback. */
  readonly token?: string | undefined;
  /** Default: plain text. */
  readonly tls?: ServerTls | undefined;
  readonly log: Logger;
  /** How gradients are exchanged. Default `auto`: chosen by the size of the model and by which workers can reach each other. */
  readonly exchange?: ExchangeMode | undefined;
  /** Timeouts after which tasks are reissued; the defaults suit most clusters. */
  readonly decide?: Partial<DecideOptions>;
  /** Folders and hosts that jobs may read from. Default: anything on loopback, otherwise no folder. */
  readonly access?: Partial<Access> | undefined;
  /** Overrides of `defaultLimits`. */
  readonly limits?: Partial<Limits>;
  /** Serve gRPC's health and reflection services. Default true. */
  readonly standardServices?: boolean;
  /** Seconds after which an unfetched batch expires in Redis; it is staged again if a worker asks for it. Default 3600. */
  readonly batchExpirySeconds?: number;
  /** Called after each step with the time that each part of it took. */
  readonly onStep?: (times: StepTimes) => void;
  /** Export jobs as runs to this MLflow server. Default: none. */
  readonly mlflow?: MlflowOptions | undefined;
  /** Serve metrics and health on this address. Default: not served. */
  readonly metrics?: MetricsOptions | undefined;
}

export interface Coordinator {
  /** host:port */
  readonly address: string;
  /** Whether callers need a token. */
  readonly asksToken: boolean;
  /** Token for clients in this process, with the scopes read and submit. */
  readonly ownToken: string;
  /** What could not be written to disk for a job, if anything; for the process that embeds the coordinator. */
  readonly unkept: (job: string) => Unkept | undefined;
  /** Stops serving; a running job is resumed by the next coordinator on the same state directory. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts a coordinator. If that fails, everything it had opened is closed again.
 * @throws KasaneError USAGE (invalid token), UNREACHABLE (Redis), CANNOT_LISTEN, STATE_IN_USE, STATE_UNUSABLE, or FILE_DAMAGED (the state
 * directory)
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  if (options.token !== undefined) checkToken(options.token);
  if (options.mlflow) checkMlflow(options.mlflow);
  if (options.announceRedisUrl !== undefined) redisAddress(options.announceRedisUrl);
  const opened: Closers = [];
  try {
    return await start(options, opened);
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

/** Close functions of what has been opened, in the order of opening; run in reverse. */
type Closers = (() => unknown)[];

async function closeAll(opened: Closers): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}

/** How long a start waits while another program holds the database lock, in milliseconds. */
const LOCKED_MS = 30_000;

/** Opens a state directory that is undamaged and not in use. @param opened receives its close functions */
async function openState(
  directory: string,
  log: Logger,
  opened: Closers,
): Promise<{ store: JobStore; tokens: TokenStore }> {
  for (const began = performance.now(); ; ) {
    try {
      checkState(directory);
      makeStateDirectory(directory);
      opened.push(claimState(directory));
      const store = new JobStore(directory, { inThread: true });
      opened.push(() => store.close());
      const tokens = new TokenStore(directory);
      opened.push(() => tokens.close());
      return { store, tokens };
    } catch (error) {
      await closeAll(opened);
      if (!isLock((error as Error).cause) || performance.now() - began > LOCKED_MS) throw error;
      log.warn(`${messageOf(error)}; retrying for ${LOCKED_MS / 1000} s`);
    }
    await sleep(1000);
  }
}

/**
 * Removes temporary files left by a coordinator that was killed. Safe because nobody else has the state directory, and no job of this
 * process writes yet.
 */
async function sweepJobs(stateDirectory: string, store: JobStore, log: Logger): Promise<void> {
  for (const job of await finishDeletions(stateDirectory, (id) => store.get(id) !== undefined))
    log.info({ job }, `removed the files of ${job}, which has been deleted`);
  for (const digest of await settleModels(stateDirectory, (digest) => store.models.has(digest)))
    log.info(`removed the weights ${digest}, which no registered model uses`);
  const leftIn = (folder: string) => sweepTemporaryFiles(join(stateDirectory, folder)).catch(() => 0); // the folder may not exist yet
  const left = (await leftIn(JOBS)) + (await leftIn(MODELS));
  if (left > 0) log.info(`removed ${left} unfinished files left by a coordinator that was killed`);
}

async function metricsOf(
  manager: JobManager,
  workers: WorkerRegistry,
  redisReady: () => boolean,
): Promise<CoordinatorMetrics> {
  const { CoordinatorMetrics } = await import('./serve/prometheus.ts');
  return new CoordinatorMetrics({
    version: VERSION,
    running: () => manager.running(),
    states: () => manager.states(),
    workers: () => workers.all(),
    redisReady,
  });
}

/** @param opened receives the server's close function */
async function serveMetrics(
  metrics: CoordinatorMetrics,
  options: MetricsOptions,
  log: Logger,
  opened: Closers,
): Promise<void> {
  const { startMetricsServer } = await import('@kasane/protocol/internal/ports/metrics-server');
  // Healthy even without Redis: the coordinator recovers by itself, and a restart would not help.
  const server = await startMetricsServer(options, {
    metrics: () => metrics.page(),
    health: () => undefined,
  });
  opened.push(() => server.close());
  log.info(`metrics at ${server.url}/metrics`);
}

/** Returns a function that stops the export. */
async function sendToMlflow(options: MlflowExportOptions): Promise<() => Promise<void>> {
  const { MlflowExport } = await import('./mlflow/export.ts');
  const exporting = new MlflowExport(options);
  exporting.start();
  return () => exporting.close();
}

/** @param opened receives the close functions of what it opens */
async function start(options: CoordinatorOptions, opened: Closers): Promise<Coordinator> {
  const { log, redisUrl } = options;
  const stateDirectory = resolve(options.stateDirectory);
  const { store, tokens } = await openState(stateDirectory, log, opened);
  await sweepJobs(stateDirectory, store, log);
  const { trouble } = await inspectRedis(redisUrl);
  if (trouble) log.warn(`${trouble.found}; ${trouble.todo}`);
  const link = new WatchedRedis({
    url: redisUrl,
    log,
    onBack: () => manager.runs.requeue(),
    onWhy: () => manager.runs.redisChanged(),
  });
  opened.push(() => link.close());
  const { redis } = link;
  await link.connect();
  const limits = { ...defaultLimits, ...options.limits };
  const events = new EventRecord({ store, most: limits.events, log });
  opened.push(() => events.close());
  const workers = new WorkerRegistry();
  const mesh = new PeerMesh();
  const manager = new JobManager({
    store,
    events,
    redis,
    redisWhy: () => link.why,
    workers,
    mesh,
    exchange: options.exchange ?? 'auto',
    stateDirectory: options.stateDirectory,
    decide: { ...defaultDecideOptions, ...options.decide },
    log,
    limits,
    access: accessBeyond(options.access ?? {}, isLoopback(options.host)),
    batchExpirySeconds: options.batchExpirySeconds ?? 3600,
    whyPaused: (job) => sweeps.whyPaused(job),
    onStep: (times) => {
      options.onStep?.(times);
      metrics?.stepped(times);
    },
  });
  const sweeps = new Sweeps({ store, manager, events, limits, log });
  const metrics = options.metrics && (await metricsOf(manager, workers, () => redis.status === 'ready'));
  if (metrics) events.onEvent((event) => metrics.happened(event));
  const training = trainingHandlers({
    workers,
    redisUrl: options.announceRedisUrl ?? redisUrl,
    redis,
    ownRedisUrl: redisUrl,
    runs: manager.runs,
    mesh,
    limits,
    log,
  });
  const registry = new Registry({ store, manager, events, stateDirectory, log });
  const downloads = new Downloads(log);
  const services = {
    jobs: { ...jobsService(manager, sweeps, downloads, log) },
    sweeps: { ...sweepsService(sweeps, log) },
    models: { ...modelsService(registry, downloads, log) },
    cluster: { ...clusterService(manager, workers, VERSION, log) },
    training,
  };
  const ownToken = randomBytes(32).toString('base64url');
  if (metrics && options.metrics) await serveMetrics(metrics, options.metrics, log, opened);
  const server = await listen(services, { ...options, tokens, ownToken, limits });
  manager.start();
  sweeps.start();
  if (options.mlflow)
    opened.push(await sendToMlflow({ mlflow: options.mlflow, store, manager, events, log }));
  let closed: Promise<void> | undefined;
  const close = async () => {
    await sweeps.close();
    await manager.close();
    await server.close();
    await closeAll(opened);
  };
  return {
    address: server.address,
    asksToken: server.asksToken,
    ownToken,
    unkept: (job) => manager.runs.unkept(job),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
