/**
 * One execution of a job: commits step after step, evaluates at the end of each epoch, writes checkpoints, and resumes from them. The
 * board assigns tasks to workers, and the parameter server does the arithmetic.
 */
import { KasaneError } from '@kasane/protocol/errors';
import { eventSentence } from '@kasane/protocol/internal/events/events';
import { newTaskKey } from '@kasane/protocol/internal/queue/task-signature';
import { type Reason, sentenceOf } from '@kasane/protocol/reasons';
import { metricKindOf, metricOf } from '@kasane/tensor/objective';
import type { Position } from '../params/checkpoint.ts';
import type { LayerChange } from '../params/layer-stats.ts';
import { ParameterServer } from '../params/parameter-server.ts';
import { TaskQueue } from '../queue/task-queue.ts';
import { Metrics } from '../store/metrics.ts';
import {
  type Answer,
  epochArgs,
  epochResult,
  ledgerRows,
  stepPoint,
  sum,
  tallyOf,
  toAdd,
} from './answers.ts';
import { earlyStopReason, stopCriterionOf } from './best-epoch.ts';
import { TaskBoard } from './board.ts';
import { confusionRecord } from './confusion.ts';
import { leftOut, mayLeaveOut, requireFinite } from './finite.ts';
import { GradientSync } from './gradient-sync.ts';
import { Hold } from './hold.ts';
import { IdleSlots } from './idle-slots.ts';
import { NetworkWait } from './network-wait.ts';
import { RunPlan } from './plan.ts';
import { Probe } from './probe.ts';
import { Progress } from './progress.ts';
import { Reissues } from './reissues.ts';
import type { RunOptions } from './run-options.ts';
import { RunWorkers } from './run-workers.ts';
import { SavedState, type Unkept } from './saved-state.ts';

/** Interval at which a waiting step is checked again, in milliseconds. */
const TICK_MS = 200;
/** Steps handed out before the first is computed, so that it need not wait until the samples of all others are staged. */
const FIRST_STEPS = 2;

/**
 * If tasks are groups of shards, this many milliseconds of steps are handed out ahead, but at least two steps: a joining worker gets its
 * share only in the steps after those.
 */
const AHEAD_MS = 2_000;

/** Why a run ended early: cancelled for good, or suspended to be resumed. */
class Stopped extends Error {
  readonly outcome: 'cancelled' | 'suspended';
  constructor(outcome: 'cancelled' | 'suspended') {
    super(outcome);
    this.outcome = outcome;
  }
}

export class Run {
  readonly id: string;
  /** Training and test data. */
  readonly data: RunOptions['data'];
  readonly progress: Progress;
  readonly metrics: Metrics;
  readonly board: TaskBoard;
  readonly workers: RunWorkers;
  readonly #options: RunOptions;
  readonly #plan: RunPlan;
  readonly #queue: TaskQueue;
  /** Signs its tasks. */
  readonly #taskKey = newTaskKey();
  readonly #reissues: Reissues;
  readonly #probe: Probe;
  readonly #saved: SavedState;
  readonly #networkWait = new NetworkWait();
  readonly #idleSlots = new IdleSlots();
  /** Whether any step of the current epoch had a nonzero gradient; undefined before the first step. */
  #hasGradient: boolean | undefined;
  #parameters: ParameterServer | undefined;
  #sync: GradientSync | undefined;
  #position: Position = { step: 0, lossSum: 0, metricSum: 0, counted: 0 };
  /** First step that has not been handed out. */
  #ahead = 0;
  /** Duration of the last step, in milliseconds. */
  #stepMs = 1;
  /** Slot milliseconds since the last turn. */
  #usedMs = 0;
  /** Whether all steps are done. */
  #isTrained = false;
  readonly #hold = new Hold();

