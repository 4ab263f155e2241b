/**
 * Jobs as runs of an MLflow experiment. Nobody waits for it: every few seconds it compares what the store and the runs know with what was
 * sent. So nothing is queued, and what MLflow does not accept now is sent later.
 */
import { messageOf } from '@kasane/protocol/errors';
import type { Event, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import { EPOCHS_PAGE } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import type { JobManager } from '../jobs/manager.ts';
import type { EventRecord } from '../store/event-record.ts';
import type { JobRecord } from '../store/job-record.ts';
import type { SentToMlflow } from '../store/mlflow-store.ts';
import type { JobStore } from '../store/store.ts';
import { sourceOf } from '../submit/source.ts';
import {
  type Metric,
  MlflowApi,
  MlflowError,
  type MlflowOptions,
  MOST_METRICS,
  MOST_PARAMS,
  TAG_TEXT,
} from './api.ts';
import { JOB_TAG, MODELS_TAG, metricsOfEpoch, metricsOfStep, paramsOf, statusOf, tagsOf } from './content.ts';

const INTERVAL_MS = 5_000;
/** The first and the longest wait after failures; each wait is twice as long as the one before. */
const [FIRST_WAIT_MS, LAST_WAIT_MS] = [1_000, 300_000];
/** After so many jobs in a row at which the server fails, it is the server. */
const MOST_FAILED = 3;

const waitAfter = (failures: number): number => Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1));

export interface MlflowExportOptions {
  readonly mlflow: MlflowOptions;
  readonly store: JobStore;
  readonly manager: Pick<JobManager, 'get' | 'points' | 'epochs' | 'runs'>;
  readonly events: Pick<EventRecord, 'add' | 'onEvent'>;
  readonly log: Logger;
}

export class MlflowExport {
  readonly #options: MlflowExportOptions;
  readonly #api: MlflowApi;
  /** What rows of the store are about: the server with its experiment. */
  readonly #server: string;
  /** Jobs that may have more to send. */
  readonly #changed = new Set<string>();
  /** Jobs whose record says that MLflow accepts nothing now. */
  readonly #told = new Set<string>();
  /** Jobs at which the server fails where it may accept others: how often in a row, and until when they wait, by `performance.now()`. */
  readonly #held = new Map<string, { readonly failures: number; readonly until: number }>();
  #experiment: string | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #unlisten: () => void = () => {};
  #isClosed = false;

  /** @throws KasaneError USAGE */
  constructor(options: MlflowExportOptions) {
    this.#options = options;
    const { mlflow } = options;
    this.#api = new MlflowApi(mlflow);
    this.#server = `${mlflow.url.replace(/\/+$/, '')} ${mlflow.experiment}`;
  }

