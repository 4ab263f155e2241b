/**
 * The cluster that is punished: Redis, coordinator and workers, each a process of its own that can really be killed, or a
 * container of its own. Each worker reaches the others by a network of its own, which can be cut.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { environmentOf, findRedis } from '@kasane/cli/internal/redis/start';
import type { LedgerRow } from '@kasane/coordinator/internal/store/ledger-rows';
import { CoordinatorClient } from '@kasane/protocol/client';
import { Redis } from 'ioredis';
import { main } from '../support/commands.ts';
import { ledgerOf } from '../support/ledger.ts';
import { FAKETIME, has } from '../support/needs.ts';
import type { Child, Line } from './child.ts';
import { Containers } from './containers.ts';
import type { FaultName } from './faults.ts';
import { type Hosts, Processes, type Role, type WorkerNetwork } from './hosts.ts';
import { type Random, randomOf } from './random.ts';

const START_MS = 180_000;
/** MiB of the file system under the state directory, where one can be mounted. */
const DISK_MIB = 48;

export interface StageOptions {
  readonly workers: number;
  readonly seed: number;
  /** Folder with the data of jobs: everything runs in a container of its own, which sees it. Default: processes. */
  readonly containersWith?: string | undefined;
  /** Give coordinator and workers a clock that can be set, where it can be had. Default true. */
  readonly clock?: boolean;
  /** Size of the file system under the state directory. Default 48. */
  readonly diskMib?: number;
  /** Options of `kasane coordinator`. */
  readonly coordinator?: readonly string[];
  /** Hears every line of every process. */
  readonly onLine?: (line: Line) => void;
}

/** A worker and its network. `index` counts from 1. */
export interface StagedWorker {
  readonly index: number;
  readonly network: WorkerNetwork;
  child: Child;
  /** As the coordinator knows it. */
  id: string;
  /** What is being done to it. */
  fault: string | undefined;
}

export class Stage {
  readonly directory: string;
  readonly state: string;
  readonly workers: StagedWorker[] = [];
  readonly random: Random;
  readonly #options: StageOptions;
  readonly #clockFile: string;
  readonly #mounted: boolean;
  readonly #redisDirectory: string;
  #hosts!: Hosts;
  redisChild!: Child;
  coordinatorChild!: Child;
  #client: CoordinatorClient | undefined;

