/** A whole cluster on this machine for the time of one command: Redis, coordinator, workers. Nothing of it stays behind. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Coordinator, startCoordinator } from '@kasane/coordinator/coordinator';
import type { Unkept } from '@kasane/coordinator/internal/run/saved-state';
import { StateUnusable } from '@kasane/coordinator/internal/store/state-errors';
import { KasaneError } from '@kasane/protocol/errors';
import type { Limits } from '@kasane/protocol/limits';
import type { Backend, GpuStorage } from '@kasane/worker/internal/slots/gpu';
import type { Logger } from 'pino';
import {
  disownFolder,
  makeTemporaryFolder,
  noTemporaryFiles,
  sweepTemporaryFolders,
} from '../../files/temporary-folder.ts';
import { stopSignals } from '../../process/hangup.ts';
import { StoppedBySignal } from '../../process/stop.ts';
import { endOrphan, type StartedRedis, startRedis } from '../../redis/start.ts';
import { count } from '../../render/count.ts';
import { spansAsked } from '../../tracing/asked.ts';
import { type ForkedWorker, forkWorker, tellCoordinator } from './worker-processes.ts';

export interface ClusterOptions {
  readonly workers: number;
  readonly slots: number;
  /** That compute a shard together. Default 1. */
  readonly threads?: number;
  readonly backend: Backend;
  readonly gpuStorage: GpuStorage;
  /** Workers write traces. Default false. */
  readonly profile?: boolean;
  readonly redisUrl?: string | undefined;
  /** Workers that are there already, with these options, and wait for a coordinator. Default: all are forked at the start. */
  readonly forked?: readonly ForkedWorker[];
  /** Of its coordinator, where they are not the defaults. */
  readonly limits?: Partial<Limits>;
  readonly log: Logger;
  /** Hears what is started, for people. */
  readonly say: (line: string) => void;
}

/** A worker that dies is started again, so often in all. */
const RESTARTS = 20;
/** So long, in milliseconds, workers may take to end: to write down what they have compiled, */
const ENDING_MS = 2_000;
/** and to send the last of their spans. */
const LAST_SPANS_MS = 5_000;
/** A worker that is not there after so long, in milliseconds, is told of. */
const STARTING_MS = 20_000;
/** pino's number for it. */
const FATAL = 60;

