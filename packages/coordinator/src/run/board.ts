/**
 * The tasks of one run that are in flight: hands them out, receives workers' messages about them, and acts on what `decide` says about
 * the current step.
 */

import { KasaneError } from '@kasane/protocol/errors';
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import {
  type TaskFailure,
  TaskFailure_Reason,
  type TaskId,
  type TaskResult,
} from '@kasane/protocol/gen/kasane/v1/training';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import { REMEMBERED_WORKERS } from '@kasane/protocol/limits';
import { at, isSameReason, type Reason, sentenceOf } from '@kasane/protocol/reasons';
import type { Logger } from 'pino';
import { keepNewest } from '../newest.ts';
import type { Arrived } from '../params/attempts.ts';
import type { TaskQueue } from '../queue/task-queue.ts';
import { type DecideOptions, type Decision, decide } from '../steps/decide.ts';
import { Disproofs } from '../steps/disproofs.ts';
import type { Failure } from '../steps/failures.ts';
import type { Tracker } from '../steps/tracker.ts';
import { Travel } from '../steps/travel.ts';
import type { WorkerRegistry } from '../workers.ts';
import { refusedAnswer } from './answer-check.ts';
import { type Answer, toAnswer } from './answers.ts';
import { rightOfNotFinite } from './finite.ts';
import { type HandedOut, HandOut } from './hand-out.ts';
import { Pace } from './pace.ts';
import type { RunPlan } from './plan.ts';
import type { Refusals } from './refusals.ts';
import type { Shares } from './shares.ts';
import { StepAnswers } from './step-answers.ts';
import { trackerOf } from './traced-tracker.ts';
import type { WorkerLines } from './worker-lines.ts';

type Kind = TaskData['kind'];

export interface BoardOptions {
  readonly job: string;
  /** The job's span, if tracing is on. */
  readonly traceparent?: string | undefined;
  readonly plan: RunPlan;
  readonly queue: TaskQueue;
  readonly workers: Pick<WorkerRegistry, 'all' | 'heardAt'>;
  /** Workers that cannot compute the job. */
  readonly refusals: Pick<Refusals, 'able' | 'has' | 'list'>;
  /** Whether workers currently read the samples themselves, so nothing is staged. */
  readonly direct: () => boolean;
  readonly decide: DecideOptions;
  readonly log: Logger;
  /** Rate-limited log of workers' messages. */
  readonly lines: WorkerLines;
  /** Whether an attempt's gradient has arrived completely, and if not, whose fault that is. */
  readonly gradientArrived: (worker: string, task: TaskId, layout: number | undefined) => Arrived;
  /** Whether workers start the next step by themselves, so that its answers may come early. */
  readonly runsAhead: (step: number) => boolean;
  /** Whether most workers are still receiving parameters: none of them is late meanwhile. */
  readonly isSending: () => boolean;
  /** Which workers get shards, and which failed to respond. */
  readonly shares: Pick<Shares, 'idle' | 'isSuspect' | 'isTrying' | 'isResting' | 'waitedFor' | 'answered'>;
  /** Called if a worker repeatedly fails at what others can compute. */
  readonly onUnfit: (worker: string, why: Reason) => void;
  /** Whether the run may skip a step with non-finite numbers. */
  readonly mayLeaveOut: (why: string) => boolean;
  /** Called when tasks of a step are reissued. */
  readonly onReissue: (step: number, tasks: number, why: Reason) => void;
  /** Called when `why` has changed. */
  readonly onWhy: () => void;
}

export class TaskBoard {
  readonly #options: BoardOptions;
  readonly #trackers: Readonly<Record<Kind, Tracker>>;
  readonly #answers = new StepAnswers();
  readonly #pace = new Pace();
  /** Steps that are being recomputed. */
  readonly #redone = new Set<number>();
  #leftAt = Number.NEGATIVE_INFINITY;
  #why: Reason | undefined;
  #waiting: { kind: Kind; step: number; resolve: () => void; reject: (error: Error) => void } | undefined;
  #stopped: Error | undefined;
  readonly #travel = new Travel();
  readonly #out: HandOut;
  readonly #disproofs = new Disproofs();
  /** Workers whose answers have counted, the newest last. */
  readonly #proven = new Map<string, true>();

  constructor(options: BoardOptions) {
    this.#options = options;
    const { job, traceparent } = options;
    const of = (kind: Kind) => trackerOf(job, kind, traceparent);
    const trackers = { train: of('train'), evaluate: of('evaluate') };
    this.#trackers = trackers;
    this.#out = new HandOut({ ...options, trackers, onFailed: (error) => this.stop(error) });
  }

