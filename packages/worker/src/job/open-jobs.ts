/** The open jobs of one worker, and closed ones that have yet to finish closing. */
import { messageOf } from '@kasane/protocol/errors';
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import { shortened } from '@kasane/protocol/internal/events/plain-text';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import type { JobSession } from './job-session.ts';

export interface OpenJobsOptions {
  /** Called if a job cannot be computed here, so that others compute it. */
  readonly onRefused: (job: string, why: string) => void;
  readonly log: Logger;
}

export class OpenJobs {
  readonly #options: OpenJobsOptions;
  readonly #jobs = new Map<string, JobSession>();
  readonly #closing = new Set<Promise<void>>();

  constructor(options: OpenJobsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Number of tasks held, computing or waiting. */
  get held(): number {
    return this.all().reduce((sum, { held }) => sum + held, 0);
  }

  get(job: string): JobSession | undefined {
    return this.#jobs.get(job);
  }

  all(): JobSession[] {
    return [...this.#jobs.values()];
  }

  /**
   * Opens a job, after closing an earlier session of it.
   * @param begin throws an Error with the reason if the job cannot be computed here, and calls back if that turns out later
   */
  open({ job }: JobOpened, begin: (onUnable: (why: string) => void) => JobSession): void {
    const { onRefused, log } = this.#options;
    const onUnable = (why: string) => {
      log.error({ job }, `job ${job} cannot be computed on this worker: ${why}`);
      onRefused(job, shortened(why, ERROR_TEXT));
      this.close(job);
    };
    this.close(job);
    try {
      this.#jobs.set(job, begin(onUnable));
      log.debug(`job ${job} opened`);
    } catch (error) {
      onUnable(messageOf(error));
    }
  }

  close(job: string): void {
    const session = this.#jobs.get(job);
    if (!session) return;
    this.#jobs.delete(job);
    const closed = session
      .close()
      .catch((error: unknown) => this.#options.log.debug(`closing job ${job}: ${messageOf(error)}`))
      .finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }

  closeAll(): void {
    for (const job of [...this.#jobs.keys()]) this.close(job);
  }

  /** Resolves when all closed jobs have finished closing. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }
}
