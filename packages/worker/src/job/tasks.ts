/**
 * All of BullMQ on the worker's side: consumers for tasks handed out ahead of their step, and one more for tasks that
 * can run now, so that waiting for parameters never keeps the latter.
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

/** Of BullMQ's files those that are needed: its index loads as many again, for what nobody uses here. */
const require = createRequire(import.meta.url);
const { Worker: BullWorker } = require('bullmq/dist/cjs/classes/worker.js') as typeof import('bullmq');
const { DelayedError, WaitingError } =
  require('bullmq/dist/cjs/classes/errors/index.js') as typeof import('bullmq');

/** So long, in milliseconds, the queue is asked for no more tasks. */
const PAUSE_MS = 1_000;
/** Of many entries without a signature, one is told of in this time, in milliseconds. */
const TOLD_MS = 10_000;
/**
 * A task that is meant for others is passed on: who waits longest gets it, so it comes to each of those that are free. Whoever passes it on
 * asks for nothing else for so long, in milliseconds: it would get it back.
 */
const PASS_MS = 10;
/** As often as there may be workers who leave it to others, and once more; from then on only those are free, */
const PASS_TIMES = MOST_AVOIDED + 1;
/** and it goes back into the queue for so long, in milliseconds, */
const LEAVE_MS = 20;
/** and so often: then the others are gone, and whoever takes it computes it. */
const LEAVE_TIMES = 50;

export interface ConsumerOptions {
  readonly job: string;
  /** Who this is, as tasks name it. */
  readonly worker: string;
  /** Queues of tasks ahead of their step, by step modulo their number. */
  readonly queues: readonly string[];
  readonly reissueQueue: string;
  readonly slots: number;
  readonly redis: Redis;
  /** What the coordinator signs tasks with. */
  readonly key: Uint8Array;
  /** Resolves when a task is over in whatever way. Called for all tasks of an entry at once; then the entry is removed. */
  readonly handle: (task: TaskData) => Promise<void>;
  readonly log: Logger;
}

/** Spans of what is done with a queue, where spans are asked for. */
function telemetry(): Pick<WorkerOptions, 'telemetry'> {
  const traces = tracing();
  return traces ? { telemetry: traces.queues as NonNullable<WorkerOptions['telemetry']> } : {};
}

/** Leaves an entry to others. @throws what tells BullMQ so */
async function leave(entry: QueueEntry<unknown>, token?: string): Promise<never> {
  if (entry.attemptsStarted > PASS_TIMES) {
    await entry.moveToDelayed(Date.now() + LEAVE_MS, token);
    throw new DelayedError();
  }
  // By then this consumer's other places wait for entries behind all others.
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
  /** It is given nothing for now. */
  #resting = false;
  /** When an entry without a signature was told of last. */
  #toldAt = Number.NEGATIVE_INFINITY;
  /** When a refusal of Redis was told of last. */
  #refusedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#share = options.slots;
    this.#workers = this.#start();
  }

  /** Consumers that were blocked while Redis went away may sleep for ever (taskforcesh/bullmq#2964): begin anew. */
  restart(): void {
    for (const worker of this.#workers) worker.close(true).catch(() => {});
    this.#workers = this.#isStill ? [] : this.#start();
  }

  /**
   * Sets how many tasks of one step are held at once, at most; 0: none is taken for now. Nothing less would do where an entry carries
   * tasks of several steps: those held would wait for those that are not.
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
      // Where Redis is away it begins anew.
      if (this.#share > before && !this.#paused) this.#wake(worker).catch(() => {});
    }
  }

  /** A consumer looks for how much it may hold when something that it holds ends, which may wait for what it does not hold yet. */
  async #wake(worker: Worker): Promise<void> {
    await worker.pause(true);
    if (!this.#isStill) await worker.resume();
    await nextTurn();
    // What it held may have ended while it was paused, and its loop with that: nothing would begin it again.
    if (!this.#isStill && this.#workers.includes(worker) && !worker.isRunning()) await worker.run();
  }

  get #isStill(): boolean {
    return this.#paused || this.#resting;
  }

  /** Takes no more tasks; those held go on. */
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

  /** It is removed; the coordinator hands out again what nobody has fetched. */
  #unsigned(id: string | undefined): void {
    const now = performance.now();
    if (now - this.#toldAt < TOLD_MS) return;
    this.#toldAt = now;
    this.#options.log.warn(
      `skipping queue entry ${id}, which the coordinator has not signed: another program writes to this Redis, or the entry is left over from an earlier run`,
    );
  }

  /** Redis answers, and refuses: it is not the coordinator's queue any more, or Redis is in a state that its operator has to know of. */
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
        // Not ours to understand: it is removed, and the coordinator hands out what it still needs.
        if (parsed.success) await Promise.all(parsed.data.tasks.map((task) => handle(task)));
        else log.warn(`queue entry ${entry.id} is not a valid task list: ${parsed.error.message}`);
      },
      {
        connection: redis,
        prefix: queuePrefix(job, key),
        concurrency,
        // Only the backstop: the coordinator sees a lost worker by its stream.
        lockDuration: 30_000,
        maxStalledCount: 1_000,
        // Another program's limit is taken back within a second.
        maximumRateLimitDelay: PAUSE_MS,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
        // The coordinator has looked.
        skipVersionCheck: true,
        ...telemetry(),
      },
    );
    // Missing keys and locks after Redis was wiped: the result has gone its own way, only the entry is lost.
    let last = '';
    worker.on('error', (error) => {
      if (error.message !== last) log.debug(`queue ${name}: ${error.message}`);
      last = error.message;
      if (error.name === 'ReplyError') this.#refused(name, error);
    });
    return worker;
  }
}
