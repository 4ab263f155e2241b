/** Puts the tasks of a run into its queue, with their batches where workers do not read those themselves. */
import { DataError } from '@kasane/data/dataset';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import type { Logger } from 'pino';
import { batchParts, type NewTask, type TaskQueue } from '../queue/task-queue.ts';
import type { RunPlan } from './plan.ts';

type Kind = TaskData['kind'];

/** One attempt at a shard. */
export interface Attempted {
  readonly kind: Kind;
  readonly step: number;
  readonly shard: number;
  readonly attempt: number;
  /** Workers that leave it to others. */
  readonly avoid: readonly string[];
  readonly traceparent: string | undefined;
}

export interface HandOutOptions {
  readonly plan: RunPlan;
  readonly queue: TaskQueue;
  /** Whether workers read the samples themselves now: nothing is staged. */
  readonly direct: () => boolean;
  /** The job cannot go on: its data are gone or damaged. */
  readonly onFailed: (error: Error) => void;
  readonly log: Logger;
}

export class HandOut {
  readonly #options: HandOutOptions;
  #counted: Pick<Attempted, 'kind' | 'step' | 'shard'>[] = [];
  #adding = 0;

  constructor(options: HandOutOptions) {
    this.#options = options;
  }

  /** Batches are being read, or staged. */
  get isBusy(): boolean {
    return this.#adding > 0;
  }

  /** Queues groups of tasks, each as one entry: `ahead` of their parameters, or to run `now`. */
  add(route: 'ahead' | 'now', groups: readonly (readonly Attempted[])[]): void {
    if (groups.length === 0) return;
    const { queue, plan, direct, onFailed, log } = this.#options;
    const tasks = groups.map((group) => group.map((attempted) => this.#task(attempted)));
    this.#adding++;
    queue
      .add(route, tasks, direct() ? undefined : (task) => plan.batch(task))
      .catch((error: unknown) => {
        if (error instanceof DataError)
          return onFailed(new KasaneError('DATA_INVALID', error.message, { cause: error }));
        // `decide` hands them out again once they have not been fetched for a while.
        log.debug(`tasks could not be queued: ${messageOf(error)}`);
      })
      .finally(() => this.#adding--);
  }

  /** A task has been counted: its batch goes with the next `unstage`. */
  counted(task: Pick<Attempted, 'kind' | 'step' | 'shard'>): void {
    this.#counted.push(task);
  }

  /** Takes the batches of tasks that have been counted out of Redis. */
  unstage(): void {
    const { plan, queue } = this.#options;
    const tasks = this.#counted;
    this.#counted = [];
    const parts = Math.max(...tasks.map((task) => batchParts(plan.samplesOf(task), plan.sampleBytes)));
    queue.unstage(tasks, parts).catch(() => {}); // they expire by themselves
  }

  #task({ avoid, traceparent, ...task }: Attempted): NewTask {
    const { plan } = this.#options;
    const { start, end } = plan.range(task);
    const rest = {
      ...(avoid.length > 0 && { avoid: [...avoid] }),
      ...(traceparent !== undefined && { traceparent }),
    };
    return { ...task, epoch: plan.epochOf(task.step), first: start, samples: end - start, ...rest };
  }
}