export class EmbeddedCluster {
  readonly #options: ClusterOptions;
  readonly #workers = new Set<ForkedWorker>();
  #redis: StartedRedis | undefined;
  #coordinator: Coordinator | undefined;
  #directory: string | undefined;
  #restarts = 0;
  /** Files that workers write traces to, until the cluster is closed. */
  readonly traces: string[] = [];
  #starting: Promise<{ address: string }> | undefined;
  #closed: Promise<void> | undefined;
  #fail: (error: Error) => void = () => {};
  /** Rejects when the cluster can not go on: its workers keep ending. */
  readonly failed = new Promise<never>((_, reject) => {
    this.#fail = reject;
  });
  readonly #lastWord = () => {
    for (const { child } of this.#workers) child.kill('SIGKILL');
    if (this.#directory && !this.#kept) rmSync(this.#directory, { recursive: true, force: true });
  };
  #kept = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    // Runs whatever ends this process, but for SIGKILL: then workers see their channel break, and Redis its pipe.
    process.on('exit', this.#lastWord);
    // It may fail before anybody waits for it; who waits later still hears it.
    this.failed.catch(() => {});
  }

  /** Starts everything; what had been started is stopped again when a part fails. */
  start(): Promise<{ address: string }> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<{ address: string }> {
    const { redisUrl, limits, log, say, workers, slots, threads = 1, forked = [] } = this.#options;
    for (const worker of forked) this.#adopt(worker);
    await sweepTemporaryFolders(endOrphan);
    this.#directory = makeTemporaryFolder();
    while (this.#workers.size < workers) this.#startWorker();
    this.#redis = await startRedis({ url: redisUrl, log: say });
    this.#checkWanted();
    say(`Redis: ${this.#redis.description}`);
    const { url } = this.#redis;
    this.#coordinator = await startCoordinator({
      host: '127.0.0.1',
      port: 0,
      redisUrl: url,
      stateDirectory: this.#directory,
      // Nobody else knows its address; they take a tenth of the time that it takes to start.
      standardServices: false,
      ...(limits && { limits }),
      log,
    }).catch((error: unknown) => {
      throw error instanceof StateUnusable ? noTemporaryFiles(error.what) : error;
    });
    this.#checkWanted();
    const { address } = this.#coordinator;
    say(
      `Cluster: coordinator at ${address}, ${count(workers, 'worker')} with ${count(slots, 'slot')}${workers > 1 ? ' each' : ''}${threads > 1 ? ` of ${threads} threads` : ''}`,
    );
    for (const worker of this.#workers) tellCoordinator(worker, address);
    return { address };
  }

  /** Stops everything and removes its files. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** What the disk of its state refuses to keep of a job, if it does. */
  unkept(job: string): Unkept | undefined {
    return this.#coordinator?.unkept(job);
  }

  /** Where it keeps its state. */
  get directory(): string | undefined {
    return this.#directory;
  }

  /** Leaves the files of jobs where they are when it is closed: somebody still has to fetch them. */
  keepFiles(): void {
    this.#kept = true;
    if (this.#directory) disownFolder(this.#directory);
  }

  /** A cluster that was closed while it started goes no further. */
  #checkWanted(): void {
    if (this.#closed) throw new KasaneError('JOB_CANCELLED', 'stopped while the cluster was starting');
  }

  #startWorker(): void {
    const { slots, threads = 1, backend, gpuStorage, log } = this.#options;
    const profile = this.#nextTrace();
    const options = { slots, threads, backend, gpuStorage, logLevel: log.level };
    this.#adopt(forkWorker({ ...options, ...(profile && { profile }) }));
  }

  #adopt(worker: ForkedWorker): void {
    const { log, say } = this.#options;
    const { child, error: failure, stderr, closed } = worker;
    this.#workers.add(worker);
    if (this.#coordinator) tellCoordinator(worker, this.#coordinator.address);
    let ready = false;
    let lastWords = '';
    // If the system allows no more threads, Node may wait for one forever, before any of our code runs.
    const slow = setTimeout(() => {
      log.warn(
        `a worker has not started within ${STARTING_MS / 1000} s: the machine is busy, or allows no more threads (ulimit -u, or the limit of the container)`,
      );
    }, STARTING_MS).unref();
    child.once('message', () => {
      ready = true;
      clearTimeout(slow);
    });
    const lines = createInterface({ input: stderr }).on('line', (line) => {
      const entry = logEntry(line);
      if (entry?.level === FATAL) lastWords = String(entry.msg);
      // While everything is taken down, that the coordinator is gone is no news.
      if (this.#closed) return;
      // An entry of its log joins ours, anything else is an error in itself.
      const level = log.levels.labels[Number(entry?.level)];
      if (level) log[level as 'info'](`worker: ${String(entry?.msg)}`);
      else log.error(`worker: ${line}`);
    });
    void failure.then((error) => this.#fail(error));
    // It may have ended before this; its last words are read first.
    void Promise.all([closed, once(lines, 'close')]).then(([{ code, signal }]) => {
      clearTimeout(slow);
      this.#workers.delete(worker);
      if (this.#closed) return;
      if (!ready && lastWords) {
        this.#fail(new KasaneError('BACKEND', `a worker could not start: ${lastWords}`));
        return;
      }
      if (++this.#restarts > RESTARTS) {
        const how = signal ?? `code ${code}`;
        this.#fail(new KasaneError('UNREACHABLE', `a worker exited (${how}) after ${RESTARTS} restarts`));
        return;
      }
      say(
        `a worker exited (${signal ?? `code ${code}`}); its tasks are handed to other workers, and it is restarted`,
      );
      this.#startWorker();
    });
  }

  /** Where the next worker writes its trace; undefined without a profile. */
  #nextTrace(): string | undefined {
    if (!this.#options.profile) return undefined;
    const path = join(this.#directory!, `trace-${this.traces.length}.json`);
    this.traces.push(path);
    return path;
  }

  async #close(): Promise<void> {
    const { backend } = this.#options;
    // What is being started can only be stopped once it is there.
    await this.#starting?.catch(() => {});
    try {
      await this.#coordinator?.close();
    } finally {
      const workers = [...this.#workers]
        .map(({ child }) => child)
        .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
      const ended = workers.map((child) => new Promise((resolve) => child.once('exit', resolve)));
      // Nothing of theirs is needed any more, but for what they have compiled, and for the spans that they have not sent.
      for (const child of workers) {
        if (spansAsked()) child.kill('SIGTERM');
        // One that ends by itself with a GPU's device open may hang.
        else if (backend !== 'wasm' || !child.connected) child.kill('SIGKILL');
        else child.disconnect();
      }
      const late = setTimeout(
        () => {
          for (const child of workers) child.kill('SIGKILL');
        },
        spansAsked() ? LAST_SPANS_MS : ENDING_MS,
      );
      await Promise.all(ended);
      clearTimeout(late);
      await this.#redis?.close();
      this.#lastWord();
      process.off('exit', this.#lastWord);
    }
  }
}

/**
 * Runs `body` and, whatever happens, `cleanUp`; a signal that asks to stop ends `body` with an error.
 * @param what is lost then
 */
export async function guarded<T>(
  body: () => Promise<T>,
  cleanUp: () => Promise<void>,
  what: keyof typeof keep = 'training',
): Promise<T> {
  let interrupt: (signal: NodeJS.Signals) => void = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = (signal) =>
      reject(new StoppedBySignal(signal, `stopped by ${signal}: ${progressLost(what)}`));
  });
  for (const signal of stopSignals) process.on(signal, interrupt);
  try {
    return await Promise.race([body(), interrupted]);
  } finally {
    await cleanUp();
    for (const signal of stopSignals) process.off(signal, interrupt);
  }
}

/** What becomes of a run that ends before its weights are written, and what would keep it. */
export const progressLost = (what: keyof typeof keep): string =>
  `the progress of this run is lost. To keep progress, ${keep[what]}`;

const keep = {
  training: 'submit the job to a `kasane coordinator`',
  sweep: 'run it on a `kasane coordinator`, with --coordinator',
  test: 'let it finish: it takes only a few steps',
};

/** An entry of a worker's log; undefined for a line that is none. */
function logEntry(line: string): { readonly level?: unknown; readonly msg?: unknown } | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
