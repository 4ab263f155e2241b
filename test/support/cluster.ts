/** A cluster for tests: Redis and workers are processes of their own, the coordinator is in this one. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { type CoordinatorOptions, startCoordinator } from '@kasane/coordinator/coordinator';
import type { LedgerRow } from '@kasane/coordinator/internal/store/ledger-rows';
import { openIdx } from '@kasane/data/idx';
import { mnistDirectory } from '@kasane/data/mnist';
import { CoordinatorClient } from '@kasane/protocol/client';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { pino } from 'pino';
import { writeIdx } from './idx.ts';
import { ledgerOf } from './ledger.ts';

/** Removes what a test made, last things first; for `afterAll`. */
export class CleanUp {
  readonly #steps: (() => unknown)[] = [];
  add(step: () => unknown): void {
    this.#steps.push(step);
  }
  async run(): Promise<void> {
    for (const step of this.#steps.reverse()) await step();
  }
}

export function temporaryDirectory(cleanUp: CleanUp): string {
  const directory = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  cleanUp.add(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A folder with the first samples of the real MNIST, as IDX files; of the classes first..last only, which are numbered from 0 then. */
export function smallMnist(directory: string, train: number, test: number, [first, last] = [0, 9]): string {
  const mnist = openIdx(mnistDirectory());
  for (const [prefix, part, count] of [
    ['train', mnist.train, train],
    ['t10k', mnist.test, test],
  ] as const) {
    const all = { pixels: new Uint8Array(10_000 * 784), labels: new Uint8Array(10_000) };
    const ids = Uint32Array.from({ length: 10_000 }, (_, i) => i);
    part.gather(ids, all.pixels, all.labels);
    const chosen = ids
      .filter((id) => all.labels[id]! >= first! && all.labels[id]! <= last!)
      .subarray(0, count);
    const labels = Uint8Array.from(chosen, (id) => all.labels[id]! - first!);
    const pixels = new Uint8Array(count * 784);
    for (const [i, id] of chosen.entries())
      pixels.set(all.pixels.subarray(id * 784, (id + 1) * 784), i * 784);
    writeIdx(join(directory, `${prefix}-images-idx3-ubyte`), [count, 28, 28], pixels);
    writeIdx(join(directory, `${prefix}-labels-idx1-ubyte`), [count], labels);
  }
  return directory;
}

type ClusterOptions = Pick<
  CoordinatorOptions,
  'limits' | 'batchExpirySeconds' | 'access' | 'exchange' | 'mlflow'
> &
  Partial<Pick<CoordinatorOptions, 'log'>>;

export class TestCluster {
  readonly state: string;
  readonly #cleanUp: CleanUp;
  readonly #options: ClusterOptions;
  #address = '';
  #close: () => Promise<void> = async () => {};
  #redis = '';

  /** @param state directory of the coordinator; without it, a new one */
  constructor(cleanUp: CleanUp, options: ClusterOptions = {}, state = temporaryDirectory(cleanUp)) {
    this.#cleanUp = cleanUp;
    this.#options = options;
    this.state = state;
  }

  async start(): Promise<void> {
    const redis = await startRedis({ url: process.env.REDIS_URL });
    this.#cleanUp.add(() => redis.close());
    await this.startOn(redis.url);
  }

  /** As `start`, on a Redis that is there. */
  async startOn(redisUrl: string): Promise<void> {
    this.#redis = redisUrl;
    await this.startCoordinator(0);
    this.#cleanUp.add(() => this.stopCoordinator());
  }

  /** host:port of the coordinator. */
  get address(): string {
    return this.#address;
  }

  get redisUrl(): string {
    return this.#redis;
  }

  get client(): CoordinatorClient {
    return new CoordinatorClient({ coordinator: this.#address });
  }

  /** Starts the coordinator, again on the same port and state directory after `stopCoordinator`. */
  async startCoordinator(
    port = Number(this.#address.split(':')[1] ?? 0),
    differs: ClusterOptions = {},
  ): Promise<void> {
    const { address, close } = await startCoordinator({
      host: '127.0.0.1',
      port,
      redisUrl: this.#redis,
      stateDirectory: this.state,
      log: pino({ level: process.env.KASANE_TEST_LOG ?? 'silent' }),
      ...this.#options,
      ...differs,
    });
    this.#address = address;
    this.#close = close;
  }

  stopCoordinator(): Promise<void> {
    return this.#close();
  }

  /** Starts a worker process; resolves when the coordinator has welcomed it. */
  async worker(
    slots = 1,
    more: {
      threads?: number;
      sharedMemory?: boolean;
      peers?: boolean;
      coordinator?: string;
      redisUrl?: string;
    } = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<ChildProcess> {
    const options = { coordinator: this.#address, slots, logLevel: 'silent', ...more };
    const child = fork(new URL(import.meta.resolve('@kasane/worker/internal/process')), {
      env: { ...process.env, ...env, KASANE_WORKER_OPTIONS: JSON.stringify(options) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#cleanUp.add(() => child.kill('SIGKILL'));
    await once(child, 'message');
    return child;
  }

  /** Submits a job and calls `onStep` with each step that is seen, until the job has ended. */
  async run(job: object, onStep: (step: number) => void = () => {}): Promise<Job> {
    const { client } = this;
    try {
      const id = await client.submit(JSON.stringify(job));
      for await (const now of client.watch(id)) onStep(now.step);
      return await client.get(id);
    } finally {
      client.close();
    }
  }

  ledger(job: string): LedgerRow[] {
    return ledgerOf(this.state, job);
  }
}