  /** What the step is waiting for; undefined if it is not waiting. */
  get why(): Reason | undefined {
    return this.#why;
  }

  /** Time without progress, in milliseconds. */
  get stillMs(): number {
    return this.#pace.stillMs;
  }

  /** The same once it is much longer than usual; 0 otherwise. */
  get stalledMs(): number {
    if (!this.#waiting || this.#out.isBusy) return 0;
    return this.#pace.stalledMs(this.#waiting.kind);
  }

  /** The current step, and how many answers and progress messages have counted since it began. */
  get reached(): { readonly step: number; readonly answers: number } {
    return this.#answers.reached;
  }

  /** Whether `settled` is pending. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** Begins counting training answers for `step`: its parameters have been published. */
  begin(step: number): void {
    this.#pace.begin();
    for (const { worker, task, result } of this.#answers.begin(step)) this.answered(worker, task, result);
  }

  /** Recomputes the current step: answers so far do not count. @param areLaterVoid results for later steps do not count either */
  redo(step: number, areLaterVoid: boolean): void {
    this.#answers.redo();
    const tracker = this.#trackers.train;
    const steps = tracker.steps().filter((one) => one === step || (areLaterVoid && one > step));
    for (const one of steps) {
      tracker.redo(one);
      this.#redone.add(one);
    }
    this.check();
  }

  /** Hands out the first attempts of whole steps: `ahead` of their parameters, or to run `now`. */
  handOut(route: 'ahead' | 'now', kind: Kind, steps: readonly HandedOut[]): void {
    this.#out.first(route, kind, steps, this.#pace.isShort);
  }

  /** Resolves with the answers, by shard, when every shard of the step has one. Rejects if the job cannot continue. */
  async settled(kind: Kind, step: number): Promise<Answer[]> {
    await new Promise<void>((resolve, reject) => {
      this.#waiting = { kind, step, resolve, reject };
      if (this.#stopped) reject(this.#stopped);
      else this.check();
    }).finally(() => {
      this.#waiting = undefined;
    });
    return this.#trackers[kind].shards(step).map(({ shard }) => this.#answers.of(kind, shard)!);
  }

  /** Forgets a committed step. The next `unstage` removes its batches from Redis. @param answers the result of `settled` */
  close(kind: Kind, step: number, answers: readonly Answer[]): void {
    const shards = this.#trackers[kind].shards(step);
    for (const { shard } of shards) this.#out.counted({ kind, step, shard });
    this.#trackers[kind].close(step);
    if (kind === 'train') this.#redone.delete(step);
    if (kind === 'evaluate') this.#answers.evaluated();
    const by = answers.map(({ worker, leftOut }) => (leftOut ? undefined : worker));
    for (const worker of by)
      if (worker !== undefined) keepNewest(this.#proven, worker, true, REMEMBERED_WORKERS);
    for (const { worker, why } of this.#disproofs.counted(shards, by)) this.#options.onUnfit(worker, why);
  }

  /** Removes the batches of closed steps from Redis. */
  unstage(): void {
    this.#out.unstage();
  }

  /** Forgets all steps. */
  clear(): void {
    for (const tracker of Object.values(this.#trackers)) tracker.clear();
  }

  stop(reason: Error): void {
    this.#stopped = reason;
    this.#waiting?.reject(reason);
  }

  // Messages from workers.

  claimed(worker: string, task: TaskId): void {
    if (this.#options.refusals.has(worker)) return;
    if (this.#options.shares.isResting(worker)) {
      this.#trackers[kindOf(task)].disclaim(task.step, task.shard, task.attempt);
      this.check();
      return;
    }
    const holder = { worker, attempt: task.attempt, claimedAt: performance.now() };
    if (this.#trackers[kindOf(task)].claim(task.step, task.shard, holder))
      this.#pace.progressed(holder.claimedAt);
  }

  /** A worker reports how many local steps of a round are done. It can report at most `every` of them. */
  progressed(worker: string, { kind, step, shard, attempt }: TaskId, steps: number): void {
    if (kind !== TaskKind.TASK_KIND_TRAIN || step !== this.#answers.step || steps > this.#options.plan.every)
      return;
    const now = performance.now();
    if (!this.#trackers.train.progress(step, shard, { worker, attempt }, steps, now)) return;
    this.#answers.progressed();
    this.#pace.progressed(now);
  }

  /** Part of a task's gradient has arrived. @param part as a fraction */
  received({ step, shard }: Pick<TaskId, 'step' | 'shard'>, part: number): void {
    const now = performance.now();
    if (step !== this.#answers.step || !this.#trackers.train.received(step, shard, part, now)) return;
    this.#answers.progressed();
    this.#pace.progressed(now);
  }

  /** Whether a worker holds a training task; gradients for other tasks are ignored. */
  holds(worker: string, { step, shard, attempt }: Pick<TaskId, 'step' | 'shard' | 'attempt'>): boolean {
    return this.#trackers.train.holds(step, shard, worker, attempt);
  }

  /** Returns whether this was the first answer. */
  answered(worker: string, task: TaskId, result: TaskResult): boolean {
    // Workers continue until they are told; their answers do not matter any more.
    if (this.#stopped) return false;
    const kind = kindOf(task);
    const { step, shard, attempt } = task;
    const tracker = this.#trackers[kind];
    if (tracker.isDone(step, shard)) return false;
    const now = this.#answers.step;
    if (kind === 'train' && step !== now) {
      if (step === now + 1 && this.#options.runsAhead(now)) this.#answers.keep({ worker, task, result });
      return false;
    }
    // Its tasks were given to others.
    if (this.#options.shares.isResting(worker)) return false;
    const { plan, lines } = this.#options;
    if (!tracker.holds(step, shard, worker, attempt)) {
      const why = 'answer refused: the worker does not hold this task';
      // If the step is being recomputed, that is nobody's fault.
      if (!this.#redone.has(step)) lines.write('warn', { worker, kind, step, shard, attempt }, why);
      return false;
    }
    const refused = refusedAnswer(plan, { kind, step, shard }, result, () =>
      this.#options.gradientArrived(worker, task, result.layout),
    );
    if (refused) {
      const { why = '', isFailure } = refused;
      if (why) lines.write('warn', { worker, kind, step, shard, attempt }, `answer refused: ${why}`);
      tracker.release(step, shard, worker, isFailure ? { kind: 'threw', why } : undefined);
      this.check();
      return false;
    }
    const claim = tracker.holders(step, shard).find((holder) => holder.worker === worker);
    const { startedAt } = this.#pace;
    tracker.finish(step, shard, attempt);
    const times = {
      claimedAfterMs: (claim?.claimedAt ?? startedAt) - startedAt,
      answeredAfterMs: performance.now() - startedAt,
      travelMs: this.#travel.extraMs(worker, result.sentAt),
    };
    this.#answers.add(kind, shard, toAnswer(worker, attempt, result, times));
    this.#options.shares.answered(worker, performance.now());
    this.#pace.answered(kind, claim?.claimedAt, result.computeMs);
    // Only the last of hundreds of answers can change the decision at once; anything else can wait for the next tick.
    if (tracker.isWhole(step)) this.check();
    return true;
  }

  /** The answer to a training shard is not finite: ask another worker. */
  refuse(step: number, shard: number, why: string): void {
    const answer = this.#answers.refuse(shard);
    if (!answer) return;
    const { worker, attempt } = answer;
    this.#options.lines.write('warn', { worker, step, shard, attempt }, `answer refused: ${why}`);
    this.#trackers.train.refuse(step, shard, { worker, attempt, kind: 'not finite', why });
  }

  failed(worker: string, task: TaskId, failure: TaskFailure): void {
    const kind = kindOfFailure[failure.reason];
    const { step, shard, attempt } = task;
    const holder = this.#trackers[kindOf(task)].holders(step, shard).find((one) => one.worker === worker);
    // It may have taken another attempt since.
    if (holder?.attempt !== attempt) return;
    const { lines, log } = this.#options;
    const about = { worker, step, shard };
    if (kind) lines.write('warn', about, `task failed: ${failure.message}`);
    else log.debug(about, `task handed back: ${failure.message}`);
    this.#trackers[kindOf(task)].release(step, shard, worker, kind && { kind, why: failure.message });
    this.check();
  }

  workerLeft(worker: string): void {
    this.#travel.forget(worker);
    this.#disproofs.forget(worker);
    this.#leftAt = performance.now();
    for (const tracker of Object.values(this.#trackers)) tracker.releaseAll(worker);
    this.check();
  }

  /** Takes all tasks from a worker that is suspended for a while. Call `check` afterwards. */
  rests(worker: string): void {
    // Tasks that it has fetched but not claimed yet are reissued soon.
    this.#leftAt = performance.now();
    for (const tracker of Object.values(this.#trackers)) tracker.releaseAll(worker);
  }

  /** Adds the number of attempts that each worker holds. */
  countHeld(held: Map<string, number>): void {
    for (const tracker of Object.values(this.#trackers)) tracker.countHeld(held);
  }

  /**
   * Redis may have lost everything: reissues what nobody holds. Tasks of later steps follow when their step comes, since behind others in
   * the queue they would be fetched too late.
   * @param why recorded as an event, unless it is already on record
   */
  requeue(why?: Reason): void {
    for (const kind of ['train', 'evaluate'] as const) {
      const tracker = this.#trackers[kind];
      for (const step of tracker.steps()) {
        const isNow = kind === 'evaluate' || step === this.#answers.step;
        const idle = tracker.shards(step).filter(({ done, holders }) => !done && holders.length === 0);
        const shards = idle.map(({ shard }) => shard);
        if (isNow) {
          this.#out.again(kind, step, shards);
          if (why && shards.length > 0) this.#options.onReissue(step, shards.length, why);
        } else for (const shard of shards) tracker.lose(step, shard);
      }
    }
  }

  /** Decides about the current step and acts on it. Call after every event and periodically. */
  check(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    const { kind, step } = waiting;
    const { refusals, shares, isSending } = this.#options;
    if (!this.#trackers[kind].isWhole(step) && isSending()) this.#pace.sending();
    const state = {
      startedAt: this.#pace.dueFrom,
      // Nobody can fetch a batch that is still being read.
      progressAt: this.#out.isBusy ? performance.now() : this.#pace.progressAt,
      leftAt: this.#leftAt,
      shards: this.#trackers[kind].shards(step),
      heardAt: this.#options.workers.heardAt,
      // A getter, because in the most frequent case, when every shard has its answer, it is not needed.
      get able() {
        return refusals.able().flatMap(({ id, draining }) => (draining ? [] : [id]));
      },
      proven: this.#proven,
      idle: shares.idle,
      suspects: { has: (worker: string) => shares.isSuspect(worker) },
      isTrying: shares.isTrying,
      wasComputed: step > 0 || this.#proven.size > 0,
      refusals: refusals.list(),
      typicalMs: this.#pace.typicalMs(kind),
      transferMs: this.#pace.transferMs(kind),
    };
    const decision = decide(performance.now(), state, this.#options.decide);
    this.#wait(decision.action === 'commit' ? undefined : at(decision.why, { step: step + 1 }));
    switch (decision.action) {
      case 'commit':
        waiting.resolve();
        break;
      case 'reissue':
        // Handed-back tasks were already logged when they came back.
        this.#options.log[decision.idle.length > 0 || decision.unclaimed ? 'info' : 'debug'](
          { kind, step, shards: decision.shards, ...decision.why },
          `reissuing tasks: ${sentenceOf(decision.why)}`,
        );
        this.#options.onReissue(step, decision.shards.length, decision.why);
        // First, since it may suspend workers, and the tasks they lose must not be reissued twice.
        this.#options.shares.waitedFor(
          decision.idle.filter((worker) => !this.#answers.has(kind, worker)),
          performance.now(),
        );
        if (decision.unclaimed) this.requeue();
        else this.#out.again(kind, step, decision.shards);
        if (decision.idle.length > 0) this.check();
        break;
      case 'fail':
        this.#fail(step, decision);
        break;
      case 'wait':
        break;
    }
  }

  #wait(why: Reason | undefined): void {
    if (isSameReason(why, this.#why)) return;
    this.#why = why;
    this.#options.onWhy();
  }

  #fail(step: number, decision: Extract<Decision, { action: 'fail' }>): void {
    const { plan, mayLeaveOut } = this.#options;
    const why = sentenceOf(decision.why);
    if (!decision.notFinite) {
      this.#waiting?.reject(new KasaneError('JOB_FAILED', `step ${step + 1}: ${why}`));
      return;
    }
    const { shard } = decision;
    const { start, end } = plan.range({ kind: 'train', step, shard });
    const where = `step ${step + 1}, task ${shard}, samples ${start} to ${end - 1} of epoch ${plan.epochOf(step) + 1}`;
    if (this.#answers.wasRefused(shard) && mayLeaveOut(`${where}: ${why}`)) {
      this.#trackers.train.finish(step, shard);
      this.#answers.leaveOut(shard);
      this.check();
      return;
    }
    const right = rightOfNotFinite(step, plan.every);
    this.#waiting?.reject(new KasaneError('JOB_FAILED', `${where}: ${why}; ${right}`));
  }
}

/** Other reasons mean that the task was handed back. */
const kindOfFailure: Partial<Record<TaskFailure_Reason, Failure['kind']>> = {
  [TaskFailure_Reason.REASON_COMPUTE]: 'threw',
  [TaskFailure_Reason.REASON_BATCH_DAMAGED]: 'damaged',
};

const kindOf = (task: TaskId): Kind => (task.kind === TaskKind.TASK_KIND_EVALUATE ? 'evaluate' : 'train');