  constructor(options: RunOptions) {
    const { id, job, data, redis, workers, decide, log } = options;
    this.id = id;
    this.data = data;
    this.#options = options;
    this.#plan = new RunPlan(id, job, data, () => this.workers.shares.level);
    this.#queue = new TaskQueue(id, redis, options.batchExpirySeconds, this.#taskKey, log, (why) =>
      this.board.requeue(why),
    );
    this.progress = new Progress(job.spec.training.epochs, this.#plan.totalSteps, this.#plan.stepsPerEpoch);
    const { store, limits } = options;
    // Shown until the checkpoint has been read.
    this.progress.resume({ ...this.#position, step: store.get(id)?.step ?? 0 }, store.epochs(id));
    this.metrics = new Metrics(store.metricsHistory(id), limits);
    this.#reissues = new Reissues(options.record);
    this.workers = new RunWorkers(options, this.#plan, this.#taskKey, {
      board: () => this.board,
      sync: () => this.#sync,
    });
    const { metrics } = this;
    this.#saved = new SavedState({ ...options, metrics, stepsPerEpoch: this.#plan.stepsPerEpoch });
    this.#probe = new Probe({ ...options, onSnapshot: (seen) => this.metrics.addActivations(seen) });
    this.board = new TaskBoard({
      ...{ job: id, traceparent: options.traceparent },
      plan: this.#plan,
      direct: () => this.workers.readDirectly,
      queue: this.#queue,
      workers,
      refusals: {
        able: () => this.workers.shares.taking(),
        has: (worker) => this.workers.refusals.has(worker),
        list: () => this.workers.refusals.list(),
      },
      decide,
      log,
      lines: this.workers.lines,
      gradientArrived: (worker, task, layout) => this.#sync?.arrived(worker, task, layout) ?? 'missing',
      runsAhead: (step) => this.#sync?.runsAhead(step) ?? false,
      isSending: () => this.workers.isSending,
      shares: this.workers.shares,
      onUnfit: (worker, why) => this.workers.exclude(worker, why),
      mayLeaveOut: (why) => mayLeaveOut(this.#position, job.spec.training.skipNotFinite, why, log),
      onReissue: (step, tasks, why) => this.#reissues.add(step + 1, tasks, why, performance.now()),
      onWhy: options.onChange,
    });
  }

  /** Runs until the end and returns how it ended; rejects if the job fails. */
  async execute(): Promise<'done' | 'cancelled' | 'suspended'> {
    const ticks = setInterval(() => this.#tick(), TICK_MS);
    try {
      await this.#open();
      // It was suspended during the epoch's evaluation.
      if (this.#endsEpoch && this.#position.counted > 0) await this.#endEpoch();
      while (!this.#isOver()) {
        await this.#hold.over;
        await this.#step();
      }
      this.#isTrained = true;
      await this.#saved.finish(this.#parameters!, this.#position);
      return 'done';
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      if (error.outcome === 'suspended' && this.#parameters)
        await this.#saved.keep(this.#parameters, this.#position);
      return error.outcome;
    } finally {
      clearInterval(ticks);
      this.#options.turn.leave();
      this.#reissues.tell(performance.now());
      this.#probe.close();
      this.workers.close();
      this.#sync?.close();
      await this.#saved.settled();
      await this.#queue.close();
      await this.#queue.obliterate().catch(() => {});
    }
  }

  /** Called by a timer, so errors must be reported to the job here. */
  #tick(): void {
    try {
      this.workers.shares.tick(performance.now());
      this.board.check();
      this.#sync?.tick(performance.now());
      this.#reissues.tick(performance.now());
      this.#watch();
    } catch (error) {
      this.board.stop(error as Error);
    }
  }

  /** A stalled job yields its turn to others, and fails eventually. */
  #watch(): void {
    const { turn, redis, log, standstill, onStill, record } = this.#options;
    const { watched, changed } = standstill.look(performance.now(), {
      reached: this.board.reached,
      able:
        (this.#sync?.isPublished ?? false) &&
        this.board.isWaiting &&
        !this.workers.isSending &&
        !this.#saved.why &&
        !this.#hold.why &&
        redis.status === 'ready',
      workers: this.workers.refusals.able().filter(({ draining }) => !draining).length,
    });
    const waiting = this.board.why ? sentenceOf(this.board.why) : 'the reason is unknown';
    if (watched.action === 'fail') {
      const right = "check the workers' logs, or allow more time with --standstill-seconds";
      this.board.stop(new KasaneError('JOB_FAILED', `${sentenceOf(watched.why)}: ${waiting}; ${right}`));
    }
    if (!changed) return;
    const still = watched.action === 'yield';
    if (still) {
      record({ code: 'stalled', args: {}, reason: watched.why });
      log.warn(watched.why, `giving its turn to other jobs: ${sentenceOf(watched.why)}: ${waiting}`);
    }
    turn.stand(still);
    onStill(still);
  }

  /** Whether all steps are done, or the job stops early. */
  #isOver(): boolean {
    const { job, log } = this.#options;
    const { step } = this.#position;
    if (step >= this.#plan.totalSteps) return true;
    if (!this.#endsEpoch) return false;
    const why = earlyStopReason(this.progress.history, stopCriterionOf(job));
    if (why) log.info(`stopping early: ${why}`);
    return why !== undefined;
  }

  /** Whether the last completed step ends an epoch. */
  get #endsEpoch(): boolean {
    const { step } = this.#position;
    return step > 0 && step % this.#plan.stepsPerEpoch === 0;
  }

  /** What the run is waiting for; undefined if it is not waiting. */
  get waitingFor(): Reason | undefined {
    const { turn, redisWhy } = this.#options;
    return (
      this.#saved.why ?? this.#hold.why ?? turn.why ?? (this.board.why && (redisWhy() ?? this.board.why))
    );
  }

  /**
   * What is only in memory while the disk refuses to write; undefined if nothing is. @param end why the disk refuses to record the end of
   * the run
   */
  unkept(end: Reason | undefined): Unkept | undefined {
    const waited = end ?? this.#saved.why;
    const why = waited ?? this.#saved.refused;
    if (!why) return undefined;
    const isTrained = this.#isTrained && waited !== undefined;
    const model = () => this.#saved.model(this.#parameters!, this.#position.step);
    const hasBegun = end === undefined || this.#isTrained;
    return { why, hasBegun, isTrained, epochs: this.progress.history, model };
  }

  /** Holds the run after the current step; undefined releases it. Other jobs share the workers without it meanwhile. */
  hold(why: Reason | undefined): void {
    if (!this.#hold.set(why)) return;
    this.#options.turn.stand(why !== undefined);
    this.#options.onChange();
  }

  /** Sets the priority; steps of the highest priority go first. */
  set priority(priority: number) {
    this.#options.turn.priority = priority;
  }

  /** Stops the run at once: cancelled for good, or suspended to be resumed. */
  stop(outcome: 'cancelled' | 'suspended'): void {
    const stopped = new Stopped(outcome);
    this.#saved.stop(stopped);
    this.board.stop(stopped);
    this.#sync?.stop(stopped);
    this.#options.turn.stop(stopped);
    this.#hold.stop(stopped);
  }

  /** The exchange of gradients with workers; undefined until the run has opened. */
  get sync(): GradientSync | undefined {
    return this.#sync;
  }

  async #open(): Promise<void> {
    const { id, job, store, record, mesh, exchange: mode } = this.#options;
    await this.#queue.obliterate().catch(() => {});
    const shardsOf = (step: number) => this.#plan.tasks(step).length;
    const parameters = await ParameterServer.open(job, { total: this.#plan.totalSteps, shardsOf });
    const position = await this.#saved.restore(parameters);
    if (position) this.#position = position;
    const { step } = this.#position;
    parameters.begin(step);
    this.#parameters = parameters;
    const sync = new GradientSync({
      ...{ id, job, parameters, board: this.board, shardsOf, mode, mesh, record },
      taking: () => this.workers.shares.taking(),
      nextTurn: (usedMs) => {
        this.#usedMs += usedMs;
        return this.#yieldTurn();
      },
    });
    this.#sync = sync;
    this.#ahead = step;
    this.progress.resume(this.#position, store.epochs(this.id));
    this.workers.opened(sync);
    this.#handOut(FIRST_STEPS);
    this.#options.onChange();
    await sync.meet();
    const turn = this.#yieldTurn();
    this.#options.onChange();
    await turn;
    await sync.stage();
    sync.publish();
  }

  /** Lets another job go first between two pieces of work. Undefined: none does. */
  #yieldTurn(): Promise<void> | undefined {
    const usedMs = this.#usedMs;
    this.#usedMs = 0;
    return this.#options.turn.next(usedMs);
  }

  /** Hands out tasks up to the look-ahead, several steps at a time to save round trips to Redis. @param most steps */
  #handOut(most = Number.POSITIVE_INFINITY): void {
    const { step } = this.#position;
    const ahead = this.#plan.stepsAhead(this.#options.limits, this.workers.readDirectly);
    const regrouped = this.workers.shares.level > 0 ? Math.max(2, AHEAD_MS / this.#stepMs) : ahead;
    const window = Math.floor(Math.min(most, ahead, regrouped));
    if (this.#ahead - step > window / 2) return;
    const end = Math.min(step + window, this.#plan.totalSteps);
    const steps = [];
    for (; this.#ahead < end; this.#ahead++)
      steps.push({ step: this.#ahead, shards: this.#plan.tasks(this.#ahead).length });
    this.board.handOut('ahead', 'train', steps);
    this.board.unstage();
  }

  async #step(): Promise<void> {
    const [parameters, sync] = [this.#parameters!, this.#sync!];
    const { step } = this.#position;
    const reduced = await sync.reduce();
    const { answers, totals, isLeftOut, turn, isDistributed } = reduced;
    const learningRate = this.#plan.learningRate(step);
    const committing = performance.now();
    const isShown = this.metrics.isDue;
    const { changes, ...times } = sync.update(reduced, isShown || this.#hasGradient !== true);
    if (changes) this.#hasGradient ||= changes.some(({ gradientNorm }) => gradientNorm !== 0);
    const before = this.#position;
    const more = toAdd(answers, totals);
    this.#position = {
      step: step + 1,
      lossSum: before.lossSum + more.lossSum,
      metricSum: before.metricSum + more.metricSum,
      counted: before.counted + more.counted,
      weight: (before.weight ?? before.counted) + more.weight,
      ...leftOut(before, isLeftOut),
    };
    const publishedBefore = sync.publishedAt;
    if (isDistributed) sync.publishDistributed();
    else if (!turn) sync.publish();
    const published = performance.now();
    const publishMs = published - committing - times.applyMs;

    // From here on, workers are busy with the next step, of this job or another.
    this.#stepMs = Math.max(1, published - publishedBefore);
    this.#saved.counted(ledgerRows(this.#plan, step, answers));
    this.board.close('train', step, answers);
    this.workers.shares.stepped(answers, this.#plan.shardsPerTask(step), performance.now());
    this.#handOut();
    const workers = answers.map((answer) => answer.worker);
    this.progress.stepped(this.#position, totals.samples, workers);
    const spent = { ...times, publishMs, stepMs: published - publishedBefore };
    if (!turn && workers.some((worker) => !sync.isNear(worker)))
      this.#watchNetwork(published - publishedBefore, answers);
    this.#watchSlots(published - publishedBefore);
    if (changes && isShown) this.#show(answers, changes, { step: step + 1, learningRate, ...spent });
    this.#options.onStep?.({
      ...spent,
      computeMs: Math.max(...answers.map((answer) => answer.computeMs)),
      queueMs: Math.max(0, ...answers.map((answer) => answer.claimedAfterMs)),
    });
    this.#options.onChange();
    if (turn) {
      await turn;
      await sync.stage();
      sync.publish();
    }

    if (this.#endsEpoch) await this.#endEpoch();
    else if (this.#saved.isDue(step + 1)) await this.#saved.checkpoint(parameters, this.#position);
  }

  /** Reports if steps mostly wait for the network. */
  #watchNetwork(stepMs: number, answers: readonly Answer[]): void {
    const part = this.#networkWait.step({ stepMs, answers });
    if (part === undefined) return;
    const args = {
      percent: Math.round(100 * part),
      every: this.#plan.every,
      precision: this.#options.job.spec.exchange.precision,
    };
    this.#options.record({ code: 'network-bound', args });
    this.#options.log.info(eventSentence({ code: 'network-bound', args }, ''));
  }

  /** Reports if slots stay idle because there are too few shards. */
  #watchSlots(stepMs: number): void {
    const { turn, job, record, log } = this.#options;
    const spare = this.#idleSlots.step(stepMs, () => turn.spare);
    if (!spare) return;
    const key = this.#plan.every > 1 ? 'exchange.replicas' : 'training.shards';
    const args = { ...spare, key, shards: job.spec.training.shards };
    record({ code: 'slots-idle', args });
    log.info(eventSentence({ code: 'slots-idle', args }, ''));
  }

  /** Warns if no step had a gradient: a loss that depends on no trained parameter gives perfect or constant numbers without any error. */
  #tellWithoutGradient(epoch: number): void {
    const { record, log } = this.#options;
    const args = { epoch };
    if (this.#hasGradient === false) {
      record({ code: 'no-gradient', args });
      log.warn(eventSentence({ code: 'no-gradient', args }, ''));
    }
    this.#hasGradient = undefined;
  }

  /** Adds a step to the metrics. */
  #show(
    answers: readonly Answer[],
    changes: readonly LayerChange[],
    about: Omit<Parameters<typeof stepPoint>[2], 'samplesPerSecond'>,
  ): void {
    const parameters = this.#parameters!;
    const { step } = about;
    this.#probe.look(step, parameters.parameters);
    const { samplesPerSecond } = this.progress;
    const layers = this.metrics.isSnapshotDue ? parameters.distributions() : undefined;
    this.metrics.add(stepPoint(answers, changes, { ...about, samplesPerSecond }), layers && { step, layers });
  }

  async #endEpoch(): Promise<void> {
    const { step } = this.#position;
    const { limits, job, record } = this.#options;
    this.#sync!.publishAverages();
    // Parameters do not change until this is done, but gradients of the next step may be computed meanwhile.
    await requireFinite(job.model, this.#parameters!.parameters, step, this.#plan.every);
    const answers: Answer[] = [];
    const rounds = this.#plan.evaluationRounds(limits.stagedBytes, limits.queuedTasks);
    for (const { start: first, end } of rounds) {
      if (answers.length > 0) await this.#yieldTurn();
      this.board.handOut('now', 'evaluate', [{ step, shards: end - first, first }]);
      const round = await this.board.settled('evaluate', step);
      answers.push(...round);
      this.#usedMs += sum(round).computeMs;
      this.board.close('evaluate', step, round);
      this.board.unstage();
    }
    const epoch = step / this.#plan.stepsPerEpoch;
    const tally = tallyOf(job, answers);
    const times = { epoch, seconds: this.progress.epochSeconds(), endedAt: Date.now() };
    const result = epochResult(job, this.#position, { answers, tally }, times);
    this.#position = { step, lossSum: 0, metricSum: 0, counted: 0, ...leftOut(this.#position, false) };
    this.progress.epochEnded(result);
    const { trainLoss, trainMetric, testLoss, testMetric } = result;
    const metric = metricOf(job.objective);
    record({ code: 'epoch', args: epochArgs(result, this.progress.epochs, metricKindOf[metric]) });
    this.#options.log.info(
      `epoch ${result.epoch}: loss ${trainLoss.toFixed(4)}, ${metric} ${trainMetric.toFixed(4)}; test loss ${testLoss.toFixed(4)}, ${metric} ${testMetric.toFixed(4)}`,
    );
    this.#tellWithoutGradient(epoch);
    this.#options.onChange();
    const confusion = confusionRecord(job, this.data.preparation, tally, epoch);
    await this.#saved.checkpoint(this.#parameters!, this.#position, { epoch: result, confusion });
  }
}
