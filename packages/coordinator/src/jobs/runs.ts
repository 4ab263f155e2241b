/**
 * The open runs: the first jobs in the queue, as many as may be open at once. A job that moves ahead of them takes the place of the last
 * one, which resumes later.
 */
import { join } from 'node:path';
import type { DataParts } from '@kasane/data/dataset';
import { placeOf } from '@kasane/data/open';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { JobEvent } from '@kasane/protocol/internal/events/events';
import { type Span, tracing } from '@kasane/protocol/internal/tracing';
import { collectGarbageSoon, expectPassingBuffers } from '@kasane/protocol/internal/wire/garbage';
import { checkJob, type Job } from '@kasane/protocol/job';
import { RUNNING_JOBS } from '@kasane/protocol/limits';
import type { Reason } from '@kasane/protocol/reasons';
import { Run } from '../run/run.ts';
import type { RunOptions } from '../run/run-options.ts';
import type { Unkept } from '../run/saved-state.ts';
import { Standstill } from '../run/standstill.ts';
import { isDiskError, RetryingDisk } from '../store/disk.ts';
import type { EventRecord } from '../store/event-record.ts';
import type { JobRecord } from '../store/job-record.ts';
import type { OpenedData } from '../submit/opened-data.ts';
import type { ConnectedWorker } from '../workers.ts';
import { ReadingMarks } from './reading-marks.ts';
import { Turns } from './turns.ts';

export interface RunsOptions
  extends Pick<
    RunOptions,
    | 'store'
    | 'redis'
    | 'redisWhy'
    | 'workers'
    | 'mesh'
    | 'exchange'
    | 'decide'
    | 'log'
    | 'limits'
    | 'access'
    | 'batchExpirySeconds'
    | 'onStep'
  > {
  readonly stateDirectory: string;
  readonly events: Pick<EventRecord, 'add'>;
  /** Called after anything shown about a job has changed. */
  readonly onChange: (id: string) => void;
  /** Called when a job has ended. It rejects while the disk refuses to record the end, and is then called again. */
  readonly onEnd: (id: string, state: JobState, error: string, step: number | undefined) => Promise<void>;
  /** Datasets that are already open. */
  readonly opened: OpenedData;
  /** Why the coordinator has paused a job, if it has. */
  readonly whyPaused?: (id: string) => Reason | undefined;
  /** Span of the call that requested a job, if any; the parent of the job's span. */
  readonly askerOf: (id: string) => string | undefined;
}

/** An open job, from reading its data to its end. */
interface Place {
  readonly over: Promise<void>;
  /** Undefined while its data is being read. */
  run: Run | undefined;
  /** Set if it is to end before it is done. */
  stop: 'cancelled' | 'suspended' | undefined;
  /** Cancels the reading of its data. */
  readonly reading: AbortController;
}

/** The coordinator is closing while a run waits for the disk; the next coordinator does the rest. */
class Closing extends Error {}

export class Runs {
  readonly #options: RunsOptions;
  readonly #turns: Turns;
  readonly #places = new Map<string, Place>();
  readonly #disk: RetryingDisk;
  readonly #marks: ReadingMarks;
  /** Jobs whose data was being read when an earlier coordinator crashed, and is being read again. */
  readonly #suspects = new Set<string>();
  /** By job, for each job that has run and has not ended. */
  readonly #standstills = new Map<string, Standstill>();
  /** Jobs that make no progress. */
  readonly #still = new Set<string>();
  #closing = false;

