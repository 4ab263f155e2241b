/** The jobs that are open at one worker, and what still closes of those it has left. */
import { messageOf } from '@kasane/protocol/errors';
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import { shortened } from '@kasane/protocol/internal/events/plain-text';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import type { JobSession } from './job-session.ts';

export interface OpenJobsOptions {
  /** Called when a job cannot be computed here, for others to compute it. */
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

  /** Tasks held, computing or not. */
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
   * A job that is open already is closed first.
   * @param begin throws an Error that says why the job cannot be computed here, and calls back where that turns out later
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

  /** Resolves when everything that was closed so far is. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }
}
