/** The lifecycle of jobs as users see it: submitted, paused, resumed, retried, ended. `runs.ts` decides which of them run. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { rm } from 'node:fs/promises';
import { KasaneError } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type {
  Checkpoint,
  CheckResponse,
  Event,
  GetConfusionResponse,
  Job as JobMessage,
  ListEpochsResponse,
  ListRequest,
  ListResponse,
  ReadSamplesResponse,
  StepMetrics,
  SubmitResponse,
  WatchMetricsResponse,
} from '@kasane/protocol/gen/kasane/v1/jobs';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { tracing } from '@kasane/protocol/internal/tracing';
import { checkJob, type Job } from '@kasane/protocol/job';
import { hasEnded, stateNames } from '@kasane/protocol/job-state';
import {
  EPOCHS_PAGE,
  ERROR_TEXT,
  JOB_HISTORY,
  JOBS_PAGE,
  LISTED_HISTORY,
  MOST_JOBS_PAGE,
  SPECS_MESSAGE,
} from '@kasane/protocol/limits';
import { pinned } from '../models/pinned.ts';
import type { EventRecord } from '../store/event-record.ts';
import type { JobRecord, TrialPlace } from '../store/job-record.ts';
import { epochOfToken, pageSize, placeOfToken, placeToken } from '../store/pages.ts';
import type { Statement } from '../store/state-writer.ts';
import { type Asker, Busy } from '../submit/caller-turns.ts';
import { Inspection } from '../submit/inspection.ts';
import { type CheckedJob, JobChecks } from '../submit/job-checks.ts';
import { planOf } from '../submit/job-plan.ts';
import { OpenedData } from '../submit/opened-data.ts';
import { keptSpec, SubmittedFiles } from '../submit/submitted-job.ts';
import { deleteJob } from './deletion.ts';
import { metricsMessages } from './metrics-messages.ts';
import { stopped, written } from './patience.ts';
import { checkPriority } from './priority.ts';
import { Runs, type RunsOptions } from './runs.ts';
import { Submissions } from './starts.ts';
import { JobViews } from './views.ts';
import { Waits } from './waits.ts';
import { endEvent, wholeRecord } from './whole-record.ts';

export type ManagerOptions = Omit<RunsOptions, 'events' | 'onChange' | 'onEnd' | 'opened' | 'askerOf'> & {
  readonly events: EventRecord;
};

/** Where a job comes from. */
interface Origin {
  /** The sweep it is a trial of. */
  readonly trial?: TrialPlace;
  /** Source of its job file, JSON. */
  readonly source?: string;
  /** The job whose file is being retried. */
  readonly of?: Pick<JobRecord, 'id' | 'init'>;
}

export class JobManager {
  readonly runs: Runs;
  /** Events of all jobs. */
  readonly record: Pick<EventRecord, 'newest' | 'onEvent'>;
  readonly #options: ManagerOptions;
  /** Emits a job's ID when that job has changed. */
  readonly #changes = new EventEmitter<Record<string, []>>().setMaxListeners(0);
  readonly #inspection: Inspection;
  /** Parses submitted job files. */
  readonly files = new SubmittedFiles();
  readonly submissions = new Submissions();
  readonly #checks: JobChecks;
  readonly #waits: Waits;
  /** Datasets that are already open. */
  readonly opened = new OpenedData();

  readonly #views: JobViews;

