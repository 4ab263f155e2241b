/**
 * Jobs from TypeScript: a handle for each, with what the command line can do to it. Thin over `CoordinatorClient` of the protocol
 * package, which has the calls; here are the job object with its types, and results as values.
 */
import { type ClientOptions, CoordinatorClient, requireSuccess } from '@kasane/protocol/client';
import type { EpochResult, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { type StateName, stateNames } from '@kasane/protocol/job-state';
import { type AboutModel, decodeModelFile } from '@kasane/tensor/io/model-file';
import type { Model } from '@kasane/tensor/nn/model';
import type { JobFile } from './job-file.ts';

/** What a job was trained to. */
export interface Result {
  readonly model: Model;
  /** All of its parameters, in the model's flat layout. */
  readonly parameters: Float32Array;
  readonly about: AboutModel;
  /** The safetensors file that they are from. */
  readonly bytes: Uint8Array;
}

export class KasaneClient {
  readonly #calls: CoordinatorClient;

  /** Connects with the first call. */
  constructor(options: ClientOptions) {
    this.#calls = new CoordinatorClient(options);
  }

  /**
   * Queues a job. Paths in it are the coordinator's.
   * @param job the same that a job file holds
   * @param options.priority from -1000 to 1000, default 0: the highest goes first
   * @throws KasaneError JOB_INVALID, DATA_INVALID, LIMIT, UNREACHABLE, NOT_ALLOWED
   */
  async submit(job: JobFile, { priority = 0 }: { readonly priority?: number } = {}): Promise<JobHandle> {
    return this.job(await this.#calls.submit(JSON.stringify(job), priority));
  }

  /** A job that is there, by its id. */
  job(id: string): JobHandle {
    return new JobHandle(id, this.#calls);
  }

  /** Newest first; all of them, page by page. */
  list(): Promise<Job[]> {
    return this.#calls.list(Number.POSITIVE_INFINITY);
  }

  close(): void {
    this.#calls.close();
  }
}

/** One job at a coordinator. Each call throws KasaneError: JOB_NOT_FOUND, JOB_STATE, UNREACHABLE, NOT_ALLOWED. */
export class JobHandle {
  readonly id: string;
  readonly #calls: CoordinatorClient;

  constructor(id: string, calls: CoordinatorClient) {
    this.id = id;
    this.#calls = calls;
  }

  /** The job at this moment. */
  get(): Promise<Job> {
    return this.#calls.get(this.id);
  }

  async state(): Promise<StateName> {
    return stateNames[(await this.get()).state];
  }

  /** One entry a finished epoch, oldest first. */
  async history(): Promise<readonly EpochResult[]> {
    return this.#calls.epochs(this.id);
  }

  /** The job now and after each change, until it ends. */
  watch(): AsyncGenerator<Job> {
    return this.#calls.watch(this.id);
  }

  /**
   * Waits for the end and fetches the weights.
   * @throws KasaneError JOB_FAILED or JOB_CANCELLED when it does not succeed
   */
  async result(): Promise<Result> {
    for await (const _ of this.watch());
    requireSuccess(await this.get());
    const bytes = await this.#calls.model(this.id);
    return { ...decodeModelFile(bytes), bytes };
  }

  pause(): Promise<Job> {
    return this.#calls.pause(this.id);
  }

  /** Lets a paused job go on, and one that has ended from its last checkpoint; for `epochs` more, default 0. */
  resume(epochs = 0): Promise<Job> {
    return this.#calls.resume(this.id, epochs);
  }

  cancel(): Promise<Job> {
    return this.#calls.cancel(this.id);
  }

  /** Queues its file once more as a new job. */
  async retry(): Promise<JobHandle> {
    return new JobHandle(await this.#calls.retry(this.id), this.#calls);
  }

  setPriority(priority: number): Promise<Job> {
    return this.#calls.setPriority(this.id, priority);
  }
}
