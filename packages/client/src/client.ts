/**
 * Submits and controls jobs from TypeScript: a handle for each job, with the operations of the command line. A thin layer over
 * `CoordinatorClient` of the protocol package, which makes the calls; this adds the types of jobs, and results as values.
 */
import {
  type ClientOptions,
  CoordinatorClient,
  type RegisteredModel,
  type Registration,
  requireSuccess,
  requireSweepSuccess,
} from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import type {
  CheckResponse,
  EpochResult,
  Event,
  GetConfusionResponse,
  Job,
} from '@kasane/protocol/gen/kasane/v1/jobs';
import type { ModelVersion } from '@kasane/protocol/gen/kasane/v1/models';
import type { Sweep, Trial } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { asData } from '@kasane/protocol/internal/job/as-data';
import { type StateName, stateNames } from '@kasane/protocol/job-state';
import { type AboutModel, decodeModelFile } from '@kasane/tensor/io/model-file';
import type { Model } from '@kasane/tensor/nn/model';
import type { JobFile } from './job-file.ts';
import type { SweepFile } from './sweep-file.ts';

/** The trained model of a job. */
export interface Result {
  readonly model: Model;
  /** All parameters, in the model's flat layout. */
  readonly parameters: Float32Array;
  readonly about: AboutModel;
  /** The safetensors file that contains them. */
  readonly bytes: Uint8Array;
}

export class KasaneClient {
  readonly #calls: CoordinatorClient;

  /** Connects on the first call. */
  constructor(options: ClientOptions) {
    this.#calls = new CoordinatorClient(options);
  }

