/**
 * All use of BullMQ in the worker: consumers for tasks handed out ahead of their step, and another for tasks that can run now, so that
 * tasks waiting for parameters never block it.
 */
import { createRequire } from 'node:module';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  MOST_AVOIDED,
  queueEntrySchema,
  queuePrefix,
  type TaskData,
} from '@kasane/protocol/internal/queue/queue';
import { areTasksSigned } from '@kasane/protocol/internal/queue/task-signature';
import { tracing } from '@kasane/protocol/internal/tracing';
import type { Job as QueueEntry, Worker, WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** Only the needed files of BullMQ: its index loads twice as many. */
const require = createRequire(import.meta.url);
const { Worker: BullWorker } = require('bullmq/dist/cjs/classes/worker.js') as typeof import('bullmq');
const { DelayedError, WaitingError } =
  require('bullmq/dist/cjs/classes/errors/index.js') as typeof import('bullmq');

/** Time without fetching after the queue asks for a pause, in milliseconds. */
const PAUSE_MS = 1_000;
/** Unsigned entries are reported at most once in this time, in milliseconds. */
const TOLD_MS = 10_000;
/**
 * A task meant for others is passed on: the worker that has waited longest gets it, so it reaches all free ones. Whoever passes it on
 * pauses this long, in milliseconds, or it would get it back.
 */
const PASS_MS = 10;
/** Passed on as often as there may be workers that avoid it, and once more; then only those are free, */
const PASS_TIMES = MOST_AVOIDED + 1;
/** and it goes back into the queue for this long, in milliseconds, */
const LEAVE_MS = 20;
/** at most this often; then the others are gone, and whoever takes it computes it. */
const LEAVE_TIMES = 50;

export interface ConsumerOptions {
  readonly job: string;
  /** This worker's ID, as tasks name it. */
  readonly worker: string;
  /** Queues of tasks ahead of their step, chosen by step modulo their number. */
  readonly queues: readonly string[];
  readonly reissueQueue: string;
  readonly slots: number;
  readonly redis: Redis;
  /** Key that the coordinator signs tasks with. */
  readonly key: Uint8Array;
  /** Resolves when a task is over, whatever the outcome. Called for all tasks of an entry at once; then the entry is removed. */
  readonly handle: (task: TaskData) => Promise<void>;
  readonly log: Logger;
}

/** Spans for queue operations, if tracing is on. */
function telemetry(): Pick<WorkerOptions, 'telemetry'> {
  const traces = tracing();
  return traces ? { telemetry: traces.queues as NonNullable<WorkerOptions['telemetry']> } : {};
}

/** Leaves an entry to other workers. @throws the error that BullMQ expects for this */
async function leave(entry: QueueEntry<unknown>, token?: string): Promise<never> {
  if (entry.attemptsStarted > PASS_TIMES) {
    await entry.moveToDelayed(Date.now() + LEAVE_MS, token);
    throw new DelayedError();
  }
  // By then, this consumer's other requests wait behind all others.
  await sleep(PASS_MS);
  await entry.moveToWait(token);
  await sleep(PASS_MS);
  throw new WaitingError();
}

export class TaskConsumer {
  readonly #options: ConsumerOptions;
  #share: number;
  #workers: Worker[];
  #paused = false;
  /** Whether it gets no tasks for now. */
  #resting = false;
  /** When an unsigned entry was last reported. */
  #toldAt = Number.NEGATIVE_INFINITY;
  /** When a refusal by Redis was last reported. */
  #refusedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#share = options.slots;
    this.#workers = this.#start();
  }

  /** Consumers that were blocked while Redis went away may never wake up (taskforcesh/bullmq#2964), so start new ones. */
  restart(): void {
    for (const worker of this.#workers) worker.close(true).catch(() => {});
    this.#workers = this.#isStill ? [] : this.#start();
  }

  /**
   * Sets how many tasks of one step to hold at once, at most; 0 takes none. The limit is per step because an entry may carry tasks of
   * several steps, and those held would otherwise wait for those that are not.
   */
  share(tasks: number): void {
    const before = this.#share;
    this.#share = Math.max(1, tasks);
    if (tasks === 0) {
      this.#resting = true;
      for (const worker of this.#workers) worker.pause(true).catch(() => {});
      return;
    }
    if (this.#resting) {
      this.#resting = false;
      for (const worker of this.#workers.slice(0, -1)) worker.concurrency = this.#share;
      for (const worker of this.#workers) this.#wake(worker).catch(() => {});
      return;
    }
    for (const worker of this.#workers.slice(0, -1)) {
      worker.concurrency = this.#share;
      // If Redis is away, it restarts later.
      if (this.#share > before && !this.#paused) this.#wake(worker).catch(() => {});
    }
  }

  /** A consumer checks its limit only when one of its tasks ends, and that may depend on tasks it has yet to take. */
  async #wake(worker: Worker): Promise<void> {
    await worker.pause(true);
    if (!this.#isStill) await worker.resume();
    await nextTurn();
    // Its tasks may have ended while it was paused, and its loop with them; nothing else would restart it.
    if (!this.#isStill && this.#workers.includes(worker) && !worker.isRunning()) await worker.run();
  }

  get #isStill(): boolean {
    return this.#paused || this.#resting;
  }

  /** Takes no more tasks; the ones held continue. */
  async pause(): Promise<void> {
    this.#paused = true;
    const paused = this.#workers.map((worker) => worker.pause(true).catch(() => {}));
    // Redis may be away.
    await Promise.race([Promise.all(paused), sleep(PAUSE_MS, undefined, { ref: false })]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close(true).catch(() => {})));
  }

  #start(): Worker[] {
    const { queues, reissueQueue, slots } = this.#options;
    return [
      ...queues.map((queue) => this.#consume(queue, this.#share)),
      this.#consume(reissueQueue, 2 * slots),
    ];
  }

  /** The entry is removed; the coordinator reissues tasks that nobody has fetched. */
  #unsigned(id: string | undefined): void {
    const now = performance.now();
    if (now - this.#toldAt < TOLD_MS) return;
    this.#toldAt = now;
    this.#options.log.warn(
      `skipping queue entry ${id}, which the coordinator has not signed: another program writes to this Redis, or the entry is left over from an earlier run`,
    );
  }

  /**
   * Redis answers with an error: the queue is no longer the coordinator's, or Redis is in a state that its operator needs to know about.
   */
  #refused(queue: string, { message }: Error): void {
    const now = performance.now();
    if (now - this.#refusedAt < TOLD_MS) return;
    this.#refusedAt = now;
    const { job, log } = this.#options;
    log.warn({ job }, `Redis refuses to hand out tasks from queue ${queue} of job ${job}: ${message}`);
  }

  #consume(name: string, concurrency: number): Worker {
    const { job, key, redis, handle, log } = this.#options;
    const worker = new BullWorker(
      name,
      async (entry: QueueEntry<unknown>, token?: string) => {
        if (!areTasksSigned(key, job, entry.data)) {
          this.#unsigned(entry.id);
          return;
        }
        const parsed = queueEntrySchema.safeParse(entry.data);
        const isForOthers = parsed.data?.tasks.some(({ avoid }) => avoid?.includes(this.#options.worker));
        if (isForOthers && entry.attemptsStarted <= LEAVE_TIMES) await leave(entry, token);
        // An invalid entry is removed; the coordinator reissues what it still needs.
        if (parsed.success) await Promise.all(parsed.data.tasks.map((task) => handle(task)));
        else log.warn(`queue entry ${entry.id} is not a valid task list: ${parsed.error.message}`);
      },
      {
        connection: redis,
        prefix: queuePrefix(job, key),
        concurrency,
        // Only a backstop: the coordinator notices a lost worker by its stream.
        lockDuration: 30_000,
        maxStalledCount: 1_000,
        // A rate limit set by another program is lifted within a second.
        maximumRateLimitDelay: PAUSE_MS,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
        // The coordinator has checked it.
        skipVersionCheck: true,
        ...telemetry(),
      },
    );
    // Keys and locks are missing after Redis was wiped. The result was sent separately, so only the entry is lost.
    let last = '';
    worker.on('error', (error) => {
      if (error.message !== last) log.debug(`queue ${name}: ${error.message}`);
      last = error.message;
      if (error.name === 'ReplyError') this.#refused(name, error);
    });
    return worker;
  }
}
