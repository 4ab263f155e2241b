/** Calls to a coordinator about its sweeps: the part of `client.ts` for them. */
import type { ChannelCredentials, ChannelOptions, Metadata, ServiceError } from '@grpc/grpc-js';
import { KasaneError } from '../errors.ts';
import {
  type Sweep,
  SweepsClient,
  type SweepsListResponse,
  type SweepsWatchResponse,
  type Trial,
} from '../gen/kasane/v1/sweeps.ts';
import { MOST_JOBS_PAGE, SHOWN_JOBS } from '../limits.ts';

/** A sweep with all of its trials, by their numbers. */
export interface SweepWithTrials {
  readonly sweep: Sweep;
  readonly trials: readonly Trial[];
}

/** How calls are made. */
export interface Caller {
  readonly call: <Response>(
    start: (
      metadata: Metadata,
      options: { deadline: number },
      done: (error: ServiceError | null, response: Response) => void,
    ) => unknown,
    deadlineMs?: number,
  ) => Promise<Response>;
  readonly metadata: () => Metadata;
  readonly explain: (error: ServiceError) => Error;
  /** For calls that read data, in milliseconds. */
  readonly longDeadlineMs: number;
}

export class SweepCalls {
  readonly #client: SweepsClient;
  readonly #caller: Caller;

  constructor(address: string, credentials: ChannelCredentials, options: ChannelOptions, caller: Caller) {
    this.#client = new SweepsClient(address, credentials, options);
    this.#caller = caller;
  }

  close(): void {
    this.#client.close();
  }

  /** Starts the sweep of a file's text and returns the sweep's id. @param priority of its trials */
  async submit(sweepFile: string, priority = 0): Promise<string> {
    const { sweep } = await this.#caller.call<{ sweep: string }>(
      (m, o, done) => this.#client.submit({ sweepFile, priority }, m, o, done),
      this.#caller.longDeadlineMs,
    );
    return sweep;
  }

  /** A sweep with its trials. */
  async get(sweep: string): Promise<SweepWithTrials> {
    for await (const now of this.watch(sweep)) return now;
    throw new KasaneError('PROTOCOL', `the coordinator sent nothing about sweep ${sweep}`);
  }

  /** Newest first, page by page, without their trials. @param most how many at most */
  async list(most = SHOWN_JOBS): Promise<Sweep[]> {
    const sweeps: Sweep[] = [];
    for (let pageToken = ''; ; ) {
      const pageSize = Math.min(MOST_JOBS_PAGE, most - sweeps.length);
      const page = await this.#caller.call<SweepsListResponse>((m, o, done) =>
        this.#client.list({ pageSize, pageToken }, m, o, done),
      );
      sweeps.push(...page.sweeps);
      pageToken = page.nextPageToken;
      if (pageToken === '' || sweeps.length >= most) return sweeps;
    }
  }

  /** Ends a sweep and its trials. */
  async cancel(id: string): Promise<Sweep> {
    const { sweep } = await this.#caller.call<{ sweep: Sweep | undefined }>(
      (m, o, done) => this.#client.cancel({ sweep: id }, m, o, done),
      this.#caller.longDeadlineMs,
    );
    return sweep!;
  }

  /** The sweep with its trials now and after each change, until it ends. */
  async *watch(id: string): AsyncGenerator<SweepWithTrials> {
    const stream = this.#client.watch({ sweep: id }, this.#caller.metadata());
    const trials: Trial[] = [];
    try {
      for await (const message of stream) {
        const { sweep, trials: changed, more } = message as SweepsWatchResponse;
        for (const trial of changed) trials[trial.number - 1] = trial;
        if (sweep && !more) yield { sweep, trials: [...trials] };
      }
    } catch (error) {
      throw this.#caller.explain(error as ServiceError);
    } finally {
      stream.cancel();
    }
  }
}