  constructor(options: RunsOptions) {
    this.#options = options;
    this.#disk = new RetryingDisk(options.log, () => {
      for (const id of this.#places.keys()) options.onChange(id);
    });
    this.#marks = new ReadingMarks(options.stateDirectory);
    const { workers } = options;
    this.#turns = new Turns(() =>
      workers.all().reduce((sum, { slots, draining }) => sum + (draining ? 0 : slots), 0),
    );
  }

  get(id: string): Run | undefined {
    return this.#places.get(id)?.run;
  }

  all(): Run[] {
    return [...this.#places.values()].flatMap(({ run }) => run ?? []);
  }

  /** What a job is waiting for; undefined if it is not waiting. */
  waitingFor({ id, state }: JobRecord): Reason | undefined {
    const place = this.#places.get(id);
    if (state === JobState.JOB_STATE_PAUSED)
      return this.#options.whyPaused?.(id) ?? { code: 'paused', args: { job: id } };
    if (place?.stop) return this.refused(id) ?? { code: 'stopping', args: {} };
    if (place)
      return this.refused(id) ?? (place.run ? place.run.waitingFor : { code: 'reading-data', args: {} });
    if (state !== JobState.JOB_STATE_QUEUED && state !== JobState.JOB_STATE_RUNNING) return undefined;
    return { code: 'jobs-ahead', args: { count: RUNNING_JOBS, jobs: [...this.#places.keys()] } };
  }

  /** What could not be written to disk for a run, if anything. */
  unkept(id: string): Unkept | undefined {
    return this.get(id)?.unkept(this.refused(id));
  }

  /** Why the disk refuses to record the start or the end of a job, if it does. */
  refused(id: string): Reason | undefined {
    const { why } = this.#disk;
    return why?.args.of === id ? why : undefined;
  }

  /** Opens jobs whose turn has come and suspends those that others have overtaken. Call when jobs were added, removed or changed. */
  consider(): void {
    if (this.#closing) return;
    const all = this.#options.store.open();
    const known = new Set(all.map(({ id }) => id));
    // A job that its owner paused starts anew when it resumes.
    for (const id of this.#standstills.keys()) if (!known.has(id)) this.#standstills.delete(id);
    // Stalled jobs keep their places only while nobody else needs them.
    const open = [
      ...all.filter(({ id }) => !this.#still.has(id)),
      ...all.filter(({ id }) => this.#still.has(id)),
    ];
    const first = open.slice(0, RUNNING_JOBS);
    for (const { id } of open.slice(RUNNING_JOBS)) void this.stop(id, 'suspended');
    for (const { id, spec, priority } of first) {
      if (this.#places.size >= RUNNING_JOBS) break;
      if (!this.#places.has(id) && this.#mayRead(id)) this.#start(id, spec, priority);
    }
    // Jobs in the queue may now be waiting for something else.
    for (const { id } of open) if (!this.#places.has(id)) this.#options.onChange(id);
  }

  /** Stops a run; resolves when it is over. Does nothing if the job is not open. */
  async stop(id: string, outcome: 'cancelled' | 'suspended'): Promise<void> {
    const place = this.#places.get(id);
    if (!place) return;
    if (!place.stop) {
      place.stop = outcome;
      place.reading.abort();
      place.run?.stop(outcome);
    }
    await place.over;
  }

  /** Resolves when everything of an ended job is closed. */
  async settled(id: string): Promise<void> {
    await this.#places.get(id)?.over;
  }

  setPriority(id: string, priority: number): void {
    const run = this.get(id);
    if (run) run.priority = priority;
    this.consider();
  }

  /** Redis is back and may have lost its data. */
  requeue(): void {
    for (const run of this.all()) run.board.requeue();
  }

  /** Redis stopped answering, or answers again. */
  redisChanged(): void {
    for (const { id } of this.all()) this.#options.onChange(id);
  }

  workerJoined(worker: ConnectedWorker): void {
    const { id, slots, backend } = worker;
    this.#recordOfOpen({ code: 'worker-joined', args: { worker: id, slots, backend } });
    for (const run of this.all()) run.workers.joined(worker);
    this.#turns.consider();
  }

  workerDrains(): void {
    for (const run of this.all()) run.workers.drains();
  }

  workerLeft(worker: string, why: Reason): void {
    this.#recordOfOpen({ code: 'worker-left', args: { worker }, reason: why });
    for (const run of this.all()) run.workers.left(worker);
  }

  /** Records an event for every open job. */
  #recordOfOpen(event: JobEvent): void {
    for (const id of this.#places.keys()) this.#options.events.add(id, event);
  }

  /** Number of tasks that each worker holds, without workers that hold none. */
  held(): ReadonlyMap<string, number> {
    const held = new Map<string, number>();
    for (const { board } of this.all()) board.countHeld(held);
    return held;
  }

  /** Suspends all runs; a later coordinator resumes them. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#disk.stop(new Closing());
    await Promise.all([...this.#places.keys()].map((id) => this.stop(id, 'suspended')));
    this.#marks.clear();
  }

  #start(id: string, spec: string, priority: number): void {
    this.#still.delete(id);
    const reading = new AbortController();
    const place = { run: undefined, stop: undefined, reading } as Omit<Place, 'over'>;
    const span = tracing()?.begin('job', {
      parent: this.#options.askerOf(id),
      attributes: { 'kasane.job': id },
    });
    const execute = () => this.#execute(id, spec, priority, place, span);
    const over = (span ? tracing()!.within(span.traceparent, execute) : execute()).finally(() => {
      place.run?.board.clear();
      span?.end();
      this.#places.delete(id);
      collectGarbageSoon();
      if (!this.#closing) void this.#requeue(id);
      this.consider();
      this.#options.onChange(id);
    });
    this.#places.set(id, Object.assign(place, { over }));
    this.#options.onChange(id);
  }

  /** The standstill watch of a job, created on its first run. */
  #watched(id: string): Standstill {
    const standstill = this.#standstills.get(id) ?? new Standstill(this.#options.limits.standstillSeconds);
    this.#standstills.set(id, standstill);
    standstill.begin();
    return standstill;
  }

  /** Data that may have crashed a coordinator is read alone, so that the culprit is known. */
  #mayRead(id: string): boolean {
    const reading = [...this.#places].flatMap(([other, { run }]) => (run ? [] : [other]));
    const suspect = this.#marks.isSuspect(id);
    return reading.every((other) => !suspect && !this.#suspects.has(other));
  }

  async #read(id: string, job: Job, { signal }: AbortController): Promise<DataParts> {
    if (this.#marks.isSuspect(id)) this.#suspects.add(id);
    const ends = this.#marks.begin(id);
    if (ends !== undefined)
      throw new KasaneError(
        'JOB_FAILED',
        `${placeOf(job.spec.data)}: the coordinator exited ${ends} times while reading the data of this job; check its log and the data, then run \`kasane resume ${id}\``,
      );
    try {
      const { opened, store, access } = this.#options;
      return await opened.load(job, { ...access, signal }, store.get(id)?.sweep ?? '');
    } finally {
      this.#marks.end(id);
      if (this.#suspects.delete(id)) setImmediate(() => this.consider());
    }
  }

  /** Puts an unfinished job back into the queue. */
  async #requeue(id: string): Promise<void> {
    await this.#options.store.requeue(id).catch((error: unknown) => {
      // It then counts as running, and resumes as if it were.
      if (!isDiskError(error)) throw error;
    });
    this.#options.onChange(id);
  }

  async #execute(
    id: string,
    spec: string,
    priority: number,
    place: Omit<Place, 'over'>,
    span: Span | undefined,
  ): Promise<void> {
    const { store, stateDirectory, log, onChange, onEnd, opened, askerOf, events, ...shared } = this.#options;
    const ended = (state: JobState, error: string, step: number | undefined) => {
      this.#still.delete(id);
      return this.#disk.write({ writing: 'end', of: id }, () => onEnd(id, state, error, step));
    };
    // A job cancelled while its data is read must be closed before its place is free, or it would start again.
    const stopped = async () => {
      if (place.stop === 'cancelled') await ended(JobState.JOB_STATE_CANCELLED, '', undefined);
    };
    try {
      const job = checkJob(JSON.parse(spec));
      const isNew = store.get(id)?.startedAt === 0;
      await this.#disk.write({ writing: 'state', of: id }, () => store.start(id, Date.now()));
      const { epochs } = job.spec.training;
      if (isNew) events.add(id, { code: 'started', args: { epochs } }, store.get(id)!.startedAt);
      const data = opened.take(id) ?? (await this.#read(id, job, place.reading));
      const hasChanged = !place.stop && (await opened.hasChanged(id, data));
      // Both may have taken a while.
      if (place.stop) return await stopped();
      for (const note of data.notes ?? []) log.warn({ job: id }, note);
      if (hasChanged) {
        const path = placeOf(job.spec.data);
        log.warn({ job: id }, `${path}: the data has changed since the job was submitted`);
        events.add(id, { code: 'data-changed', args: { path } });
      }
      expectPassingBuffers();
      const run = new Run({
        ...shared,
        id,
        job,
        data,
        store,
        turn: this.#turns.enter(id, job.spec.training.shards, store.get(id)?.priority ?? priority, () =>
          onChange(id),
        ),
        directory: join(stateDirectory, 'jobs', id),
        standstill: this.#watched(id),
        log: log.child({ job: id }),
        traceparent: span?.traceparent,
        record: (event) => events.add(id, event),
        onChange: () => onChange(id),
        onStill: (still) => {
          if (still) this.#still.add(id);
          else this.#still.delete(id);
          this.consider();
        },
      });
      place.run = run;
      await this.#disk.write({ writing: 'state', of: id }, () => store.setSteps(id, run.progress.steps));
      onChange(id);
      const outcome = await run.execute();
      const { step } = run.progress;
      span?.set({ 'kasane.outcome': outcome, 'kasane.steps': step });
      if (outcome === 'done') await ended(JobState.JOB_STATE_SUCCEEDED, '', step);
      else if (outcome === 'cancelled') await ended(JobState.JOB_STATE_CANCELLED, '', step);
    } catch (error) {
      if (error instanceof Closing) return;
      if (place.stop && !place.run) return await stopped().catch(() => {});
      span?.end(messageOf(error));
      const bug = error instanceof KasaneError ? {} : { error };
      log.error({ job: id, ...bug }, `job failed: ${messageOf(error)}`);
      // If the coordinator is closing, the next one fails the job in the same way.
      await ended(JobState.JOB_STATE_FAILED, messageOf(error), place.run?.progress.step).catch(() => {});
    }
  }
}
