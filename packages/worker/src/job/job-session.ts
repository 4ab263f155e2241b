/** A worker's part in one job: takes its tasks, computes them, sends the results. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from '@kasane/data/internal/files/access';
import { messageOf } from '@kasane/protocol/errors';
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import {
  type JobOpened,
  type Parts,
  TaskFailure_Reason,
  type TaskId,
  type TaskResult,
} from '@kasane/protocol/gen/kasane/v1/training';
import { shortened } from '@kasane/protocol/internal/events/plain-text';
import { queuePrefix, type TaskData } from '@kasane/protocol/internal/queue/queue';
import { collectGarbageSoon } from '@kasane/protocol/internal/wire/garbage';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import { keyOfSeed } from '@kasane/tensor/random';
import { sizeOf } from '@kasane/tensor/shape';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { CoordinatorStream } from '../connection/stream.ts';
import { TaskSpans } from '../observe/task-spans.ts';
import type { TaskPart, Trace } from '../observe/trace.ts';
import type { PeerLinks } from '../peers/peer-links.ts';
import { OwnData } from '../samples/own-data.ts';
import { SampleBuffers, sharedFloats } from '../samples/sample-buffers.ts';
import { type SampleReader, sampleReader } from '../samples/sample-reader.ts';
import { BatchError, fetchSamples, type RunKeys, type Samples } from '../samples/samples.ts';
import type { ComputeSession, ComputeSlot, ComputeSlots } from '../slots/compute-slots.ts';
import { Abandoned } from '../slots/slot.ts';
import { computeGradient, computeRound, computeTest, rounded } from './compute-task.ts';
import { GradientSender } from './gradient-sender.ts';
import { JobTensors } from './job-tensors.ts';
import { type OpenedJob, readOpened } from './opened-job.ts';
import { Prefetch } from './prefetch.ts';
import { handParameters, SlotSessions } from './slot-sessions.ts';
import { TaskConsumer } from './tasks.ts';

/** Interval of progress messages during a round, in milliseconds. */
const PROGRESS_MS = 1_000;
/** How long a task of a step that seems to be over is kept before it is handed back, in milliseconds. */
const PAST_MS = 200;

export interface JobSessionOptions {
  /** What this worker may read, whatever the job names. */
  readonly access: Access;
  readonly opened: JobOpened;
  /** This worker's ID. */
  readonly worker: string;
  readonly redis: Redis;
  readonly slots: ComputeSlots;
  readonly stream: Pick<CoordinatorStream, 'send' | 'sendSoon' | 'sendFrame' | 'sendPaced'>;
  /** Links to other workers. */
  readonly links: Pick<PeerLinks, 'send' | 'sendEncoded'>;
  /** Called with the reason if the job turns out not to be computable here. */
  readonly onUnable: (why: string) => void;
  /** Use the shared memory that the coordinator offers, if it can be opened. */
  readonly sharedMemory: boolean;
  /** Records what tasks wait for. */
  readonly trace: Trace | undefined;
  readonly log: Logger;
}

