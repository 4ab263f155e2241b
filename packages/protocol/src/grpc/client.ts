/** What can be asked of a coordinator: a method for each call, with its errors as the table has them. */
import type { handleUnaryCall } from '@grpc/grpc-js';
import { KasaneError } from '../errors.ts';
import { ClusterService, type StatusResponse, type WorkerStatus } from '../gen/kasane/v1/cluster.ts';
import {
  type Checkpoint,
  type CheckResponse,
  type EpochResult,
  type Event,
  type GetConfusionResponse,
  type Job,
  type JobsServer,
  JobsService,
  type ListRequest,
  type ReadSamplesResponse,
  type Source,
  type StepMetrics,
  type WatchEventsResponse,
  type WatchMetricsResponse,
} from '../gen/kasane/v1/jobs.ts';
import { MESSAGE_BYTES, MOST_JOBS_PAGE, SHOWN_JOBS } from '../limits.ts';
import { channelTo, ownTls, readClientTls, type ServerTls, type TlsFiles } from '../security/tls.ts';
import { tokenMetadata } from '../security/token.ts';
import { explainCall } from './call-errors.ts';
import { bytesOf, Calls, type Method, pagesOf, READING_DEADLINE_MS } from './calls.ts';
import { ModelCalls } from './model-calls.ts';
import { SweepCalls } from './sweep-calls.ts';

export type { RegisteredModel, Registration } from './model-calls.ts';
export { requireSuccess, requireSweepSuccess } from './success.ts';
export type { SweepWithTrials } from './sweep-calls.ts';

/** Without files of TLS it speaks plain text, as a coordinator without certificates does. */
export interface ClientOptions extends TlsFiles {
  /** host:port */
  readonly coordinator: string;
  readonly token?: string | undefined;
  /** The coordinator is this very process, and listens with this. */
  readonly own?: ServerTls | undefined;
}

/** Requests of the methods that answer with a job, by their names. */
export type JobActions = {
  readonly [Name in keyof JobsServer as JobsServer[Name] extends handleUnaryCall<infer _, infer Response>
    ? { job: Job | undefined } extends Response
      ? Name
      : never
    : never]: JobsServer[Name] extends handleUnaryCall<infer Request, infer _> ? Request : never;
};

export class CoordinatorClient {
  /** Calls about sweeps. */
  readonly sweeps: SweepCalls;
  /** Calls about registered models. */
  readonly models: ModelCalls;
  readonly #calls: Calls;

