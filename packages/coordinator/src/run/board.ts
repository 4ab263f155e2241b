/**
 * The tasks of one run that are in flight: hands them out, hears what workers say of them, and acts on what `decide`
 * says about the step that is waited for.
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
  /** The job's span, if there is one. */
  readonly traceparent?: string | undefined;
  readonly plan: RunPlan;
  readonly queue: TaskQueue;
  readonly workers: Pick<WorkerRegistry, 'all' | 'heardAt'>;
  /** Workers that cannot compute the job. */
  readonly refusals: Pick<Refusals, 'able' | 'has' | 'list'>;
  /** Whether workers read the samples themselves now: nothing is staged. */
  readonly direct: () => boolean;
  readonly decide: DecideOptions;
  readonly log: Logger;
  /** The log of what workers say. */
  readonly lines: WorkerLines;
  /** Whether the gradient of an attempt has arrived whole, and if not, whose fault that is. */
  readonly gradientArrived: (worker: string, task: TaskId, layout: number | undefined) => Arrived;
  /** Whether workers begin the step after this one by themselves: its answers may come early. */
  readonly runsAhead: (step: number) => boolean;
  /** Whether most workers are still being sent what they compute with: nobody is late for that. */
  readonly isSending: () => boolean;
  /** Who gets shards, and who is waited for in vain. */
  readonly shares: Pick<Shares, 'idle' | 'isSuspect' | 'isTrying' | 'isResting' | 'waitedFor' | 'answered'>;
  /** Called when others can compute what a worker cannot, again and again. */
  readonly onUnfit: (worker: string, why: Reason) => void;
  /** Whether the run may go on without a step whose numbers are not finite, for this reason. */
  readonly mayLeaveOut: (why: string) => boolean;
  /** Called when tasks of a step are handed out again. */
  readonly onReissue: (step: number, tasks: number, why: Reason) => void;
  /** Called when `why` has changed. */
  readonly onWhy: () => void;
}

export class TaskBoard {
  readonly #options: BoardOptions;
  readonly #trackers: Readonly<Record<Kind, Tracker>>;
  readonly #answers = new StepAnswers();
  readonly #pace = new Pace();
  /** Steps that are computed again. */
  readonly #redone = new Set<number>();
  #leftAt = Number.NEGATIVE_INFINITY;
  #why: Reason | undefined;
  #waiting: { kind: Kind; step: number; resolve: () => void; reject: (error: Error) => void } | undefined;
  #stopped: Error | undefined;
  readonly #travel = new Travel();
  readonly #out: HandOut;
  readonly #disproofs = new Disproofs();
  /** Workers of whom answers have counted, the newest last. */
  readonly #proven = new Map<string, true>();

  constructor(options: BoardOptions) {
    this.#options = options;
    const { job, traceparent } = options;
    const of = (kind: Kind) => trackerOf(job, kind, traceparent);
    const trackers = { train: of('train'), evaluate: of('evaluate') };
    this.#trackers = trackers;
    this.#out = new HandOut({ ...options, trackers, onFailed: (error) => this.stop(error) });
  }

  /** What is waited for; undefined when nothing is. */
  get why(): Reason | undefined {
    return this.#why;
  }

  /** For how long nothing has come of what is waited for, in milliseconds. */
  get stillMs(): number {
    return this.#pace.stillMs;
  }

