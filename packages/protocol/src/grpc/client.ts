/** Calls to a coordinator: deadlines, the token, and errors as the table has them. */
import { type ClientReadableStream, type handleUnaryCall, type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, errorCodes, KasaneError, messageOf } from '../errors.ts';
import { ClusterClient, type StatusResponse, type WorkerStatus } from '../gen/kasane/v1/cluster.ts';
import {
  type Checkpoint,
  type CheckResponse,
  type EpochResult,
  type Event,
  type Job,
  JobsClient,
  type JobsServer,
  JobsService,
  type ListEpochsResponse,
  type ListResponse,
  type ReadSamplesResponse,
  type WatchEventsResponse,
  type WatchMetricsResponse,
} from '../gen/kasane/v1/jobs.ts';
import { MESSAGE_BYTES, MOST_JOBS_PAGE, SHOWN_JOBS } from '../limits.ts';
import { channelTo, ownTls, readClientTls, type ServerTls, type TlsFiles } from '../security/tls.ts';
import { tokenMetadata } from '../security/token.ts';
import { SweepCalls } from './sweep-calls.ts';

export { requireSuccess, requireSweepSuccess } from './success.ts';
export type { SweepWithTrials } from './sweep-calls.ts';

const DEADLINE_MS = 10_000;
/** A coordinator reads a job's data before it takes the job, in milliseconds. */
const SUBMIT_DEADLINE_MS = 600_000;

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
  readonly #client: JobsClient;
  readonly #cluster: ClusterClient;
  readonly #options: ClientOptions;
  readonly #secured: boolean;

  /** @throws KasaneError USAGE when a file of TLS is not what it should be */
  constructor(options: ClientOptions) {
    this.#options = options;
    const tls = options.own ? ownTls(options.own) : readClientTls(options);
    this.#secured = tls !== undefined;
    const channel = channelTo(options.coordinator, tls);
    const { credentials } = channel;
    const large = { ...channel.options, 'grpc.max_receive_message_length': MESSAGE_BYTES };
    this.#client = new JobsClient(options.coordinator, credentials, large);
    this.sweeps = new SweepCalls(options.coordinator, credentials, large, {
      call: (start, deadlineMs) => this.#call(start, deadlineMs),
      metadata: () => tokenMetadata(options.token),
      explain: (error) => this.#explain(error),
      longDeadlineMs: SUBMIT_DEADLINE_MS,
    });
    this.#cluster = new ClusterClient(options.coordinator, credentials, channel.options);
  }

  close(): void {
    this.#client.close();
    this.sweeps.close();
    this.#cluster.close();
  }

  /** The coordinator and its workers at this moment. */
  status(): Promise<StatusResponse> {
    return this.#call((m, o, done) => this.#cluster.status({}, m, o, done));
  }

  /** Has a worker finish what it computes and stop; it goes on meanwhile. */
  async drain(worker: string): Promise<WorkerStatus> {
    const { worker: draining } = await this.#call<{ worker: WorkerStatus | undefined }>((m, o, done) =>
      this.#cluster.drain({ worker }, m, o, done),
    );
    return draining!;
  }

  /** Queues a job file's text and returns the job's id. */
  async submit(jobFile: string, priority = 0): Promise<string> {
    const { job } = await this.#call<{ job: string }>(
      (m, o, done) => this.#client.submit({ jobFile, priority }, m, o, done),
      SUBMIT_DEADLINE_MS,
    );
    return job;
  }

  /** Checks a job file's text and its data as `submit` does, and queues nothing. Returns what the job would do. */
  check(jobFile: string): Promise<CheckResponse> {
    return this.#call((m, o, done) => this.#client.check({ jobFile }, m, o, done), SUBMIT_DEADLINE_MS);
  }

  /** Calls a method that does something to a job, or asks for it, and answers with the job. */
  async act<Name extends keyof JobActions>(name: Name, request: JobActions[Name]): Promise<Job> {
    const { path, requestSerialize, responseDeserialize } = JobsService[name];
    const { job } = await this.#call<{ job: Job | undefined }>((m, o, done) =>
      this.#client.makeUnaryRequest(
        path,
        requestSerialize as (value: JobActions[Name]) => Buffer,
        responseDeserialize,
        request,
        m,
        o,
        done as (error: ServiceError | null, response?: { job: Job | undefined }) => void,
      ),
    );
    return job!;
  }

  get(job: string): Promise<Job> {
    return this.act('get', { job });
  }

  /** Newest first, page by page. @param most how many at most */
  async list(most = SHOWN_JOBS): Promise<Job[]> {
    const jobs: Job[] = [];
    for (let pageToken = ''; ; ) {
      const pageSize = Math.min(MOST_JOBS_PAGE, most - jobs.length);
      const page = await this.#call<ListResponse>((m, o, done) =>
        this.#client.list({ pageSize, pageToken }, m, o, done),
      );
      jobs.push(...page.jobs);
      pageToken = page.nextPageToken;
      if (pageToken === '' || jobs.length >= most) return jobs;
    }
  }

  /** Every finished epoch, oldest first. */
  async epochs(job: string): Promise<EpochResult[]> {
    const epochs: EpochResult[] = [];
    for (let pageToken = ''; ; ) {
      const page = await this.#call<ListEpochsResponse>((m, o, done) =>
        this.#client.listEpochs({ job, pageSize: 0, pageToken }, m, o, done),
      );
      for (const epoch of page.epochs) epochs.push(epoch);
      pageToken = page.nextPageToken;
      if (pageToken === '') return epochs;
    }
  }

  cancel(job: string): Promise<Job> {
    return this.act('cancel', { job });
  }

  /** Holds a job back until it is resumed. */
  pause(job: string): Promise<Job> {
    return this.act('pause', { job });
  }

  /** Queues the file of a job that has ended as a new one and returns that one's id. */
  async retry(job: string): Promise<string> {
    const { job: id } = await this.#call<{ job: string }>(
      (m, o, done) => this.#client.retry({ job }, m, o, done),
      SUBMIT_DEADLINE_MS,
    );
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
    const stream = this.#client.watch({ job }, tokenMetadata(this.#options.token));
    try {
      for await (const message of stream) {
        const { job: now } = message as { job: Job | undefined };
        if (now) yield now;
      }
    } catch (error) {
      throw this.#explain(error as ServiceError);
    } finally {
      stream.cancel();
    }
  }

  /** A job's metrics: calls `listener` with each message and `ended` when no more come, until the returned function is called. */
  watchMetrics(
    job: string,
    listener: (message: WatchMetricsResponse) => void,
    ended: () => void,
  ): () => void {
    const stream = this.#client.watchMetrics({ job }, tokenMetadata(this.#options.token));
    stream.on('data', listener);
    onceEnded(stream, ended);
    return () => stream.cancel();
  }

  /** What has happened to a job so far, oldest first. */
  async events(job: string): Promise<Event[]> {
    const events: Event[] = [];
    for await (const message of this.#eventMessages(job)) {
      for (const event of message.events) events.push(event);
      if (!message.more) break;
    }
    return events;
  }

  /** What has happened to a job, then what happens, until it ends. Without a job: of all jobs, from a while ago on. @param after only later ones */
  async *watchEvents(job = '', after = 0): AsyncGenerator<Event> {
    for await (const { events } of this.#eventMessages(job, after)) yield* events;
  }

  /** The same: calls `listener` with each message and `ended` when no more come, until the returned function is called. */
  listenToEvents(
    job: string,
    listener: (message: WatchEventsResponse) => void,
    ended: () => void,
  ): () => void {
    const stream = this.#client.watchEvents({ job, after: 0 }, tokenMetadata(this.#options.token));
    stream.on('data', listener);
    onceEnded(stream, ended);
    return () => stream.cancel();
  }

  async *#eventMessages(job: string, after = 0): AsyncGenerator<WatchEventsResponse> {
    const stream = this.#client.watchEvents({ job, after }, tokenMetadata(this.#options.token));
    try {
      for await (const message of stream) yield message as WatchEventsResponse;
    } catch (error) {
      throw this.#explain(error as ServiceError);
    } finally {
      stream.cancel();
    }
  }

  /** The job file as it was checked, JSON. */
  async spec(job: string): Promise<string> {
    const stream = this.#client.watchMetrics({ job }, tokenMetadata(this.#options.token));
    try {
      for await (const message of stream) return (message as WatchMetricsResponse).spec;
      throw new KasaneError('PROTOCOL', `the coordinator sent no data about job ${job}`);
    } catch (error) {
      throw error instanceof KasaneError ? error : this.#explain(error as ServiceError);
    } finally {
      stream.cancel();
    }
  }

  /** Newest first. */
  async checkpoints(job: string): Promise<Checkpoint[]> {
    const { checkpoints } = await this.#call<{ checkpoints: Checkpoint[] }>((m, o, done) =>
      this.#client.listCheckpoints({ job }, m, o, done),
    );
    return checkpoints;
  }

  /** Test samples [first, first + count), as the network takes them. */
  samples(job: string, first: number, count: number): Promise<ReadSamplesResponse> {
    return this.#call(
      (m, o, done) => this.#client.readSamples({ job, first, count }, m, o, done),
      SUBMIT_DEADLINE_MS,
    );
  }

  /** The final weights of a job, or those of the checkpoint at a step: a safetensors file. */
  async model(job: string, checkpoint?: number): Promise<Buffer> {
    const stream = this.#client.downloadModel({ job, checkpoint }, tokenMetadata(this.#options.token));
    const pieces: Uint8Array[] = [];
    try {
      for await (const message of stream) pieces.push((message as { data: Uint8Array }).data);
    } catch (error) {
      throw this.#explain(error as ServiceError);
    }
    return Buffer.concat(pieces);
  }

  #call<Response>(
    start: (
      metadata: ReturnType<typeof tokenMetadata>,
      options: { deadline: number },
      done: (error: ServiceError | null, response: Response) => void,
    ) => unknown,
    deadlineMs = DEADLINE_MS,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      start(tokenMetadata(this.#options.token), { deadline: Date.now() + deadlineMs }, (error, response) => {
        if (error) reject(this.#explain(error));
        else resolve(response);
      });
    });
  }

  #explain(error: ServiceError): KasaneError {
    const code = String(error.metadata?.get('kasane-error')[0] ?? '');
    if (Object.hasOwn(errorCodes, code)) return new KasaneError(code as ErrorCode, reasonOf(error));
    const { coordinator } = this.#options;
    // It was there to take the call: the details of a call that found nobody do not name one.
    if (error.code === status.DEADLINE_EXCEEDED && /remote_addr=/.test(error.details ?? '')) {
      return new KasaneError(
        'UNREACHABLE',
        `the coordinator at ${coordinator} did not answer in time; it may be overloaded or hung: try again`,
        { cause: error },
      );
    }
    if (error.code === status.CANCELLED)
      return new KasaneError(
        'UNREACHABLE',
        `the coordinator at ${coordinator} stopped before it answered; start it again, then check with \`kasane jobs\` whether the command took effect`,
        { cause: error },
      );
    if (error.code === status.UNAVAILABLE || error.code === status.DEADLINE_EXCEEDED) {
      const broken = whyInsecure(error, this.#secured);
      if (broken) {
        return new KasaneError('NOT_ALLOWED', `the coordinator at ${coordinator}: ${broken}`, {
          cause: error,
        });
      }
      const why = whyNobody(error);
      if (why) {
        return new KasaneError('UNREACHABLE', `no coordinator answers at ${coordinator}: ${why}`, {
          cause: error,
        });
      }
      const right = 'start one with `kasane coordinator`, or set its address with --coordinator';
      return new KasaneError('UNREACHABLE', `no coordinator answers at ${coordinator}; ${right}`, {
        cause: error,
      });
    }
    return new KasaneError('UNREACHABLE', `the coordinator at ${coordinator} failed: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** Why nobody answers, where it is the address and starting a coordinator would not help. */
export function whyNobody({ details = '' }: Partial<ServiceError>): string | undefined {
  const host = /Name resolution failed for target dns:(.*):\d+/.exec(details)?.[1];
  if (host !== undefined) return `no host has the name '${host}'; check the address`;
  if (/Last error: (Error: )?(Protocol error|Parse Error)/.test(details))
    return 'the server there is not a coordinator; check the port (the dashboard uses a different one)';
  return undefined;
}

/** What is wrong between the two ends of TLS, where that is why nobody answers. */
export function whyInsecure({ details = '' }: Partial<ServiceError>, tls: boolean): string | undefined {
  if (/certificate has expired/i.test(details)) return 'its certificate has expired';
  if (/certificate is not yet valid/i.test(details))
    return "its certificate is not valid yet; check this machine's clock";
  if (/self-signed|unable to (verify|get)|unknown ca/i.test(details))
    return 'its certificate is not signed by the CA in --tls-ca';
  if (/ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate/i.test(details))
    return 'its certificate does not cover this address';
  if (/wrong version number|packet length too long/i.test(details))
    return 'it does not use TLS; omit --tls-ca';
  // A connection that was made, and that the other end closed at once: nothing more is known of why.
  if (!/Failed to connect \(|disconnected before secure TLS|Connection dropped|ECONNRESET/i.test(details))
    return undefined;
  return tls
    ? 'it closes the connection; if it does not use TLS, omit --tls-ca; if it requires client certificates, set --tls-cert and --tls-key; otherwise its log says why'
    : 'it closes the connection; if it uses TLS, set --tls-ca; otherwise its log says why';
}

/** Why a call failed, never empty: without gRPC's words around it, and without the moment, which differs each time. */
export function reasonOf(error: Partial<ServiceError>): string {
  const said = messageOf({ message: error.details, details: error.message, code: error.code })
    .replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)\.?|\s*Resolution note:\s*$/g, '')
    .replace(/^No connection established\. Last error: (Error: )?(.*?)\.?$/, '$2')
    .trim();
  return /^(undefined|null)?$/.test(said) ? 'the connection was closed before the call began' : said;
}

/** Calls back when a stream has ended, in whatever way: one that fails says both that and that it has ended. */
function onceEnded(stream: ClientReadableStream<unknown>, ended: () => void): void {
  let hasEnded = false;
  const end = () => {
    if (hasEnded) return;
    hasEnded = true;
    ended();
  };
  stream.on('error', end);
  stream.on('end', end);
}
