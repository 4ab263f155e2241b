/** Enqueues the tasks of a run, first attempts and reissued ones, with their batches if workers do not read the data themselves. */
import { DataError } from '@kasane/data/dataset';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { MOST_AVOIDED, type TaskData } from '@kasane/protocol/internal/queue/queue';
import type { Logger } from 'pino';
import { batchParts, type NewTask, type TaskQueue } from '../queue/task-queue.ts';
import type { Tracker } from '../steps/tracker.ts';
import type { RunPlan } from './plan.ts';
import type { Refusals } from './refusals.ts';

type Kind = TaskData['kind'];

/** A step, or a part of its shards. */
export interface HandedOut {
  readonly step: number;
  /** Number of shards, */
  readonly shards: number;
  /** and the first of them. Default 0. */
  readonly first?: number;
}

/** One attempt at a shard. */
interface Attempted {
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
  /** Who holds which attempt. */
  readonly trackers: Readonly<Record<Kind, Tracker>>;
  /** Workers that cannot compute the job. */
  readonly refusals: Pick<Refusals, 'able'>;
  /** Whether workers currently read the samples themselves, so nothing is staged. */
  readonly direct: () => boolean;
  /** The job cannot continue: its data is missing or damaged. */
  readonly onFailed: (error: Error) => void;
  readonly log: Logger;
}

/** Errors of a Redis that is full or read-only, or denies its user a command. */
const REFUSED = /\b(OOM|READONLY|NOPERM|MISCONF|NOREPLICAS)\b/;

export class HandOut {
  readonly #options: HandOutOptions;
  #counted: Pick<Attempted, 'kind' | 'step' | 'shard'>[] = [];
  #adding = 0;
  /** Why Redis refused tasks, as last logged; empty once it accepts them again. */
  #refused = '';

  constructor(options: HandOutOptions) {
    this.#options = options;
  }

  /** Whether batches are being read or staged. */
  get isBusy(): boolean {
    return this.#adding > 0;
  }

  /**
   * Opens whole steps, and enqueues the first attempts at their shards: `ahead` of their parameters, or to run `now`.
   * @param areShort tasks are so short that one entry contains the same shard of all steps
   */
  first(route: 'ahead' | 'now', kind: Kind, steps: readonly HandedOut[], areShort: boolean): void {
    const now = performance.now();
    const tasks: Attempted[] = [];
    for (const { step, shards, first = 0 } of steps) {
      this.#options.trackers[kind].open(step, shards, now, first);
      for (let shard = first; shard < first + shards; shard++)
        tasks.push(this.#attempt(kind, step, shard, 1));
    }
    this.#add(route, areShort && route === 'ahead' ? byShard(tasks) : tasks.map((task) => [task]));
  }

  /** Enqueues further attempts at shards of a step, to run now. */
  again(kind: Kind, step: number, shards: readonly number[]): void {
    const now = performance.now();
    const tracker = this.#options.trackers[kind];
    const tasks = shards.flatMap((shard) =>
      Array.from({ length: copiesOf(tracker.avoid(step, shard).size) }, () =>
        this.#attempt(kind, step, shard, tracker.issue(step, shard, now)),
      ),
    );
    this.#add(
      'now',
      tasks.map((task) => [task]),
    );
  }

  /** A task has been committed: the next `unstage` removes its batch. */
  counted(task: Pick<Attempted, 'kind' | 'step' | 'shard'>): void {
    this.#counted.push(task);
  }

  /** Removes the batches of committed tasks from Redis. */
  unstage(): void {
    const { plan, queue } = this.#options;
    const tasks = this.#counted;
    this.#counted = [];
    const parts = Math.max(...tasks.map((task) => batchParts(plan.samplesOf(task), plan.sampleBytes)));
    queue.unstage(tasks, parts).catch(() => {}); // they expire by themselves
  }

  /** Enqueues groups of tasks, one entry per group. */
  #add(route: 'ahead' | 'now', groups: readonly (readonly Attempted[])[]): void {
    if (groups.length === 0) return;
    const { queue, plan, direct, onFailed, log } = this.#options;
    const tasks = groups.map((group) => group.map((attempted) => this.#task(attempted)));
    this.#adding++;
    queue
      .add(route, tasks, direct() ? undefined : (task) => plan.batch(task))
      .then(() => {
        this.#refused = '';
      })
      .catch((error: unknown) => {
        if (error instanceof DataError)
          return onFailed(new KasaneError('DATA_INVALID', error.message, { cause: error }));
        // `decide` reissues them once they have not been fetched for a while.
        const why = messageOf(error);
        const isNew = REFUSED.test(why) && why !== this.#refused;
        this.#refused = why;
        // A Redis that is away is reported elsewhere, but one that refuses writes is not.
        log[isNew ? 'warn' : 'debug'](`tasks could not be queued: ${why}`);
      })
      .finally(() => this.#adding--);
  }

  #attempt(kind: Kind, step: number, shard: number, attempt: number): Attempted {
    const avoid = attempt > 1 ? this.#avoid(kind, step, shard) : [];
    const traceparent = this.#options.trackers[kind].traceparent(step, shard, attempt);
    return { kind, step, shard, attempt, avoid, traceparent };
  }

  /** Workers that should leave a shard to others, if there are others. */
  #avoid(kind: Kind, step: number, shard: number): string[] {
    const { trackers, refusals } = this.#options;
    const avoid = trackers[kind].avoid(step, shard);
    const others = refusals.able().some(({ id, draining }) => !draining && !avoid.has(id));
    return others ? [...avoid].slice(0, MOST_AVOIDED) : [];
  }

  #task({ avoid, traceparent, ...task }: Attempted): NewTask {
    const { plan } = this.#options;
    const { start, end } = plan.range(task);
    const shards = plan.shardsOf(task);
    const rest = {
      ...(shards && { shards }),
      ...(avoid.length > 0 && { avoid: [...avoid] }),
      ...(traceparent !== undefined && { traceparent }),
    };
    return { ...task, epoch: plan.epochOf(task.step), first: start, samples: end - start, ...rest };
  }
}

/** What failed at several workers is sent to as many others at once, since there may be hundreds. */
const copiesOf = (failed: number): number => (failed < 3 ? 1 : Math.min(failed, 32));

/** The tasks of each shard, in order of their steps. */
function byShard(tasks: readonly Attempted[]): Attempted[][] {
  const groups: Attempted[][] = [];
  for (const task of tasks) {
    const group = groups[task.shard];
    if (group) group.push(task);
    else groups[task.shard] = [task];
  }
  return groups;
}
