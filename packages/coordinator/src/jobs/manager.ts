/** The life of jobs: submitted, queued first in first out, run one at a time, ended; resumed when the coordinator comes back. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import type { DataParts } from '@kasane/data/dataset';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job as JobMessage, WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { checkJob, parseJobFile } from '@kasane/protocol/job';
import { LISTED_JOBS, OPEN_JOBS } from '@kasane/protocol/limits';
import { summarizeLayers } from '@kasane/tensor/nn/summary';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { viewJob } from '../serve/view.ts';
import type { DecideOptions } from '../steps/decide.ts';
import type { WorkerRegistry } from '../workers.ts';
import { loadData } from './load-data.ts';
import type { Metrics } from './metrics.ts';
import { Run, type RunOptions } from './run.ts';
import { startingWeights } from './starting-weights.ts';
import type { JobRecord, JobStore } from './store.ts';

export interface ManagerOptions {
  readonly store: JobStore;
  readonly redis: Redis;
  readonly workers: WorkerRegistry;
  readonly stateDirectory: string;
  readonly decide: DecideOptions;
  readonly log: Logger;
  readonly stagedWindowBytes: number;
  readonly onStep?: RunOptions['onStep'];
}

export class JobManager {
  readonly #options: ManagerOptions;
  /** Emits a job's id when that job has changed. */
  readonly #changes = new EventEmitter<Record<string, []>>().setMaxListeners(0);
  #run: Run | undefined;
  #running: Promise<void> | undefined;
  #closing = false;
  /** Data of the job that was submitted last, so that it need not be read a second time. */
  #opened: { readonly id: string; readonly data: DataParts } | undefined;

  constructor(options: ManagerOptions) {
    this.#options = options;
  }

  /** The run under way. */
  get run(): Run | undefined {
    return this.#run;
  }

  /** Takes up the jobs that an earlier coordinator left. */
  start(): void {
    this.#next();
  }

  /**
   * Checks a job file and its data and queues it. Returns the job's id.
   * @throws KasaneError JOB_INVALID, DATA_INVALID or LIMIT
   */
  async submit(file: string): Promise<string> {
    const { store } = this.#options;
    this.#checkRoom();
    const job = parseJobFile(file, 'job file');
    const data = await loadData(job);
    if (job.spec.init !== undefined) startingWeights(job);
    const id = `${job.spec.name}-${randomBytes(4).toString('hex')}`;
    store.add(id, job.spec.name, JSON.stringify(job.spec), Date.now());
    this.#opened = { id, data };
    this.#options.log.info(`job ${id} submitted`);
    this.#next();
    return id;
  }

  /** @throws KasaneError JOB_NOT_FOUND */
  get(id: string): JobMessage {
    const record = this.#record(id);
    return viewJob(record, this.#options.store.epochs(id), this.#run?.id === id ? this.#run : undefined);
  }

  /**
   * What `WatchMetrics` begins with, and the run's metrics while it goes on.
   * @throws KasaneError JOB_NOT_FOUND
   */
  metrics(id: string): { first: WatchMetricsResponse; live: Metrics | undefined } {
    const record = this.#record(id);
    const live = this.#run?.id === id ? this.#run.metrics : undefined;
    const { model } = checkJob(JSON.parse(record.spec));
    const layers = summarizeLayers(model).map((layer) => ({
      ...layer,
      outputShape: [...layer.outputShape],
      from: [...layer.from],
    }));
    const points = [...(live?.points ?? this.#options.store.metrics(id))];
    return { first: { layers, spec: record.spec, points }, live };
  }

  list(): JobMessage[] {
    return this.#options.store.list(LISTED_JOBS).map(({ id }) => this.get(id));
  }

  /** @throws KasaneError JOB_NOT_FOUND, or JOB_STATE when the job has ended */
  async cancel(id: string): Promise<JobMessage> {
    const job = this.get(id);
    if (job.state > JobState.JOB_STATE_RUNNING) {
      throw new KasaneError('JOB_STATE', `job ${id} has ended already`);
    }
    if (this.#run?.id === id) {
      const running = this.#running;
      this.#run.stop('cancelled');
      await running;
    } else {
      this.#end(id, JobState.JOB_STATE_CANCELLED, '');
    }
    return this.get(id);
  }

  /**
   * Lets a job that has ended go on from its last checkpoint, for `epochs` more.
   * @throws KasaneError JOB_NOT_FOUND, JOB_STATE when it has not ended or has nothing left to do, LIMIT
   */
  async resume(id: string, epochs: number): Promise<JobMessage> {
    const { store } = this.#options;
    const record = this.#record(id);
    if (record.state <= JobState.JOB_STATE_RUNNING)
      throw new KasaneError('JOB_STATE', `job ${id} has not ended`);
    this.#checkRoom();
    const { spec } = checkJob(JSON.parse(record.spec));
    const succeeded = record.state === JobState.JOB_STATE_SUCCEEDED;
    if (succeeded && epochs === 0) {
      throw new KasaneError(
        'JOB_STATE',
        `job ${id} has done all that it was to do; --epochs says how many more`,
      );
    }
    const { stopEarly, ...training } = spec.training;
    const had = succeeded ? store.epochs(id).length : training.epochs;
    // What ended because more did not help, and is to go on all the same, is not stopped for that again.
    const goesOn = { ...training, epochs: had + epochs, ...(!succeeded && stopEarly && { stopEarly }) };
    const { spec: checked } = checkJob({ ...spec, training: goesOn });
    store.reopen(id, JSON.stringify(checked), Date.now());
    this.#options.log.info(`job ${id} goes on, to ${checked.training.epochs} epochs`);
    this.#next();
    return this.get(id);
  }

  /** @throws KasaneError LIMIT */
  #checkRoom(): void {
    if (this.#options.store.open().length < OPEN_JOBS) return;
    throw new KasaneError(
      'LIMIT',
      `${OPEN_JOBS} jobs wait or run, the limit: cancel one, or wait for one to end`,
    );
  }

  #record(id: string): JobRecord {
    const record = this.#options.store.get(id);
    if (!record) throw new KasaneError('JOB_NOT_FOUND', `no job '${id}' here; \`kasane jobs\` lists them`);
    return record;
  }

  /** Calls `listener` after changes of a job until the returned function is called. */
  onChange(id: string, listener: () => void): () => void {
    this.#changes.on(id, listener);
    return () => this.#changes.off(id, listener);
  }

  /** Redis is back: what it held may be lost. */
  requeue(): void {
    this.#run?.board.requeue();
  }

  /** Stops the run so that a later coordinator resumes it from its last checkpoint. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#run?.stop('suspended');
    await this.#running;
  }

  #next(): void {
    if (this.#closing || this.#running) return;
    const [record] = this.#options.store.open();
    if (!record) return;
    this.#running = this.#execute(record.id, record.spec).finally(() => {
      this.#running = undefined;
      this.#run = undefined;
      this.#changes.emit(record.id);
      this.#next();
    });
  }

  async #execute(id: string, spec: string): Promise<void> {
    const { store, redis, workers, stateDirectory, decide, log, stagedWindowBytes, onStep } = this.#options;
    try {
      const job = checkJob(JSON.parse(spec));
      store.start(id, Date.now());
      const data = this.#opened?.id === id ? this.#opened.data : await loadData(job);
      this.#opened = undefined;
      // Reading may have taken a while.
      if (this.#closing || store.get(id)?.state !== JobState.JOB_STATE_RUNNING) return;
      for (const note of data.notes ?? []) log.warn({ job: id }, note);
      const run = new Run({
        id,
        job,
        data,
        store,
        redis,
        workers,
        directory: join(stateDirectory, 'jobs', id),
        decide,
        stagedWindowBytes,
        log: log.child({ job: id }),
        onChange: () => this.#changes.emit(id),
        ...(onStep && { onStep }),
      });
      this.#run = run;
      this.#changes.emit(id);
      const outcome = await run.execute();
      if (outcome === 'done') this.#end(id, JobState.JOB_STATE_SUCCEEDED, '');
      else if (outcome === 'cancelled') this.#end(id, JobState.JOB_STATE_CANCELLED, '');
    } catch (error) {
      const bug = error instanceof KasaneError ? {} : { error };
      log.error({ job: id, ...bug }, `job failed: ${messageOf(error)}`);
      this.#end(id, JobState.JOB_STATE_FAILED, messageOf(error));
    }
  }

  #end(id: string, state: JobState, error: string): void {
    const { store, log } = this.#options;
    const step = this.#run?.id === id ? this.#run.progress.step : (store.get(id)?.step ?? 0);
    store.end(id, { state, error, endedAt: Date.now(), step });
    log.info(
      `job ${id} ${state === JobState.JOB_STATE_SUCCEEDED ? 'succeeded' : state === JobState.JOB_STATE_CANCELLED ? 'cancelled' : 'failed'}`,
    );
    this.#changes.emit(id);
  }
}