  static async open(options: StageOptions): Promise<Stage> {
    const stage = new Stage(options);
    try {
      await stage.#start();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  private constructor(options: StageOptions) {
    this.#options = options;
    this.random = randomOf(options.seed);
    this.directory = mkdtempSync(join(tmpdir(), 'kasane-chaos-'));
    this.state = join(this.directory, 'state');
    this.#redisDirectory = join(this.directory, 'redis');
    this.#clockFile = join(this.directory, 'clock');
    mkdirSync(this.state);
    mkdirSync(this.#redisDirectory);
    this.#mounted = mountSmallDisk(this.state, options.diskMib ?? DISK_MIB);
    this.setClock(0);
  }

  /** Why a fault cannot be brought about here; undefined where it can. */
  lacks(fault: FaultName): string | undefined {
    if (fault === 'diskFull' && !this.#mounted) return 'a small disk of its own takes root and tmpfs';
    if (fault === 'clock' && !this.hasClock) return 'libfaketime is not installed';
    return this.#hosts.lacks(fault);
  }

  get hasClock(): boolean {
    return (this.#options.clock ?? true) && has('faketime');
  }

  /** Of the coordinator, for clients. */
  get place(): { readonly coordinator: string; readonly token: string | undefined } {
    const { coordinator, token } = this.#hosts;
    return { coordinator, token };
  }

  /** To the coordinator that runs now. */
  get client(): CoordinatorClient {
    this.#client ??= new CoordinatorClient(this.place);
    return this.#client;
  }

  async #start(): Promise<void> {
    const { containersWith: data, seed } = this.#options;
    const libraries = this.hasClock ? [dirname(FAKETIME)] : [];
    this.#hosts = data
      ? await Containers.open({ directory: this.directory, data, libraries })
      : await Processes.open(seed);
    await this.startRedis();
    await this.startCoordinator();
    for (let count = 0; count < this.#options.workers; count++) await this.addWorker();
  }

  async close(): Promise<void> {
    this.#client?.close();
    for (const { child, network } of this.workers) {
      network.close();
      await child.kill();
    }
    await this.coordinatorChild?.kill();
    await this.redisChild?.kill();
    await this.#hosts?.close();
    if (this.#mounted) execFileSync('umount', ['-l', this.state]);
    rmSync(this.directory, { recursive: true, force: true });
  }

  async startRedis(): Promise<void> {
    const binary = await findRedis();
    const options = [
      ...[...this.#hosts.redisOptions, '--dir', this.#redisDirectory],
      ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
    ];
    const since = performance.now();
    // Its allocator and libfaketime do not get on: it keeps the machine's clock.
    this.redisChild = await this.#launch('redis', 'redis', [binary.path, ...options], environmentOf(binary));
    await this.redisChild.line(/Ready to accept/, START_MS, since);
  }

  /** Kills it. @param keep what it had written to disk */
  async killRedis(keep: boolean): Promise<void> {
    await this.redisChild.kill();
    if (keep) return;
    // The folder itself stays: a container may have it.
    for (const name of readdirSync(this.#redisDirectory))
      rmSync(join(this.#redisDirectory, name), { recursive: true });
  }

  /** Asks Redis something, past the links. */
  async redis<T>(ask: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.#hosts.redisPort, '127.0.0.1', { maxRetriesPerRequest: 1 });
    redis.on('error', () => {});
    try {
      return await ask(redis);
    } finally {
      redis.disconnect();
    }
  }

  async startCoordinator(): Promise<void> {
    const { coordinator = [] } = this.#options;
    this.coordinatorChild = await this.#kasane('coordinator', 'coordinator', [
      ...['coordinator', ...this.#hosts.coordinatorOptions, '--state', this.state],
      ...['--no-dashboard', ...coordinator],
    ]);
    await this.coordinatorChild.line(/^Coordinator at/, START_MS);
  }

  /** A worker more, with a network of its own. */
  async addWorker(): Promise<StagedWorker> {
    const index = this.workers.length + 1;
    const network = await this.#hosts.network(index);
    const worker = { index, network, child: undefined as unknown as Child, id: '', fault: undefined };
    await this.startWorker(worker);
    this.workers.push(worker);
    return worker;
  }

  /** Starts the process of a worker that has none. */
  async startWorker(worker: StagedWorker): Promise<void> {
    const { index, network } = worker;
    worker.child = await this.#kasane('worker', `worker-${index}`, [
      ...['worker', '--coordinator', network.coordinator, '--redis', network.redisUrl],
      // Several of them share this machine.
      ...['--slots', '1', '--threads', '1'],
      // Both ways that tensors travel.
      ...(index % 2 === 0 ? ['--no-shared-memory'] : []),
    ]);
    const { match } = await worker.child.line(/connected to \S+ as ([^\s:]+)/, START_MS);
    worker.id = match[1]!;
  }

  /** Takes a worker that has ended from the list. */
  removeWorker(worker: StagedWorker): void {
    worker.network.close();
    this.workers.splice(this.workers.indexOf(worker), 1);
  }

  /** Sets the clock of coordinator and workers so many seconds off the machine's. */
  setClock(seconds: number): void {
    writeFileSync(this.#clockFile, `${seconds < 0 ? '' : '+'}${seconds}s\n`);
  }

  ledger(job: string): LedgerRow[] {
    return ledgerOf(this.state, job);
  }

  #kasane(role: Role, name: string, options: readonly string[]): Promise<Child> {
    const clock = {
      LD_PRELOAD: FAKETIME,
      FAKETIME_TIMESTAMP_FILE: this.#clockFile,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    return this.#launch(role, name, [process.execPath, main, ...options], this.hasClock ? clock : {});
  }

  #launch(
    role: Role,
    name: string,
    command: string[],
    env: Readonly<Record<string, string>>,
  ): Promise<Child> {
    return this.#hosts.start({ role, name, command, env, onLine: this.#options.onLine });
  }
}

function mountSmallDisk(path: string, mib: number): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m,mode=700`, 'kasane-chaos', path], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}
