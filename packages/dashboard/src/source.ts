/** What the page shows, from the coordinator over gRPC: jobs and workers several times a second, metrics as they come. */
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { ClusterClient, type StatusResponse } from '@kasane/protocol/gen/kasane/v1/cluster';
import { type Job, JobsClient, type WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { MESSAGE_BYTES } from '@kasane/protocol/limits';
import { tokenMetadata } from '@kasane/protocol/token';

const DEADLINE_MS = 5_000;

export interface SourceOptions {
  /** host:port */
  readonly coordinator: string;
  readonly token?: string | undefined;
}

/** Everything but metrics, at one moment. */
export interface Snapshot {
  readonly jobs: readonly Job[];
  readonly cluster: StatusResponse;
}

export class Source {
  readonly coordinator: string;
  readonly #token: string | undefined;
  readonly #jobs: JobsClient;
  readonly #cluster: ClusterClient;

  constructor({ coordinator, token }: SourceOptions) {
    this.coordinator = coordinator;
    this.#token = token;
    const options = { 'grpc.max_receive_message_length': MESSAGE_BYTES };
    this.#jobs = new JobsClient(coordinator, credentials.createInsecure(), options);
    this.#cluster = new ClusterClient(coordinator, credentials.createInsecure(), options);
  }

  /** @throws ServiceError when the coordinator does not answer, or not to this token */
  async snapshot(): Promise<Snapshot> {
    const [{ jobs }, cluster] = await Promise.all([
      this.#call<{ jobs: Job[] }>((m, o, done) => this.#jobs.list({}, m, o, done)),
      this.#call<StatusResponse>((m, o, done) => this.#cluster.status({}, m, o, done)),
    ]);
    return { jobs, cluster };
  }

  async cancel(job: string): Promise<void> {
    await this.#call((m, o, done) => this.#jobs.cancel({ job }, m, o, done));
  }

  /** Calls `listener` with each message until the job ends or the returned function is called. */
  metrics(job: string, listener: (message: WatchMetricsResponse) => void, ended: () => void): () => void {
    const stream = this.#jobs.watchMetrics({ job }, tokenMetadata(this.#token));
    stream.on('data', listener);
    stream.on('error', ended);
    stream.on('end', ended);
    return () => stream.cancel();
  }

  close(): void {
    this.#jobs.close();
    this.#cluster.close();
  }

  #call<Response>(
    start: (
      metadata: ReturnType<typeof tokenMetadata>,
      options: { deadline: number },
      done: (error: ServiceError | null, response: Response) => void,
    ) => unknown,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      start(tokenMetadata(this.#token), { deadline: Date.now() + DEADLINE_MS }, (error, response) => {
        if (error) reject(error);
        else resolve(response);
      });
    });
  }
}
