/**
 * The workers of a run: they are sent its job and get its shards. Workers that cannot compute it are excluded, and those that slow it
 * down are suspended.
 */
import { type Reason, sentenceOf } from '@kasane/protocol/reasons';
import { describeJob } from '../submit/describe-job.ts';
import type { ConnectedWorker } from '../workers.ts';
import type { TaskBoard } from './board.ts';
import { DataRoutes } from './data-routes.ts';
import type { GradientSync } from './gradient-sync.ts';
import type { RunPlan } from './plan.ts';
import { Refusals } from './refusals.ts';
import type { RunOptions } from './run-options.ts';
import { Shares, type WhyResting } from './shares.ts';
import { WorkerLines } from './worker-lines.ts';

/** More than control messages alone. */
const UNSENT_BYTES = 1 << 19;

/** What the run's workers need of its state. */
export interface RunState {
  readonly board: () => TaskBoard;
  /** Undefined until the run has opened. */
  readonly sync: () => GradientSync | undefined;
}

export class RunWorkers {
  readonly shares: Shares;
  readonly refusals: Refusals;
  /** Rate-limited log of workers' messages. */
  readonly lines: WorkerLines;
  readonly #options: RunOptions;
  readonly #plan: RunPlan;
  readonly #taskKey: Uint8Array;
  readonly #run: RunState;
  readonly #routes: DataRoutes;
  /** The job's description for workers, encoded once: a model may have a thousand layers, and there may be hundreds of workers. */
  #described: ReturnType<typeof describeJob> | undefined;

  /** @param taskKey signs the run's tasks */
  constructor(options: RunOptions, plan: RunPlan, taskKey: Uint8Array, run: RunState) {
    const { id, job, workers, log } = options;
    this.#options = options;
    this.#plan = plan;
    this.#taskKey = taskKey;
    this.#run = run;
    this.refusals = new Refusals(workers);
    this.shares = new Shares({
      ...{ job: id, shards: job.spec.training.shards, highestLevel: plan.highestLevel },
      workers: this.refusals,
      onRest: (worker, why, ms) => this.#rests(worker, why, ms),
      onWake: (worker) => this.#wakes(worker),
    });
    this.lines = new WorkerLines(log);
    const route = 'route' in job.spec.data ? job.spec.data.route : 'staged';
    this.#routes = new DataRoutes(route, workers, log, this.lines);
  }

  /** Whether all workers currently read the samples themselves. */
  get readDirectly(): boolean {
    return this.#routes.direct;
  }

  /** Whether most workers that take shards are still receiving parameters. */
  get isSending(): boolean {
    const taking = this.shares.taking();
    const waiting = taking.filter((worker) => worker.seen().bytesUnsent > UNSENT_BYTES);
    return 2 * waiting.length > taking.length;
  }

  /** The run has opened: sends the job to all connected workers. */
  opened(sync: GradientSync): void {
    for (const worker of this.#options.workers.all()) this.#tell(worker, sync);
    this.shares.tell();
  }

  joined(worker: ConnectedWorker): void {
    const sync = this.#run.sync();
    if (!sync) return;
    this.refusals.forget(worker.id);
    this.#tell(worker, sync);
    this.shares.tell();
    this.#run.board().check();
  }

  /** Sends the job to a worker. */
  #tell(worker: ConnectedWorker, sync: GradientSync): void {
    this.#described ??= describeJob(this.#options, this.#plan);
    const value = {
      ...this.#described,
      taskKey: this.#taskKey,
      ...sync.offer(worker.id),
    };
    worker.send({ $case: 'jobOpened', value });
    sync.include(worker);
  }

  /** A worker cannot compute the job: reassigns its tasks. @param reason if the coordinator decided so */
  refused(worker: string, why: string, reason?: Reason): void {
    this.lines.write('warn', { worker, ...reason }, `worker ${worker} cannot compute the job: ${why}`);
    if (reason) this.#options.record({ code: 'worker-excluded', args: { worker }, reason });
    else this.#options.record({ code: 'worker-unable', args: { worker, why } });
    this.#letGo(worker);
    this.refusals.add(worker, why);
    this.shares.tell();
    this.#run.board().check();
  }

  /** A worker fails where others do not: closes the job there and gives it no more tasks. */
  exclude(worker: string, why: Reason): void {
    if (this.refusals.has(worker)) return;
    this.#options.workers.get(worker)?.send({ $case: 'jobClosed', value: { job: this.#options.id } });
    this.refused(worker, sentenceOf(why), why);
  }

  /** Suspends a worker that slows down steps: reassigns its tasks and stops sending it parameters. */
  #rests({ id, resting }: ConnectedWorker, why: WhyResting, ms: number): void {
    const job = this.#options.id;
    const reason: Reason = { code: `resting-${why}`, args: { job, seconds: ms / 1000 } };
    resting.set(job, reason);
    this.lines.write('info', { worker: id, ...reason }, `worker ${id} ${sentenceOf(reason)}`);
    this.#options.record({ code: 'worker-resting', args: { worker: id }, reason });
    this.#run.sync()?.rests(id);
  }

  /** Gives a suspended worker one shard as a trial. */
  #wakes(worker: ConnectedWorker): void {
    worker.resting.delete(this.#options.id);
    this.#run.sync()?.include(worker);
  }

  /** A worker takes no more tasks: the others take over its share. */
  drains(): void {
    this.shares.tell();
  }

  /** A worker reports whether it reads the data itself. */
  reachesData(worker: string, able: boolean, why: string): void {
    this.#routes.reported(worker, able, why);
  }

  left(worker: string): void {
    this.#letGo(worker);
    this.refusals.forget(worker);
    this.shares.forget(worker);
    this.shares.tell();
  }

  /** Stops expecting anything from a worker. */
  #letGo(worker: string): void {
    this.#routes.left(worker);
    this.#run.sync()?.left(worker);
  }

  /** Call at the end of the run. */
  close(): void {
    const job = this.#options.id;
    for (const worker of this.#options.workers.all()) {
      worker.resting.delete(job);
      worker.send({ $case: 'jobClosed', value: { job } });
    }
  }
}
