/** A worker: a stream to the coordinator, a connection to Redis, several slots, and a session per open job. */
import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import { type Access, accessBeyond } from '@kasane/data/internal/files/access';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { ConnectResponse, JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import type { MetricsOptions, MetricsServer } from '@kasane/protocol/internal/ports/metrics-server';
import { redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import type { ClientTls } from '@kasane/protocol/internal/security/tls';
import { checkToken, isLoopback } from '@kasane/protocol/internal/security/token';
import type { FrameHeader } from '@kasane/protocol/internal/wire/frame';
import { expectPassingBuffers } from '@kasane/protocol/internal/wire/garbage';
import { PROTOCOL_VERSION } from '@kasane/protocol/limits';
import { isOutOfThreads, NO_THREADS } from '@kasane/tensor/internal/node/thread-answer';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { RedisLink } from './connection/redis-link.ts';
import { CoordinatorStream } from './connection/stream.ts';
import { withLimit } from './connection/with-limit.ts';
import { JobSession } from './job/job-session.ts';
import { OpenJobs } from './job/open-jobs.ts';
import type { WorkerMetrics } from './observe/prometheus.ts';
import { Trace } from './observe/trace.ts';
import { PeerLinks } from './peers/peer-links.ts';
import type { ComputeSlots } from './slots/compute-slots.ts';
import type { Backend, GpuStorage } from './slots/gpu.ts';
import { SlotPool } from './slots/slot-pool.ts';

export type WorkerState =
  /** No stream to the coordinator; retrying. */
  | 'connecting'
  /** Connected. */
  | 'connected'
  /** Finishing the tasks in progress, taking no new ones. */
  | 'draining'
  /** Ended. */
  | 'stopped';

export interface WorkerOptions {
  /** host:port, or a promise of it, so that compute threads can start meanwhile. */
  readonly coordinator: string | Promise<string>;
  /** Number of shards computed at once. Default: one per core; one for webgpu. */
  readonly slots?: number;
  /** Threads per slot on wasm. Results have the same bits for any number. Default 1. */
  readonly threads?: number;
  /** Backend for jobs with fast arithmetic. Default wasm. */
  readonly backend?: Backend;
  /** How a GPU stores values between layers. Default f32. */
  readonly gpuStorage?: GpuStorage;
  /** Compute slots to use instead of threads of this process. Default: `slots` threads. */
  readonly compute?: ComputeSlots;
  /** File for a profile in the Chrome trace format; timing each kernel slows steps down. Default: none. */
  readonly profile?: string | undefined;
  /** Redis URL for this worker. Default: the one that the coordinator announces. */
  readonly redisUrl?: string | undefined;
  readonly token?: string | undefined;
  /** TLS for the coordinator's port. Default: plain text. */
  readonly tls?: ClientTls | undefined;
  /** What this worker may read itself. Default: anything if the coordinator is on loopback, otherwise no folder. */
  readonly access?: Partial<Access> | undefined;
  /** Exchange tensors with a coordinator on this machine through shared memory. Default true. */
  readonly sharedMemory?: boolean;
  /** Exchange gradients with other workers if the coordinator asks for it. Default true. */
  readonly peers?: boolean;
  /** Default: host name, process ID and a random suffix. */
  readonly id?: string;
  /** Fail if the first connection takes longer, in milliseconds. Default: never. */
  readonly connectTimeoutMs?: number;
  /** Serve metrics and health on this address. Default: not served. */
  readonly metrics?: MetricsOptions | undefined;
  readonly log: Logger;
}

export interface RunningWorker {
  readonly id: string;
  readonly state: WorkerState;
  /** Resolves when the worker has stopped; rejects if the coordinator refused it or could not be reached in time. */
  readonly done: Promise<void>;
  /** Resolves when the coordinator has accepted the worker for the first time; never rejects. */
  readonly connected: Promise<void>;
  /** Finishes the tasks in progress, hands back the rest, and stops. Safe to call twice. */
  drain(): Promise<void>;
  /** Stops at once. Safe to call twice. */
  close(): Promise<void>;
}

/** How long to wait for jobs to close, in milliseconds. */
const CLOSE_MS = 1_000;

/** Starts a worker. It keeps running and reconnecting until it is drained or closed. */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  // Before any thread is started.
  if (options.token !== undefined) checkToken(options.token);
  if (options.redisUrl !== undefined) redisAddress(options.redisUrl);
  const worker = new KasaneWorker(options);
  await worker.start();
  return worker;
}

class KasaneWorker implements RunningWorker {
  readonly id: string;
  readonly done: Promise<void>;
  readonly connected: Promise<void>;
  readonly #options: WorkerOptions;
  readonly #log: Logger;
  readonly #pool: ComputeSlots;
  readonly #trace: Trace | undefined;
  readonly #jobs: OpenJobs;
  /** host:port; empty until it is known. */
  #coordinator = '';
  #state: WorkerState = 'connecting';
  #stream: CoordinatorStream | undefined;
  readonly #redis: RedisLink;
  readonly #links: PeerLinks;
  #why = '';
  #metrics: MetricsServer | undefined;
  #connectTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #resolveDone!: () => void;
  #rejectDone!: (error: Error) => void;
  #resolveConnected!: () => void;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.id =
      options.id ??
      `${hostname()
        .replace(/[^\w.-]/g, '-')
        .slice(0, 64)}-${process.pid}-${randomBytes(4).toString('hex')}`;
    this.#log = options.log.child({ worker: this.id });
    this.#jobs = new OpenJobs({
      onRefused: (job, why) => this.#stream?.send({ $case: 'jobRefused', value: { job, why } }),
      log: this.#log,
    });
    this.#redis = new RedisLink({
      log: this.#log,
      onBack: () => {
        for (const job of this.#jobs.all()) job.restart();
      },
      onWritten: (nonce, redis) => this.#stream?.send({ $case: 'redisWritten', value: { nonce, redis } }),
    });
    this.#links = new PeerLinks({
      tls: options.tls !== undefined,
      say: (message) => this.#stream?.send(message),
      onFrame: ({ header, payload }, from) => {
        if (header.kind === 'partGradient' || header.kind === 'partParameters')
          this.#jobs.get(header.job)?.tensors.receivePart(header, payload, from);
      },
      log: this.#log,
    });
    const { backend = 'wasm', threads = 1, gpuStorage = 'f32', profile } = options;
    // One thread keeps a GPU busy.
    const slots = options.slots ?? (backend === 'webgpu' ? 1 : availableParallelism());
    this.#trace =
      profile === undefined
        ? undefined
        : new Trace(profile, this.id, (what) => this.#log.warn(`${what}; the profile has a gap there`));
    const how = { backend, threads, gpuStorage, profile: this.#trace !== undefined };
    this.#pool = options.compute ?? new SlotPool(slots, this.#log, how, this.#trace);
    this.done = new Promise((resolve, reject) => {
      this.#resolveDone = resolve;
      this.#rejectDone = reject;
    });
    this.done.catch(() => {});
    this.connected = new Promise((resolve) => {
      this.#resolveConnected = resolve;
    });
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** @throws KasaneError if it cannot start; everything is closed then */
  async start(): Promise<void> {
    try {
      await this.#begin();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #begin(): Promise<void> {
    const { token, tls, connectTimeoutMs } = this.#options;
    const log = this.#log;
    try {
      await Promise.all(this.#pool.all.map((slot) => slot.ready));
    } catch (error) {
      const { words, todo } = NO_THREADS;
      const why = isOutOfThreads(error) ? `${words}; ${todo}` : messageOf(error);
      throw new KasaneError('BACKEND', why, { cause: error });
    }
    expectPassingBuffers();
    const metrics = await this.#tell();
    const coordinator = await this.#options.coordinator;
    this.#coordinator = coordinator;
    if (connectTimeoutMs !== undefined) {
      this.#connectTimer = setTimeout(() => {
        const why = this.#why ? ` (${this.#why})` : '';
        this.#fail(
          new KasaneError(
            'UNREACHABLE',
            `no coordinator answers at ${coordinator}${why}; start one with \`kasane coordinator\`, or check --coordinator`,
          ),
        );
      }, connectTimeoutMs);
    }
    const hello = {
      worker: this.id,
      host: hostname(),
      slots: this.#pool.size,
      backend: this.#kernel,
      protocol: PROTOCOL_VERSION,
    };
    this.#stream = new CoordinatorStream({
      coordinator,
      token,
      tls,
      hello,
      heartbeat: () => ({ busy: this.#pool.busy, waiting: Math.max(0, this.#jobs.held - this.#pool.busy) }),
      onSaid: metrics && ((message) => metrics.said(message)),
      onMessage: (message) => {
        try {
          this.#receive(message);
        } catch (error) {
          // The coordinator waits for what the message asks for, so a worker that cannot do it fails.
          this.#fail(
            new KasaneError('PROTOCOL', `the coordinator's '${message.$case}' message: ${messageOf(error)}`),
          );
        }
      },
      onFrame: ({ header, payload }) => {
        try {
          this.#frame(header, payload);
        } catch (error) {
          // They are unusable; a new connection brings new ones.
          this.#stream?.reconnect(messageOf(error));
        }
      },
      onBroken: (why, retryMs) => {
        if (why !== this.#why || this.#state === 'connected')
          log.warn(`no stream to ${coordinator}: ${why}; retrying`);
        else log.debug(`next attempt in ${retryMs.toFixed(0)} ms`);
        this.#why = why;
        // There is nobody to send results to.
        if (this.#state === 'draining') void this.#stop();
        if (this.#state === 'connected') this.#state = 'connecting';
        this.#jobs.closeAll();
        this.#links.connect([]);
      },
      onRefused: (error) => this.#fail(error),
    });
  }

  /** Handles a frame from the coordinator. */
  #frame(header: FrameHeader, payload: Uint8Array): void {
    switch (header.kind) {
      case 'parameters':
      case 'changes':
      case 'averages':
      case 'sharedParameters':
        this.#jobs.get(header.job)?.tensors.receive(header, payload);
        break;
      case 'partState':
      case 'partGradient':
      case 'partParameters':
        this.#jobs.get(header.job)?.tensors.receivePart(header, payload, undefined);
        break;
    }
  }

  /** Listens for other workers, if allowed, on the address that the coordinator sees. */
  #openPeers(): void {
    const { peers = true } = this.#options;
    const host = this.#stream?.localAddress;
    if (peers && host !== undefined) void this.#links.listen(host);
    if (peers) return;
    const why = 'it was started with --no-peers';
    this.#stream?.send({ $case: 'peersOpened', value: { address: '', why } });
  }

  /** Name of the kernel, for display. */
  get #kernel(): string {
    return this.#pool.all[0]?.kernel ?? 'wasm';
  }

  /** Serves metrics and health, if configured. */
  async #tell(): Promise<WorkerMetrics | undefined> {
    const { metrics: options } = this.#options;
    if (!options) return undefined;
    const [{ WorkerMetrics }, { startMetricsServer }] = await Promise.all([
      import('./observe/prometheus.ts'),
      import('@kasane/protocol/internal/ports/metrics-server'),
    ]);
    const metrics = new WorkerMetrics(() => ({
      connected: this.#state === 'connected' || this.#state === 'draining',
      slots: this.#pool.size,
      busy: this.#pool.busy,
      held: this.#jobs.held,
      jobs: this.#jobs.size,
    }));
    this.#metrics = await startMetricsServer(options, {
      metrics: () => metrics.page(),
      // A worker that waits for its coordinator is healthy: a restart would not help.
      health: () => (this.#state === 'stopped' ? 'stopped' : undefined),
    });
    this.#log.info(`metrics at ${this.#metrics.url}/metrics`);
    return metrics;
  }

  drain(): Promise<void> {
    if (this.#state === 'connected' || this.#state === 'connecting') {
      this.#state = 'draining';
      this.#log.info('draining: finishing the tasks in progress, taking no new ones');
      this.#stream?.send({ $case: 'drain', value: {} });
      this.#stopping = Promise.all(this.#jobs.all().map((job) => job.drain())).then(() => this.#stop());
    }
    return this.#stopping ?? this.close();
  }

  async close(): Promise<void> {
    await this.#stop();
  }

  #receive(message: NonNullable<ConnectResponse['message']>): void {
    switch (message.$case) {
      case 'welcome': {
        clearTimeout(this.#connectTimer);
        try {
          this.#redis.open(this.#options.redisUrl ?? message.value.redisUrl);
        } catch (error) {
          // The coordinator announced an invalid address.
          this.#fail(error as Error);
          return;
        }
        if (this.#state === 'connecting') this.#state = 'connected';
        this.#why = '';
        this.#log.info(
          `connected to ${this.#coordinator} as ${this.id}: ${this.#pool.size} x ${this.#kernel}`,
        );
        this.#resolveConnected();
        break;
      }
      case 'proveRedis':
        this.#redis.prove(message.value.nonce);
        break;
      case 'jobOpened':
        this.#openJob(message.value);
        break;
      case 'share':
        this.#jobs.get(message.value.job)?.share(message.value.tasks);
        break;
      case 'openPeers':
        this.#openPeers();
        break;
      case 'peers':
        this.#links.connect(message.value.peers);
        break;
      case 'parts':
        this.#jobs.get(message.value.job)?.beginParts(message.value);
        break;
      case 'commitParts':
        this.#jobs.get(message.value.job)?.tensors.commitParts(message.value);
        break;
      case 'jobClosed':
        this.#jobs.close(message.value.job);
        break;
      case 'drain':
        void this.drain();
        break;
      case 'shutdown':
        void this.close();
        break;
    }
  }

  #openJob(opened: JobOpened): void {
    const { redis } = this.#redis;
    if (this.#state === 'draining' || !redis) return;
    this.#jobs.open(opened, (onUnable) => this.#sessionOf(opened, redis, onUnable));
  }

  #sessionOf(opened: JobOpened, redis: Redis, onUnable: (why: string) => void): JobSession {
    return new JobSession({
      opened,
      worker: this.id,
      redis,
      slots: this.#pool,
      stream: this.#stream!,
      links: this.#links,
      onUnable,
      trace: this.#trace,
      sharedMemory: this.#options.sharedMemory ?? true,
      access: accessBeyond(this.#options.access ?? {}, isLoopback(this.#coordinator.replace(/:\d+$/, ''))),
      log: this.#log.child({ job: opened.job }),
    });
  }

  #fail(error: Error): void {
    this.#rejectDone(error);
    void this.close();
  }

  #stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #end(): Promise<void> {
    this.#state = 'stopped';
    clearTimeout(this.#connectTimer);
    this.#jobs.closeAll();
    this.#stream?.close();
    this.#links.close();
    // Redis may be away, and closing a consumer cleanly is not worth a hanging process.
    await withLimit(this.#jobs.closed(), CLOSE_MS);
    this.#redis.close();
    await this.#metrics?.close();
    await this.#pool.close();
    this.#trace?.close();
    this.#resolveDone();
  }
}