export class JobSession {
  readonly #options: JobSessionOptions;
  readonly #job: OpenedJob;
  /** State received in frames. */
  readonly tensors: JobTensors;
  readonly #reader: SampleReader;
  readonly #keys: RunKeys;
  readonly #own: OwnData;
  readonly #buffers = new SampleBuffers(sharedFloats);
  readonly #sessions: SlotSessions;
  /** Slots that are computing gradients. */
  readonly #training = new Map<ComputeSlot, ComputeSession>();
  readonly #prefetch: Prefetch;
  readonly #consumer: TaskConsumer;
  readonly #spans: TaskSpans | undefined;
  #closed = false;
  #draining = false;
  #held = 0;
  #idle: () => void = () => {};
  #drains: () => void = () => {};
  /** Resolves when draining begins. */
  readonly #drained = new Promise<undefined>((resolve) => {
    this.#drains = () => resolve(undefined);
  });

  /** @throws Error if the job cannot be computed here: its model, samples or objective are unknown or invalid */
  constructor(options: JobSessionOptions) {
    const { opened, redis, slots, log } = options;
    this.#options = options;
    const job = readOpened(opened);
    this.#job = job;
    this.#reader = sampleReader(job.format, opened.seed);
    const report = (able: boolean, why: string) => {
      if (!able)
        log.info(
          `job ${opened.job}: this worker cannot reach the data; its samples come through Redis: ${why}`,
        );
      options.stream.send({
        $case: 'dataReach',
        value: { job: opened.job, able, why: shortened(why, ERROR_TEXT) },
      });
    };
    this.#own = new OwnData(job.format, opened.seed, report, options.access);
    this.tensors = new JobTensors(options, job);
    this.#spans = TaskSpans.of(options.worker);
    this.#sessions = new SlotSessions({
      job,
      onOpened: (slot, session) => {
        // With a single slot, versions arrive directly in its memory. If it is still computing when the next one comes, that step is
        // over.
        if (this.#arriveInSlot)
          this.tensors.parameters.moveTo(slot.parameters(session), (arrival) =>
            slot.arrived(session, arrival),
          );
      },
      onUnable: options.onUnable,
    });
    const ready = Promise.all(slots.all.map((slot) => this.#sessions.of(slot)));
    ready.catch(() => {}); // reported to the task that needs it
    this.#spans?.opening(opened.job, opened.traceparent, ready);
    // Per slot: the task it computes, and those ready for this step and the next ones.
    this.#prefetch = new Prefetch(4 * slots.size);
    // Copied, because the message's buffer is reused.
    const key = Uint8Array.from(opened.taskKey);
    this.#keys = { job: opened.job, prefix: queuePrefix(opened.job, key) };
    this.#consumer = new TaskConsumer({
      job: opened.job,
      worker: options.worker,
      queues: opened.queues,
      reissueQueue: opened.reissueQueue,
      key,
      slots: slots.size,
      redis,
      handle: (task) => this.#handle(task),
      log,
    });
  }

  /** Number of tasks held, computing or waiting. */
  get held(): number {
    return this.#held;
  }

  /** Sets new owners of parts. Results for the previous owners are discarded. */
  beginParts(parts: Parts): void {
    this.tensors.begin(parts);
    for (const [slot, session] of this.#training) slot.abandon(session);
    // A round may be between two of its steps.
    this.#training.clear();
  }

  /** Sets how many tasks of one step to hold at once. */
  share(tasks: number): void {
    this.#consumer.share(tasks);
  }

  /** Redis was away: starts fetching again. */
  restart(): void {
    this.#consumer.restart();
  }

  /** Takes no more tasks, hands back waiting ones, and resolves when those being computed are done. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#drains();
    await this.#consumer.pause();
    this.tensors.release();
    if (this.#held > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#own.close();
    this.tensors.close();
    this.#sessions.close();
    await this.#consumer.close().finally(collectGarbageSoon);
  }

  async #handle(task: TaskData): Promise<void> {
    if (this.#closed) return;
    this.#held++;
    const id: TaskId = {
      job: this.#options.opened.job,
      kind: task.kind === 'train' ? TaskKind.TASK_KIND_TRAIN : TaskKind.TASK_KIND_EVALUATE,
      step: task.step,
      shard: task.shard,
      attempt: task.attempt,
    };
    this.#spans?.begin(id, task.traceparent);
    try {
      this.#options.stream.sendSoon({ $case: 'claim', value: { task: id } });
      await this.#attempt(task, id);
    } catch (error) {
      if (this.#closed) return;
      if (error instanceof Abandoned) return this.#handBack(id);
      const reason = error instanceof BatchError ? error.reason : TaskFailure_Reason.REASON_COMPUTE;
      this.#spans?.end(id, messageOf(error));
      const threw = reason === TaskFailure_Reason.REASON_COMPUTE;
      const { step, shard } = task;
      this.#options.log[threw ? 'error' : 'debug']({ step, shard }, `task failed: ${messageOf(error)}`);
      this.#options.stream.send({
        $case: 'failure',
        value: { task: id, reason, message: shortened(messageOf(error), ERROR_TEXT) },
      });
    } finally {
      this.#spans?.end(id);
      this.#held--;
      if (!this.#closed) void this.#own.open();
      if (this.#held === 0) this.#idle();
    }
  }

  async #attempt(task: TaskData, id: TaskId): Promise<void> {
    const { redis, slots } = this.#options;
    const size = sizeOf(this.#job.model.sampleShape);
    if (this.#isPast(task)) {
      // The news that a step is recomputed may arrive after its tasks.
      await sleep(PAST_MS);
      if (this.#isPast(task)) return this.#handBack(id);
    }
    const { parameters, evaluated } = this.tensors;
    const store = task.kind === 'train' ? parameters : evaluated;
    const early = this.#beginsEarly(task);
    const due = early ? store.begun(task.step) : store.wait(task.step);
    const isThere = () => (early ? store.newest.version : store.version) === task.step;
    const leave = await this.#prefetch.enter(task.step, due);
    const x = this.#buffers.take(task.samples * size);
    try {
      const began = performance.now();
      const samples = await this.#timed('samples', 'queue', id, () => {
        const fetching = fetchSamples(redis, this.#keys, task, this.#reader, x, this.#own);
        // Redis may be away, and a draining worker should not wait for it.
        return Promise.race([fetching, this.#drained]);
      });
      if (!samples) return this.#handBack(id);
      const fetched = performance.now();
      const arrived = await this.#timed('parameters', 'network', id, () => due);
      if (!arrived) return this.#handBack(id);
      const able = performance.now();
      const slot = await this.#timed('a free slot', 'queue', id, () => slots.acquire());
      try {
        // The version may have been replaced while all slots were busy.
        if (!isThere() || this.#draining) return this.#handBack(id);
        const session = await this.#sessions.of(slot);
        if (!isThere()) return this.#handBack(id);
        handParameters(store, task.step, slot, session);
        const waits = { samplesMs: fetched - began, slotMs: performance.now() - able };
        if (task.kind === 'train') this.#training.set(slot, session);
        await this.#timed('task', 'compute', id, () =>
          this.#compute(slot, session, task, id, samples, waits),
        );
      } finally {
        this.#training.delete(slot);
        slots.release(slot);
      }
    } finally {
      this.#buffers.give(x);
      leave();
    }
  }

  /** Whether a task's version has been replaced, so that its result would probably not count. */
  #isPast({ kind, step }: TaskData): boolean {
    return kind === 'train' && step < this.tensors.parameters.newest.version;
  }

  /**
   * No other worker takes a task that this one holds without computing it. If the task is not needed any more, handing it back is
   * harmless.
   */
  #handBack(id: TaskId): void {
    if (this.#closed) return;
    const reason = TaskFailure_Reason.REASON_HANDED_BACK;
    const message = this.#draining ? 'the worker is draining' : 'its parameters are past';
    this.#options.stream.send({ $case: 'failure', value: { task: id, reason, message } });
  }

  async #compute(
    slot: ComputeSlot,
    session: ComputeSession,
    task: TaskData,
    id: TaskId,
    samples: Samples,
    waits: Pick<TaskResult, 'samplesMs' | 'slotMs'>,
  ): Promise<void> {
    const { opened, stream } = this.#options;
    const key = Uint32Array.of(...keyOfSeed(opened.seed), task.epoch, 0);
    const { exchanged, codec, local } = this.#job;
    const isTraining = task.kind === 'train';
    const tally = isTraining ? undefined : this.#job.tally();
    const layout = isTraining ? this.tensors.parts.layoutOf(task.step) : undefined;
    const round = isTraining ? local?.of(task) : undefined;
    const sender = new GradientSender({
      ...{ stream, parameters: exchanged, task: id, codec },
      gradient: round ? slot.exchanged(session) : slot.gradients(session),
      memory: this.tensors.gradientsMemory,
      parts: layout && { layout, exchange: this.tensors.parts },
      isPast: () => task.step < this.tensors.parameters.newest.version,
    });
    const computation = {
      ...{ slot, session, task, samples, key, parts: isTraining ? opened.accumulate : 1 },
      onReady: (ready: readonly number[]) => sender.ready(ready),
    };
    const compute = () => {
      if (tally) return computeTest(computation, tally);
      if (!round)
        return computeGradient(
          computation,
          this.#beginsEarly(task) ? this.tensors.parameters.newest : undefined,
        );
      return computeRound(computation, {
        version: this.tensors.parameters.values,
        ...{ exchanged, steps: round },
        isVoid: () => this.#isPast(task) || this.#training.get(slot) !== session,
        onStep: this.#progressOf(id),
      });
    };
    const sums = await compute();
    const { lossSum, metricSum, counted, weight, computeMs } = task.shards ? sums : rounded(sums);
    const value = {
      task: id,
      samples: task.samples,
      ...{ lossSum, metricSum, counted, weight },
      samplesDigest: samples.digest,
      computeMs,
      ...waits,
      sentAt: performance.timeOrigin + performance.now(),
      testCounts: Array.from(tally?.counts ?? []),
      testSums: Array.from(tally?.sums ?? []),
    };
    await this.#timed('gradients', 'network', id, () => sender.end(value));
  }

  /** Reports from time to time how many local steps of a round are done. */
  #progressOf(task: TaskId): (steps: number) => void {
    let toldAt = performance.now();
    return (steps) => {
      const now = performance.now();
      if (now - toldAt < PROGRESS_MS) return;
      toldAt = now;
      this.#options.stream.sendSoon({ $case: 'roundProgress', value: { task, steps } });
    };
  }

  /** Times part of a task for the profile and the spans, if enabled. */
  #timed<T>(name: string, kind: TaskPart, id: TaskId, body: () => Promise<T>): Promise<T> {
    const { trace } = this.#options;
    const spanned = this.#spans ? () => this.#spans!.part(name, id, body) : body;
    if (!trace) return spanned();
    const { step, shard, attempt } = id;
    return trace.part(name, kind, { step, shard, attempt }, spanned);
  }

  /** Whether a task starts with the first part of its version, and waits for the others as it needs them. */
  #beginsEarly({ kind }: TaskData): boolean {
    return kind === 'train' && this.#arriveInSlot;
  }

  /** Whether versions arrive directly in the memory of the slot. Not with replicas, which change it. */
  get #arriveInSlot(): boolean {
    return !this.#job.local && this.#options.slots.size === 1 && !this.tensors.hasAverages;
  }
}