  /** Takes up jobs that have not ended, and those that an earlier coordinator has not sent completely. */
  start(): void {
    const { store, events } = this.#options;
    for (const job of store.mlflow.unfinished(this.#server)) this.#changed.add(job);
    for (const { id } of store.open()) this.#changed.add(id);
    this.#unlisten = events.onEvent((event) => this.#heard(event));
    this.#schedule(0);
  }

  /** What is not sent yet is sent by the next coordinator. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unlisten();
    clearTimeout(this.#timer);
    this.#api.close();
    await this.#sending;
  }

  #heard({ job, code }: Event): void {
    if (code.startsWith('mlflow-')) return;
    if (code !== 'deleted') {
      this.#changed.add(job);
      return;
    }
    for (const jobs of [this.#changed, this.#held, this.#told]) jobs.delete(job);
  }

  #schedule(ms: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      const { mlflow, log } = this.#options;
      const sending = this.#sendAll().catch((error: unknown) => log.warn(`MLflow: ${messageOf(error)}`));
      this.#sending = sending.finally(() => {
        const { intervalMs = INTERVAL_MS } = mlflow;
        this.#schedule(this.#failures > 0 ? waitAfter(this.#failures) : intervalMs);
      });
    }, ms);
    this.#timer.unref();
  }

  async #sendAll(): Promise<void> {
    const { manager, mlflow } = this.#options;
    for (const { id } of manager.runs.all()) this.#changed.add(id);
    try {
      // Even without jobs, so that a wrong address is noticed when the coordinator starts.
      this.#experiment ??= await this.#api.experiment(mlflow.experiment);
    } catch (error) {
      if (this.#isClosed) return;
      this.#away(messageOf(error), this.#changed);
      return;
    }
    let [accepted, failed] = [0, 0];
    for (const job of [...this.#changed]) {
      if (performance.now() < (this.#held.get(job)?.until ?? 0)) continue;
      this.#changed.delete(job);
      try {
        await this.#send(job, this.#experiment);
        this.#accepted(job);
        accepted++;
        failed = 0;
      } catch (error) {
        if (this.#isClosed) return;
        if (error instanceof MlflowError && !error.isPassing) {
          await this.#refused(job, error.message);
          continue;
        }
        // Behind the others: their turn comes first next time.
        this.#changed.add(job);
        if (error instanceof MlflowError && error.isOfRequest) {
          this.#hold(job);
          this.#tell(messageOf(error), [job]);
          if (++failed < MOST_FAILED) continue;
        }
        this.#away(messageOf(error), [job]);
        return;
      }
    }
    if (accepted > 0 || this.#held.size === 0) this.#back();
  }

  /** This job waits, each time longer; others do not. */
  #hold(job: string): void {
    const failures = (this.#held.get(job)?.failures ?? 0) + 1;
    this.#held.set(job, { failures, until: performance.now() + waitAfter(failures) });
  }

  #accepted(job: string): void {
    this.#held.delete(job);
    if (this.#told.delete(job) && this.#options.store.get(job))
      this.#options.events.add(job, { code: 'mlflow-back', args: {} });
  }

  /** Sends what is new about a job. */
  async #send(id: string, experiment: string): Promise<void> {
    const { store, manager } = this.#options;
    const record = store.get(id);
    if (!record) return; // it has been deleted
    // Read before everything else: if the job has ended by now, what is read next is complete.
    const job = manager.get(id);
    let sent = store.mlflow.get(this.#server, id) ?? (await this.#begin(job, record, experiment));
    if (sent.status === 'REFUSED') return;
    const keep = async (more: Partial<SentToMlflow>) => {
      sent = { ...sent, ...more };
      await store.mlflow.set(this.#server, sent);
    };
    const points = manager.points(id).filter(({ step }) => step > sent.step);
    await this.#sendMetrics(
      sent.run,
      points.map((point) => [point.step, metricsOfStep(point, job.metric)]),
      (step) => keep({ step }),
    );
    for (;;) {
      const { epochs } = manager.epochs(id, EPOCHS_PAGE, String(sent.epoch));
      if (epochs.length === 0) break;
      const now = Date.now();
      await this.#sendMetrics(
        sent.run,
        epochs.map((result) => [result.epoch, metricsOfEpoch(result, job.metric, now)]),
        (epoch) => keep({ epoch }),
      );
    }
    const models = job.models.join(' ').slice(0, TAG_TEXT);
    if (models !== sent.models) {
      await this.#api.log(sent.run, { tags: [{ key: MODELS_TAG, value: models }] });
      await keep({ models });
    }
    const status = statusOf(job);
    const isOver = hasEnded(job.state);
    if (status !== sent.status || isOver !== sent.isOver) {
      await this.#api.setStatus(sent.run, status, isOver ? job.endedAt : undefined);
      await keep({ status, isOver });
    }
  }

  /** Creates the run of a job, or finds the one that a coordinator created that was killed before it had recorded that. */
  async #begin(job: Job, record: JobRecord, experiment: string): Promise<SentToMlflow> {
    const { store } = this.#options;
    const tag = { key: JOB_TAG, value: job.id };
    const run =
      (await this.#api.runWith(experiment, tag)) ??
      (await this.#api.createRun(experiment, {
        name: job.id,
        startTime: job.submittedAt,
        tags: tagsOf(job, sourceOf(record, store)),
      }));
    const params = paramsOf(record.spec);
    for (let at = 0; at < params.length; at += MOST_PARAMS)
      await this.#api.log(run, { params: params.slice(at, at + MOST_PARAMS) });
    const begun = { job: job.id, run, step: 0, epoch: 0, status: '', models: '', isOver: false };
    await store.mlflow.set(this.#server, begun);
    return begun;
  }

  /** @param list numbers of steps or epochs, ascending, with the metrics of each @param sentUpTo records how far it came */
  async #sendMetrics(
    run: string,
    list: readonly (readonly [number, readonly Metric[]])[],
    sentUpTo: (number: number) => Promise<void>,
  ): Promise<void> {
    let batch: Metric[] = [];
    for (const [index, [number, metrics]] of list.entries()) {
      batch.push(...metrics);
      const next = list[index + 1]?.[1].length ?? MOST_METRICS;
      if (batch.length + next < MOST_METRICS) continue;
      if (batch.length > 0) await this.#api.log(run, { metrics: batch });
      await sentUpTo(number);
      batch = [];
    }
  }

  /** Nothing more is sent about this job: the same request would be refused again. */
  async #refused(job: string, why: string): Promise<void> {
    const { store, events, log } = this.#options;
    log.warn({ job }, `MLflow rejected job ${job}; nothing more is sent for it: ${why}`);
    events.add(job, { code: 'mlflow-refused', args: { why } });
    const sent = store.mlflow.get(this.#server, job);
    const none = { job, run: '', step: 0, epoch: 0, models: '' };
    await store.mlflow
      .set(this.#server, { ...none, ...sent, status: 'REFUSED', isOver: true })
      .catch(() => {}); // it is tried, and refused, again
  }

  /** Says once in the record of each job that MLflow takes nothing of it now. */
  #tell(why: string, jobs: Iterable<string>): void {
    const { events, log } = this.#options;
    for (const job of jobs) {
      if (this.#told.has(job)) continue;
      this.#told.add(job);
      events.add(job, { code: 'mlflow-away', args: { why } });
      log.debug({ job }, `cannot send job ${job} to MLflow: ${why}`);
    }
  }

  /** Says so once per outage: in the log, and in the records of jobs that have something to send. */
  #away(why: string, jobs: Iterable<string>): void {
    const { log, mlflow } = this.#options;
    this.#tell(why, jobs);
    if (this.#failures++ === 0)
      log.warn(`cannot send to MLflow at ${mlflow.url}: ${why}; retrying until it accepts data`);
  }

  #back(): void {
    if (this.#failures === 0) return;
    const { events, log, mlflow, store } = this.#options;
    this.#failures = 0;
    log.info(`sending to MLflow at ${mlflow.url} again`);
    for (const job of [...this.#told]) {
      if (this.#held.has(job)) continue;
      this.#told.delete(job);
      if (store.get(job)) events.add(job, { code: 'mlflow-back', args: {} });
    }
  }
}