  /**
   * Queues a job. Its paths refer to the coordinator's machine.
   * @param job the content of a job file
   * @param options `priority`, from -1000 to 1000, default 0; the highest runs first
   * @throws KasaneError JOB_INVALID, DATA_INVALID, LIMIT, UNREACHABLE, NOT_ALLOWED
   */
  async submit(job: JobFile, { priority = 0 }: { readonly priority?: number } = {}): Promise<JobHandle> {
    return this.job(await this.#calls.submit(JSON.stringify(asData(job)), priority));
  }

  /**
   * Checks a job and its data as `submit` does, without queueing it. Returns what it would do: parameters, samples and steps.
   * @throws KasaneError JOB_INVALID, DATA_INVALID, LIMIT, UNREACHABLE, NOT_ALLOWED
   */
  async check(job: JobFile): Promise<CheckResponse> {
    return this.#calls.check(JSON.stringify(asData(job)));
  }

  /** A handle for an existing job. */
  job(id: string): JobHandle {
    return new JobHandle(id, this.#calls);
  }

  /**
   * Starts a sweep: many trainings of one job file with different values. Its paths refer to the coordinator's machine.
   * @param sweep the content of a job file with a `search` section
   * @param options `priority` of its trials, from -1000 to 1000, default 0; the highest runs first
   * @throws KasaneError JOB_INVALID, DATA_INVALID, LIMIT, UNREACHABLE, NOT_ALLOWED
   */
  async submitSweep(
    sweep: SweepFile,
    { priority = 0 }: { readonly priority?: number } = {},
  ): Promise<SweepHandle> {
    return this.sweep(await this.#calls.sweeps.submit(JSON.stringify(asData(sweep)), priority));
  }

  /** A handle for an existing sweep. */
  sweep(id: string): SweepHandle {
    return new SweepHandle(id, this.#calls);
  }

  /** Lists all sweeps, newest first, without their trials. */
  listSweeps(): Promise<Sweep[]> {
    return this.#calls.sweeps.list(Number.POSITIVE_INFINITY);
  }

  /**
   * A handle for a registered model.
   * @param name NAME:VERSION, or NAME:ALIAS for the version that the alias points to at each call
   */
  model(name: string): ModelHandle {
    return new ModelHandle(name, this.#calls);
  }

  /** Lists all registered versions, or those of a name, newest first. */
  listModels(name = ''): Promise<ModelVersion[]> {
    return this.#calls.models.list(name);
  }

  /** Lists all jobs, newest first. */
  list(): Promise<Job[]> {
    return this.#calls.list(Number.POSITIVE_INFINITY);
  }

  close(): void {
    this.#calls.close();
  }
}

/** A job of a coordinator. Each call throws KasaneError: JOB_NOT_FOUND, JOB_STATE, UNREACHABLE, NOT_ALLOWED. */
export class JobHandle {
  readonly id: string;
  readonly #calls: CoordinatorClient;

  constructor(id: string, calls: CoordinatorClient) {
    this.id = id;
    this.#calls = calls;
  }

  /** The current state of the job. */
  get(): Promise<Job> {
    return this.#calls.get(this.id);
  }

  async state(): Promise<StateName> {
    return stateNames[(await this.get()).state];
  }

  /** One entry per finished epoch, oldest first. */
  async history(): Promise<readonly EpochResult[]> {
    return this.#calls.epochs(this.id);
  }

  /**
   * The confusion matrix of the newest test: `counts` is row-major, with a row for each class that samples are of. Undefined if there
   * is none: only classifiers of at most 100 classes have one, once an epoch has ended.
   */
  async confusion(): Promise<GetConfusionResponse | undefined> {
    const confusion = await this.#calls.confusion(this.id);
    return confusion.epoch > 0 ? confusion : undefined;
  }

  /** What has happened to the job so far, oldest first: a code with arguments, a sentence, and for some events the reason. */
  async events(): Promise<readonly Event[]> {
    return this.#calls.events(this.id);
  }

  /** What has happened to the job, then what happens, until it ends. */
  watchEvents(): AsyncGenerator<Event> {
    return this.#calls.watchEvents(this.id);
  }

  /** The job now and after each change, until it ends. */
  watch(): AsyncGenerator<Job> {
    return this.#calls.watch(this.id);
  }

  /**
   * Waits for the job to end and downloads the weights.
   * @throws KasaneError JOB_FAILED or JOB_CANCELLED if it does not succeed
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

  /** Resumes a paused job, or an ended one from its last checkpoint; `epochs` adds epochs, default 0. */
  resume(epochs = 0): Promise<Job> {
    return this.#calls.resume(this.id, epochs);
  }

  cancel(): Promise<Job> {
    return this.#calls.cancel(this.id);
  }

  /** Deletes an ended job with its history, checkpoints and weights, which cannot be undone. Returns the bytes of its files. */
  delete(): Promise<number> {
    return this.#calls.delete(this.id);
  }

  /**
   * Registers the final weights as a version of a model, which stays when the job is deleted.
   * @param model NAME:VERSION, such as digits:3
   * @param registration aliases that are to point to it, such as production, and a description
   * @throws KasaneError MODEL_EXISTS if the name has this version
   */
  async register(model: string, registration: Registration = {}): Promise<ModelHandle> {
    const { name, version } = await this.#calls.models.register(this.id, model, registration);
    return new ModelHandle(`${name}:${version}`, this.#calls);
  }

  /** Queues the job file again as a new job. */
  async retry(): Promise<JobHandle> {
    return new JobHandle(await this.#calls.retry(this.id), this.#calls);
  }

  setPriority(priority: number): Promise<Job> {
    return this.#calls.setPriority(this.id, priority);
  }
}

/** A registered model of a coordinator. Each call throws KasaneError: MODEL_NOT_FOUND, UNREACHABLE, NOT_ALLOWED. */
export class ModelHandle {
  /** NAME:VERSION or NAME:ALIAS */
  readonly name: string;
  readonly #calls: CoordinatorClient;

  constructor(name: string, calls: CoordinatorClient) {
    this.name = name;
    this.#calls = calls;
  }

  /** The version, and what it came of: the job as it was, its data, confusion matrix and commit. */
  get(): Promise<RegisteredModel> {
    return this.#calls.models.get(this.name);
  }

  /** Downloads the weights. */
  async result(): Promise<Result> {
    const bytes = await this.#calls.models.download(this.name);
    return { ...decodeModelFile(bytes), bytes };
  }

  /** Lets an alias point to this version. Returns the version that it pointed to before, if it did. */
  async setAlias(alias: string): Promise<string | undefined> {
    const { before } = await this.#calls.models.setAlias(this.name, alias);
    return before;
  }

  /** Removes the alias that this is a handle for; the version stays. */
  async removeAlias(): Promise<void> {
    await this.#calls.models.removeAlias(this.name);
  }

  /**
   * Deletes the version, which cannot be undone. Returns the bytes of its weights, or 0 if another version has the same.
   * @throws KasaneError JOB_STATE if an alias points to it or a job that has not ended starts from it
   */
  delete(): Promise<number> {
    return this.#calls.models.delete(this.name);
  }
}

/** A sweep with all of its trials, by their numbers. */
export interface SweepWithTrials {
  readonly sweep: Sweep;
  readonly trials: readonly Trial[];
}

/** A sweep of a coordinator. Each call throws KasaneError: SWEEP_NOT_FOUND, JOB_STATE, UNREACHABLE, NOT_ALLOWED. */
export class SweepHandle {
  readonly id: string;
  readonly #calls: CoordinatorClient;

  constructor(id: string, calls: CoordinatorClient) {
    this.id = id;
    this.#calls = calls;
  }

  /** The current state of the sweep and its trials. */
  get(): Promise<SweepWithTrials> {
    return this.#calls.sweeps.get(this.id);
  }

  /** The sweep and its trials now and after each change, until it ends. */
  watch(): AsyncGenerator<SweepWithTrials> {
    return this.#calls.sweeps.watch(this.id);
  }

  /**
   * Waits for the sweep to end and downloads the weights of its best trial.
   * @throws KasaneError JOB_FAILED or JOB_CANCELLED if it does not succeed
   */
  async result(): Promise<Result> {
    for await (const _ of this.watch());
    const { sweep } = await this.get();
    requireSweepSuccess(sweep);
    const { number, job } = sweep.best!;
    if (job === '')
      throw new KasaneError(
        'JOB_NOT_FOUND',
        `trial ${number}, the best of sweep ${this.id}, has been deleted with its weights`,
      );
    return new JobHandle(job, this.#calls).result();
  }

  /** Cancels the sweep and its trials. */
  cancel(): Promise<Sweep> {
    return this.#calls.sweeps.cancel(this.id);
  }
}