  /** @throws KasaneError USAGE when a file of TLS is not what it should be */
  constructor(options: ClientOptions) {
    const { coordinator, token } = options;
    const tls = options.own ? ownTls(options.own) : readClientTls(options);
    const channel = channelTo(coordinator, tls);
    this.#calls = new Calls({
      address: coordinator,
      credentials: channel.credentials,
      channel: { ...channel.options, 'grpc.max_receive_message_length': MESSAGE_BYTES },
      metadata: () => tokenMetadata(token),
      explain: (error, hasAnswered) => explainCall(error, coordinator, tls !== undefined, hasAnswered),
    });
    this.sweeps = new SweepCalls(this.#calls);
    this.models = new ModelCalls(this.#calls);
  }

  close(): void {
    this.#calls.close();
  }

  /** The coordinator and its workers at this moment. */
  status(): Promise<StatusResponse> {
    return this.#calls.one(ClusterService.status, {});
  }

  /** Has a worker finish what it computes and stop; it goes on meanwhile. */
  async drain(worker: string): Promise<WorkerStatus> {
    const { worker: draining } = await this.#calls.one(ClusterService.drain, { worker });
    return draining!;
  }

  /**
   * Queues a job file's text and returns the job's id.
   * @param source where the file comes from
   * @param onNote told each note about its data and starting weights
   */
  async submit(
    jobFile: string,
    priority = 0,
    source?: Source,
    onNote: (note: string) => void = () => {},
  ): Promise<string> {
    const request = { jobFile, priority, source };
    const { job, notes } = await this.#calls.one(JobsService.submit, request, READING_DEADLINE_MS);
    notes.forEach(onNote);
    return job;
  }

  /** Checks a job file's text and its data as `submit` does, and queues nothing. Returns what the job would do. */
  check(jobFile: string): Promise<CheckResponse> {
    return this.#calls.one(JobsService.check, { jobFile }, READING_DEADLINE_MS);
  }

  /** Calls a method that does something to a job, or asks for it, and answers with the job. */
  async act<Name extends keyof JobActions>(name: Name, request: JobActions[Name]): Promise<Job> {
    // The compiler does not see that a name's request is its method's.
    const method = JobsService[name] as unknown as Method<JobActions[Name], { job: Job | undefined }>;
    const { job } = await this.#calls.one(method, request);
    return job!;
  }

  get(job: string): Promise<Job> {
    return this.act('get', { job });
  }

  /**
   * Newest first, page by page.
   * @param most how many at most
   * @param which only the trials of a sweep; with their job files
   */
  async list(
    most = SHOWN_JOBS,
    { sweep = '', withSpecs = false }: Partial<Pick<ListRequest, 'sweep' | 'withSpecs'>> = {},
  ): Promise<Job[]> {
    const jobs: Job[] = [];
    const ask = (pageToken: string) => {
      const pageSize = Math.min(MOST_JOBS_PAGE, most - jobs.length);
      return this.#calls.one(JobsService.list, { pageSize, pageToken, sweep, withSpecs });
    };
    for await (const page of pagesOf(ask)) {
      jobs.push(...page.jobs);
      if (jobs.length >= most) break;
    }
    return jobs;
  }

  /** Every finished epoch, oldest first. */
  async epochs(job: string): Promise<EpochResult[]> {
    const epochs: EpochResult[] = [];
    const ask = (pageToken: string) =>
      this.#calls.one(JobsService.listEpochs, { job, pageSize: 0, pageToken });
    for await (const page of pagesOf(ask)) for (const epoch of page.epochs) epochs.push(epoch);
    return epochs;
  }

  cancel(job: string): Promise<Job> {
    return this.act('cancel', { job });
  }

  /** Deletes a job that has ended, with its weights. Returns the bytes of its files. */
  async delete(job: string): Promise<number> {
    const { bytes } = await this.#calls.one(JobsService.delete, { job });
    return bytes;
  }

  /** Holds a job back until it is resumed. */
  pause(job: string): Promise<Job> {
    return this.act('pause', { job });
  }

  /**
   * Queues the file of a job that has ended as a new one and returns that one's id.
   * @param onNote called with what is worth knowing of the new one
   */
  async retry(job: string, onNote: (note: string) => void = () => {}): Promise<string> {
    const { job: id, notes } = await this.#calls.one(JobsService.retry, { job }, READING_DEADLINE_MS);
    for (const note of notes) onNote(note);
    return id;
  }

  /** Sets whose steps go first: those of the highest priority. */
  setPriority(job: string, priority: number): Promise<Job> {
    return this.act('setPriority', { job, priority });
  }

  /** Lets a job that is paused or has ended go on, for so many epochs more. */
  resume(job: string, epochs: number): Promise<Job> {
    return this.act('resume', { job, epochs });
  }

  /** The job now and after each change, until it ends. */
  async *watch(job: string): AsyncGenerator<Job> {
    for await (const { job: now } of this.#calls.many(JobsService.watch, { job })) if (now) yield now;
  }

  /** A job's metrics: calls `listener` with each message and `ended` when no more come, until the returned function is called. */
  watchMetrics(
    job: string,
    listener: (message: WatchMetricsResponse) => void,
    ended: () => void,
  ): () => void {
    return this.#calls.listen(JobsService.watchMetrics, { job }, listener, ended);
  }

  /** The points of a job's metrics so far, by step. */
  async metricPoints(job: string): Promise<StepMetrics[]> {
    const points: StepMetrics[] = [];
    for await (const message of this.#calls.many(JobsService.watchMetrics, { job })) {
      points.push(...message.points);
      if (!message.more) break;
    }
    return points;
  }

  /** What has happened to a job so far, oldest first. */
  async events(job: string): Promise<Event[]> {
    const events: Event[] = [];
    for await (const message of this.#calls.many(JobsService.watchEvents, { job, after: 0 })) {
      for (const event of message.events) events.push(event);
      if (!message.more) break;
    }
    return events;
  }

  /** What has happened to a job, then what happens, until it ends. Without a job: of all jobs, from a while ago on. @param after only later ones. @param signal ends it with an error */
  async *watchEvents(job = '', after = 0, signal?: AbortSignal): AsyncGenerator<Event> {
    for await (const { events } of this.#calls.many(JobsService.watchEvents, { job, after }, signal))
      yield* events;
  }

  /** The same: calls `listener` with each message and `ended` when no more come, until the returned function is called. */
  listenToEvents(
    job: string,
    listener: (message: WatchEventsResponse) => void,
    ended: () => void,
  ): () => void {
    return this.#calls.listen(JobsService.watchEvents, { job, after: 0 }, listener, ended);
  }

  /** The job file as it was checked, JSON. */
  async spec(job: string): Promise<string> {
    for await (const { spec } of this.#calls.many(JobsService.watchMetrics, { job })) return spec;
    throw new KasaneError('PROTOCOL', `the coordinator sent no data about job ${job}`);
  }

  /** Newest first. */
  async checkpoints(job: string): Promise<Checkpoint[]> {
    const { checkpoints } = await this.#calls.one(JobsService.listCheckpoints, { job });
    return checkpoints;
  }

  /** The confusion matrix of the newest test; epoch 0 where there is none. */
  confusion(job: string): Promise<GetConfusionResponse> {
    return this.#calls.one(JobsService.getConfusion, { job });
  }

  /** Test samples [first, first + count), as the network takes them. */
  samples(job: string, first: number, count: number): Promise<ReadSamplesResponse> {
    return this.#calls.one(JobsService.readSamples, { job, first, count }, READING_DEADLINE_MS);
  }

  /** The final weights of a job, or those of the checkpoint at a step: a safetensors file. */
  model(job: string, checkpoint?: number): Promise<Buffer> {
    return bytesOf(this.#calls.many(JobsService.downloadModel, { job, checkpoint }));
  }
}
