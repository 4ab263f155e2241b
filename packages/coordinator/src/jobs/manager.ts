/** The life of jobs: submitted, queued first in first out, run one at a time, ended; resumed when the coordinator comes back. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import type { Dataset } from '@kasane/data/dataset';
import { openIdx } from '@kasane/data/idx';
import { mnistDirectory } from '@kasane/data/mnist';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job as JobMessage, WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { checkJob, type Job, parseJobFile } from '@kasane/protocol/job';
import { LISTED_JOBS, OPEN_JOBS } from '@kasane/protocol/limits';
import { summarizeLayers } from '@kasane/tensor/nn/summary';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { viewJob } from '../serve/view.ts';
import type { DecideOptions } from '../steps/decide.ts';
import type { WorkerRegistry } from '../workers.ts';
import type { Metrics } from './metrics.ts';
import type { JobData } from './plan.ts';
import { Run, type RunOptions } from './run.ts';
import type { JobRecord, JobStore } from './store.ts';

export interface ManagerOptions {
  readonly store: JobStore;
  readonly redis: Redis;
  readonly workers: WorkerRegistry;
  readonly stateDirectory: string;
  readonly decide: DecideOptions;
  readonly log: Logger;
  readonly onStep?: RunOptions['onStep'];
}

export class JobManager {
  readonly #options: ManagerOptions;
  /** Emits a job's id when that job has changed. */
  readonly #changes = new EventEmitter<Record<string, []>>().setMaxListeners(0);
  #run: Run | undefined;
  #running: Promise<void> | undefined;
  #closing = false;

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
  submit(file: string): string {
    const { store } = this.#options;
    if (store.open().length >= OPEN_JOBS) {
      throw new KasaneError(
        'LIMIT',
        `${OPEN_JOBS} jobs wait or run, the limit: cancel one, or wait for one to end`,
      );
    }
    const job = parseJobFile(file, 'job file');
    loadData(job);
    const id = `${job.spec.name}-${randomBytes(4).toString('hex')}`;
    store.add(id, job.spec.name, JSON.stringify(job.spec), Date.now());
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
    const { store, redis, workers, stateDirectory, decide, log, onStep } = this.#options;
    try {
      const job = checkJob(JSON.parse(spec));
      store.start(id, Date.now());
      const run = new Run({
        id,
        job,
        data: loadData(job),
        store,
        redis,
        workers,
        directory: join(stateDirectory, 'jobs', id),
        decide,
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

/** Opens a job's data and checks that the model takes it. @throws KasaneError DATA_INVALID */
export function loadData(job: Job): JobData {
  let data: { train: Dataset; test: Dataset };
  const directory = job.spec.data.path ?? mnistDirectory();
  try {
    data = openIdx(directory);
  } catch (error) {
    throw new KasaneError('DATA_INVALID', messageOf(error), { cause: error });
  }
  const { input, classes } = job.model.description;
  const size = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);
  for (const [name, part] of Object.entries(data)) {
    if (size(part.sampleShape) !== size(input)) {
      const what = `${directory}: ${name} samples are ${part.sampleShape.join(' x ')}`;
      throw new KasaneError('DATA_INVALID', `${what}, but the model takes ${input.join(' x ')}`);
    }
    if (classes === undefined) {
      throw new KasaneError('DATA_INVALID', `${directory}: has classes, but the model is no classifier`);
    }
    if (part.classes > classes) {
      throw new KasaneError(
        'DATA_INVALID',
        `${directory}: ${name} labels reach ${part.classes - 1}, but the model tells ${classes} classes apart`,
      );
    }
  }
  return data;
}