  /** Span of the call that last requested each job that has not ended, if tracing is on. */
  readonly #askers = new Map<string, string>();

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.record = options.events;
    this.#checks = new JobChecks(options.access, options.workers, this.opened, options.store);
    this.#waits = new Waits(options.events);
    this.runs = new Runs({
      ...options,
      onChange: (id) => this.#changed(id),
      onEnd: (...end) => this.#end(...end),
      opened: this.opened,
      askerOf: (id) => this.#askers.get(id),
    });
    this.#views = new JobViews(options.store, this.runs);
    this.#inspection = new Inspection(options.store, options.access, (id) => this.runs.get(id)?.data);
  }

  /** Resumes the jobs that an earlier coordinator left. */
  start(): void {
    const { store, events } = this.#options;
    for (const { id, state } of store.open())
      if (state === JobState.JOB_STATE_RUNNING) events.add(id, { code: 'restarted', args: {} });
    this.runs.consider();
  }

  /** Suspends all runs; the next coordinator resumes them. */
  async close(): Promise<void> {
    this.files.close();
    this.#waits.close();
    await this.runs.close();
  }

  /**
   * Checks a job file and its data and queues the job. Returns its ID.
   * @param priority steps of jobs with a higher priority go first
   * @param asker takes turns with other callers in parsing files and reading data
   * @param source where the file came from, JSON
   * @throws KasaneError JOB_INVALID, DATA_INVALID, USAGE or LIMIT; UNREACHABLE if the client disconnects before its turn
   */
  submit(file: string, priority: number, asker: Asker, source = ''): Promise<SubmitResponse> {
    return this.#submit(file, priority, asker, { source });
  }

  async #submit(file: string, priority: number, asker: Asker, from: Origin): Promise<SubmitResponse> {
    checkPriority(priority);
    this.#checkRoom();
    const job = await this.#job(file, asker);
    const id = `${job.spec.name}-${randomBytes(4).toString('hex')}`;
    const queue = () => this.#queue(id, job, priority, asker, from);
    return { job: id, notes: [...(await this.submissions.during(`job ${id}`, [job.spec.init], queue))] };
  }

  /** Checks a trial of a sweep and its data and queues it. @throws KasaneError as `submit`; `Busy` if it can be tried again later */
  async addTrial(id: string, job: Job, priority: number, asker: Asker, trial: TrialPlace): Promise<void> {
    this.#checkRoom();
    await this.#queue(id, job, priority, asker, { trial });
  }

  /** Parses a job file, with `init` resolved to a version if it names a registered model. */
  async #job(file: string, asker: Asker): Promise<Job> {
    const job = await this.files.job(file, asker);
    return { ...job, spec: pinned(job.spec, this.#options.store) };
  }

  /** @returns notes about the job, for users */
  async #queue(
    id: string,
    job: Job,
    priority: number,
    asker: Asker,
    { trial, source, of }: Origin,
  ): Promise<readonly string[]> {
    const { store, events, log } = this.#options;
    const { data, init, spec, notes: checked } = await this.checked(job, asker, trial?.sweep);
    const notes = of?.init && init !== of.init ? [otherStart(job, of, init), ...checked] : checked;
    const { name } = job.spec;
    const now = Date.now();
    await written({ writing: 'job', of: id }, () =>
      store.add(id, name, spec, now, priority, init, trial, source),
    );
    events.add(id, { code: 'submitted', args: { name } }, now);
    for (const note of notes) events.add(id, { code: 'note', args: { note } }, now);
    this.opened.keep(id, data);
    this.#askedFor(id);
    log.info({ job: id }, `job ${id} submitted`);
    this.runs.consider();
    return notes;
  }

  /**
   * Checks a job file and its data like `submit`, without queueing it. Returns what the job would do.
   * @throws KasaneError as `submit`, except for a full queue
   */
  async check(file: string, asker: Asker): Promise<CheckResponse> {
    const job = await this.#job(file, asker);
    return planOf(job, await this.checked(job, asker));
  }

  /**
   * Checks whether a job can be trained on its data. Returns it with its spec as it is stored. @throws KasaneError JOB_INVALID,
   * DATA_INVALID or LIMIT
   */
  async checked(job: Job, asker: Asker, sweep?: string): Promise<CheckedJob & { readonly spec: string }> {
    const checked = await this.#checks.check(job, asker, sweep);
    return { ...checked, spec: keptSpec('job', job.spec) };
  }

  /** @throws KasaneError JOB_NOT_FOUND */
  get(id: string): JobMessage {
    return this.#views.of(this.#record(id), JOB_HISTORY);
  }

  /** The first messages of `WatchMetrics`, each of a moderate size. @throws KasaneError JOB_NOT_FOUND */
  metrics(id: string): WatchMetricsResponse[] {
    const { spec } = this.#record(id);
    return metricsMessages(
      spec,
      this.runs.get(id)?.metrics.history ?? this.#options.store.metricsHistory(id),
    );
  }

  /** A job's metrics so far, by step. @throws KasaneError JOB_NOT_FOUND */
  points(id: string): readonly StepMetrics[] {
    this.#record(id);
    return (this.runs.get(id)?.metrics.history ?? this.#options.store.metricsHistory(id)).points;
  }

  /** @throws KasaneError JOB_NOT_FOUND */
  checkpoints(id: string): Promise<Checkpoint[]> {
    return this.#inspection.checkpoints(this.#record(id).id);
  }

  /** @throws KasaneError JOB_NOT_FOUND */
  confusion(id: string): GetConfusionResponse {
    return this.#inspection.confusion(this.#record(id).id);
  }

  /** @throws KasaneError JOB_NOT_FOUND, JOB_STATE if the job has no such weights, FILE_DAMAGED */
  model(id: string, checkpoint?: number): Promise<Uint8Array> {
    return this.#inspection.model(this.#record(id), checkpoint);
  }

  /** @throws KasaneError JOB_NOT_FOUND, DATA_INVALID, LIMIT */
  samples(id: string, first: number, count: number): Promise<ReadSamplesResponse> {
    return this.#inspection.samples(this.#record(id), first, count);
  }

  /** A page of all jobs, or of the trials of a sweep, newest first. @throws KasaneError USAGE, SWEEP_NOT_FOUND */
  list({ pageSize: size, pageToken, sweep, withSpecs }: ListRequest): ListResponse {
    const { store } = this.#options;
    if (sweep !== '') store.sweeps.require(sweep);
    const page = store.list(pageSize(size, JOBS_PAGE, MOST_JOBS_PAGE), {
      after: placeOfToken(pageToken),
      sweep,
      ...(withSpecs && { specs: SPECS_MESSAGE }),
    });
    return {
      jobs: page.jobs.map((record) => {
        const job = this.#views.of(record, LISTED_HISTORY);
        return withSpecs ? { ...job, spec: record.spec } : job;
      }),
      nextPageToken: page.last ? placeToken(page.last) : '',
    };
  }

  /** A page of a job's completed epochs, oldest first. @throws KasaneError JOB_NOT_FOUND, USAGE */
  epochs(id: string, size: number, token: string): ListEpochsResponse {
    this.#record(id);
    const [most, after] = [pageSize(size, EPOCHS_PAGE, EPOCHS_PAGE), epochOfToken(token)];
    // A run also knows epochs that its next checkpoint will store.
    const running = this.runs.get(id)?.progress.history;
    const epochs = running ? running.slice(after, after + most) : this.#options.store.epochs(id, after, most);
    const last = epochs.at(-1)?.epoch;
    return { epochs, nextPageToken: epochs.length === most ? String(last) : '' };
  }

  /** Events of a job, oldest first. @throws KasaneError JOB_NOT_FOUND */
  events(id: string): readonly Event[] {
    const { store, events, limits } = this.#options;
    return wholeRecord(this.#record(id), events.of(id), store, limits.events);
  }

  /** Running jobs. */
  running(): JobMessage[] {
    return this.runs.all().map(({ id }) => this.#views.of(this.#record(id), LISTED_HISTORY));
  }

  /** Number of jobs in each state. */
  states(): ReadonlyMap<JobState, number> {
    return this.#options.store.states();
  }

  /**
   * @throws KasaneError JOB_NOT_FOUND, JOB_STATE if the job has ended, or STATE_UNUSABLE or STATE_IN_USE if the disk refuses to record
   * the end of the job, which has stopped nevertheless
   */
  async cancel(id: string): Promise<JobMessage> {
    this.#requireOpen(this.#record(id));
    await stopped(this.runs, id);
    if (!hasEnded(this.#record(id).state))
      await written({ writing: 'cancellation' }, () =>
        this.#end(id, JobState.JOB_STATE_CANCELLED, '', undefined),
      );
    return this.get(id);
  }

  /**
   * Deletes an ended job and everything stored about it. Returns the size of its files in bytes.
   * @throws KasaneError JOB_NOT_FOUND, JOB_STATE, STATE_UNUSABLE, STATE_IN_USE
   */
  async delete(id: string): Promise<number> {
    const bytes = await deleteJob(this.#record(id), this.runs, {
      ...this.#options,
      submissions: this.submissions,
    });
    this.#changes.emit(id);
    return bytes;
  }

  /**
   * Pauses a job; it keeps its place in the queue and its progress.
   * @throws KasaneError JOB_NOT_FOUND, or JOB_STATE if the job is already paused or has ended
   */
  async pause(id: string): Promise<JobMessage> {
    const { store, events, log } = this.#options;
    const record = this.#record(id);
    this.#requireOpen(record);
    if (record.state === JobState.JOB_STATE_PAUSED)
      throw new KasaneError(
        'JOB_STATE',
        `job ${id} is already paused; resume it with \`kasane resume ${id}\``,
      );
    await written({ writing: 'pause' }, () => store.pause(id));
    log.info({ job: id }, `job ${id} paused`);
    await this.runs.stop(id, 'suspended');
    events.add(id, { code: 'paused', args: { step: this.#record(id).step } });
    this.#changed(id);
    return this.get(id);
  }

  /**
   * Resumes a paused job where it was, or an ended one from its last checkpoint, for `epochs` more.
   * @param others statements to write in the same transaction
   * @throws KasaneError JOB_NOT_FOUND, JOB_STATE if it is waiting or running or has no epochs left, LIMIT
   */
  async resume(id: string, epochs: number, others: readonly Statement[] = []): Promise<JobMessage> {
    const { store, events } = this.#options;
    const record = this.#record(id);
    const paused = record.state === JobState.JOB_STATE_PAUSED;
    if (!paused && !hasEnded(record.state))
      throw new KasaneError('JOB_STATE', `job ${id} is neither paused nor ended: there is nothing to resume`);
    this.#checkRoom();
    const { spec } = checkJob(JSON.parse(record.spec));
    const succeeded = record.state === JobState.JOB_STATE_SUCCEEDED;
    if (succeeded && epochs === 0) {
      throw new KasaneError('JOB_STATE', `job ${id} has completed all its epochs; add more with --epochs`);
    }
    const { stopEarly, ...training } = spec.training;
    const had = succeeded ? store.lastEpoch(id) : training.epochs;
    const until = had + epochs;
    // A job that stopped early and is resumed all the same must not stop for the same reason again; its best epoch still counts.
    const patient = stopEarly && {
      stopEarly: succeeded ? { ...stopEarly, patience: Math.max(stopEarly.patience, until) } : stopEarly,
    };
    const goesOn = { ...training, epochs: until, ...patient };
    const { spec: checked } = checkJob({ ...spec, training: goesOn });
    this.#askedFor(id);
    const place = paused ? record.submittedAt : Date.now();
    await written({ writing: 'resumption' }, () => store.reopen(id, JSON.stringify(checked), place, others));
    this.#record(id); // it may have been deleted meanwhile
    this.#options.log.info({ job: id }, `job ${id} resumed, up to ${checked.training.epochs} epochs`);
    const args = { step: record.step, epochs: checked.training.epochs };
    events.add(id, { code: 'resumed', args });
    this.runs.consider();
    this.#changed(id);
    return this.get(id);
  }

  /**
   * Queues the file of an ended job as a new job. If it starts from other weights than the first time, a note says so.
   * @throws KasaneError JOB_NOT_FOUND, JOB_STATE if the job has not ended, and as `submit`
   */
  async retry(id: string, asker: Asker): Promise<SubmitResponse> {
    const record = this.#record(id);
    if (!hasEnded(record.state)) {
      const right = `wait for it, or cancel it with \`kasane cancel ${id}\``;
      throw new KasaneError('JOB_STATE', `job ${id} has not ended; ${right}`);
    }
    return this.#submit(record.spec, record.priority, asker, { source: record.source, of: record });
  }

  /**
   * Sets the priority of a job; steps of the highest priority go first.
   * @throws KasaneError JOB_NOT_FOUND, USAGE, or JOB_STATE if the job has ended
   */
  async setPriority(id: string, priority: number): Promise<JobMessage> {
    checkPriority(priority);
    this.#requireOpen(this.#record(id));
    await written({ writing: 'priority' }, () => this.#options.store.setPriority(id, priority));
    this.#options.events.add(id, { code: 'priority', args: { priority } });
    this.runs.setPriority(id, priority);
    this.#changed(id);
    return this.get(id);
  }

  /** Whether one more job may be queued. */
  get hasRoom(): boolean {
    return this.#options.store.open().length < this.#options.limits.jobs;
  }

  /** @throws KasaneError LIMIT */
  #checkRoom(): void {
    if (this.hasRoom) return;
    throw new Busy(
      `${this.#options.limits.jobs} jobs are waiting or running, which is the limit: cancel one, or wait for one to end`,
    );
  }

  /** Remembers the current call's span as the parent of the job's. */
  #askedFor(id: string): void {
    const asker = tracing()?.active;
    if (asker !== undefined) this.#askers.set(id, asker);
  }

  #requireOpen({ id, state }: JobRecord): void {
    if (!hasEnded(state)) return;
    throw new KasaneError('JOB_STATE', `job ${id} has already ended (${stateNames[state]})`);
  }

  /** Call when something shown with a job, but not part of its record, has changed. */
  touched(id: string): void {
    this.#changes.emit(id);
  }

  /** Notifies listeners, and records an event if the job is now held up or no longer is. */
  #changed(id: string): void {
    const record = this.#waits.isClosed ? undefined : this.#options.store.get(id);
    const step = this.runs.get(id)?.progress.step ?? record?.step ?? 0;
    if (record) this.#waits.look(record, this.runs.waitingFor(record), step);
    this.#changes.emit(id);
  }

  #record(id: string): JobRecord {
    const record = this.#options.store.get(id);
    if (!record)
      throw new KasaneError(
        'JOB_NOT_FOUND',
        this.#options.store.sweeps.get(id)
          ? `'${id}' is a sweep, not a job; show it and its trials with \`kasane sweeps ${id}\``
          : `there is no job '${id}'; list the jobs with \`kasane jobs\``,
      );
    return record;
  }

  /** Calls `listener` after every change of a job until the returned function is called. */
  onChange(id: string, listener: () => void): () => void {
    this.#changes.on(id, listener);
    return () => this.#changes.off(id, listener);
  }

  async #end(id: string, state: JobState, error: string, step: number | undefined): Promise<void> {
    const { store, events, limits, log } = this.#options;
    const end = {
      state,
      error: brief(error, ERROR_TEXT),
      endedAt: Date.now(),
      step: step ?? store.get(id)?.step ?? 0,
    };
    await store.end(id, end);
    events.add(id, endEvent(end), end.endedAt);
    this.#askers.delete(id);
    log.info({ job: id }, `job ${id} ${stateNames[state]}`);
    // If the disk refuses to remove old jobs now, they are removed when the next job ends.
    const forgotten = await store.forget(limits.keptJobs).catch((): string[] => []);
    for (const path of forgotten) rm(path, { force: true }).catch(() => {}); // nothing refers to them any more
    this.#changed(id);
  }
}

/** Tells that a retried job starts from different weights, because what `init` names has been replaced. */
const otherStart = (job: Job, of: Pick<JobRecord, 'id' | 'init'>, init: string): string =>
  `init: ${job.spec.init} has other weights than when ${of.id} was submitted: SHA-256 ${of.init} then, ${init} now; the result will differ from that of ${of.id}`;