  /** The same once it is much longer than usual; 0 otherwise. */
  get stalledMs(): number {
    if (!this.#waiting || this.#out.isBusy) return 0;
    return this.#pace.stalledMs(this.#waiting.kind);
  }

  /** The step under way, and how many answers, and signs of tasks that go on, have counted since it began. */
  get reached(): { readonly step: number; readonly answers: number } {
    return this.#answers.reached;
  }

  /** Whether somebody waits for answers. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** Begins to count training answers for `step`: its parameters have been published. */
  begin(step: number): void {
    this.#pace.begin();
    for (const { worker, task, result } of this.#answers.begin(step)) this.answered(worker, task, result);
  }

  /**
   * The step under way is computed again: what has been answered does not count.
   * @param areLaterVoid what has been computed of later steps does not count either
   */
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

  /** Resolves with the answers, by shard, when every shard of the step has one. Rejects when the job cannot go on. */
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

  /**
   * Forgets a step that has been counted. Its batches are taken out of Redis with the next `unstage`.
   * @param answers those that `settled` gave
   */
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

  /** Takes the batches of closed steps out of Redis. */
  unstage(): void {
    this.#out.unstage();
  }

  /** Forgets all steps: nobody waits for them any more. */
  clear(): void {
    for (const tracker of Object.values(this.#trackers)) tracker.clear();
  }

  stop(reason: Error): void {
    this.#stopped = reason;
    this.#waiting?.reject(reason);
  }

  // What workers say.

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

  /** A worker says how many local steps of a round are done: it has at most so many that it can say it. */
  progressed(worker: string, { kind, step, shard, attempt }: TaskId, steps: number): void {
    if (kind !== TaskKind.TASK_KIND_TRAIN || step !== this.#answers.step || steps > this.#options.plan.every)
      return;
    const now = performance.now();
    if (!this.#trackers.train.progress(step, shard, { worker, attempt }, steps, now)) return;
    this.#answers.progressed();
    this.#pace.progressed(now);
  }

  /** Part of a task's gradient has come. @param part of all of it */
  received({ step, shard }: Pick<TaskId, 'step' | 'shard'>, part: number): void {
    const now = performance.now();
    if (step !== this.#answers.step || !this.#trackers.train.received(step, shard, part, now)) return;
    this.#answers.progressed();
    this.#pace.progressed(now);
  }

  /** Whether a worker holds a task of training: what it sends of others is not looked at. */
  holds(worker: string, { step, shard, attempt }: Pick<TaskId, 'step' | 'shard' | 'attempt'>): boolean {
    return this.#trackers.train.holds(step, shard, worker, attempt);
  }

  /** Returns whether this was the first answer. */
  answered(worker: string, task: TaskId, result: TaskResult): boolean {
    // Workers go on until they hear of it; their answers are for nobody.
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
    // What it held is others' now.
    if (this.#options.shares.isResting(worker)) return false;
    const { plan, lines } = this.#options;
    if (!tracker.holds(step, shard, worker, attempt)) {
      const why = 'answer refused: the worker does not hold this task';
      // Of a step that is computed again it is nobody's fault.
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
    // Of hundreds of answers only the last one decides anything at once: what else there is to judge has time.
    if (tracker.isWhole(step)) this.check();
    return true;
  }

  /** The answer to a training shard has numbers that are not finite: another worker is asked. */
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

  /** A worker is given nothing for a while: what it holds is others'. To be followed by `check`. */
  rests(worker: string): void {
    // What it has fetched, and not yet said so, is looked for soon.
    this.#leftAt = performance.now();
    for (const tracker of Object.values(this.#trackers)) tracker.releaseAll(worker);
  }

  /** Adds the attempts that each worker holds now. */
  countHeld(held: Map<string, number>): void {
    for (const tracker of Object.values(this.#trackers)) tracker.countHeld(held);
  }

  /**
   * Redis may have lost everything: hands out again what nobody holds. Tasks of later steps follow when their step comes:
   * behind others in the queue they would be fetched too late.
   * @param why put on record, where nothing else says it
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

  /** Judges the step that is waited for, and acts. Call after every event and now and then. */
  check(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    const { kind, step } = waiting;
    const { refusals, shares, isSending } = this.#options;
    if (!this.#trackers[kind].isWhole(step) && isSending()) this.#pace.sending();
    const state = {
      startedAt: this.#pace.dueFrom,
      // Nobody can fetch what is still being read.
      progressAt: this.#out.isBusy ? performance.now() : this.#pace.progressAt,
      leftAt: this.#leftAt,
      shards: this.#trackers[kind].shards(step),
      heardAt: this.#options.workers.heardAt,
      // Where every shard has its answer, which is asked most, nobody looks at it.
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
        // What comes back has been told of with whoever gave it back.
        this.#options.log[decision.idle.length > 0 || decision.unclaimed ? 'info' : 'debug'](
          { kind, step, shards: decision.shards, ...decision.why },
          `reissuing tasks: ${sentenceOf(decision.why)}`,
        );
        this.#options.onReissue(step, decision.shards.length, decision.why);
        // First, since workers may rest for it, and what they give up is not to be handed out twice.
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

/** What else comes back was given back. */
const kindOfFailure: Partial<Record<TaskFailure_Reason, Failure['kind']>> = {
  [TaskFailure_Reason.REASON_COMPUTE]: 'threw',
  [TaskFailure_Reason.REASON_BATCH_DAMAGED]: 'damaged',
};

const kindOf = (task: TaskId): Kind => (task.kind === TaskKind.TASK_KIND_EVALUATE ? 'evaluate' : 'train');
