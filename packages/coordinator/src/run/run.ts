/**
 * One execution of a job: commits step after step, evaluates at the end of each epoch, writes checkpoints, and resumes
 * from them. Who computes what is the board's business, arithmetic the parameter server's.
 */
import { join } from 'node:path';
import { placeOf } from '@kasane/data/open';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { TaskId } from '@kasane/protocol/gen/kasane/v1/training';
import { newTaskKey } from '@kasane/protocol/internal/queue/task-signature';
import type {
  GradientHeader,
  PartSumHeader,
  SharedGradientHeader,
} from '@kasane/protocol/internal/wire/frame';
import { type Reason, sentenceOf } from '@kasane/protocol/reasons';
import { metricKindOf, metricOf } from '@kasane/tensor/objective';
import type { Arrived } from '../params/attempts.ts';
import { encodeModel, type Position, valuesOf } from '../params/checkpoint.ts';
import { Exchange } from '../params/exchange.ts';
import { writeWhole } from '../params/files.ts';
import { ParameterServer, type Update } from '../params/parameter-server.ts';
import { checkDefinition } from '../params/result-definition.ts';
import { PeerExchange } from '../peers/peer-exchange.ts';
import { TaskQueue } from '../queue/task-queue.ts';
import { RetryingDisk } from '../store/disk.ts';
import { Metrics } from '../store/metrics.ts';
import type { LedgerRow } from '../store/store.ts';
import { checkIdentity, identityOf } from '../submit/data-identity.ts';
import { startingWeights } from '../submit/starting-weights.ts';
import { type Answer, epochArgs, epochResult, ledgerRows, stepPoint, sum } from './answers.ts';
import { earlyStopReason, stopCriterionOf } from './best-epoch.ts';
import { TaskBoard } from './board.ts';
import { Checkpoints } from './checkpoints.ts';
import { finiteAnswers, leftOut, mayLeaveOut, requireFinite } from './finite.ts';
import { RunPlan } from './plan.ts';
import { Probe } from './probe.ts';
import { Progress } from './progress.ts';
import { Reissues } from './reissues.ts';
import type { RunOptions } from './run-options.ts';
import { type RunState, RunWorkers } from './run-workers.ts';

/** How often a step that waits is judged again, in milliseconds. */
const TICK_MS = 200;
/** Steps that are handed out before the first is computed: nobody waits until the samples of all the others are staged. */
const FIRST_STEPS = 2;

/** What would be lost with the process of a run. */
export interface Unkept {
  /** Why the disk refuses it. */
  readonly why: Reason;
  /** All steps are done, and it is the disk alone that is waited for. */
  readonly isTrained: boolean;
  readonly epochs: readonly EpochResult[];
  /** The file of the trained weights. */
  readonly model: () => Promise<Uint8Array>;
}

/** Why a run ended early: for good, or suspended, to go on where it was. */
class Stopped extends Error {
  readonly outcome: 'cancelled' | 'suspended';
  constructor(outcome: 'cancelled' | 'suspended') {
    super(outcome);
    this.outcome = outcome;
  }
}

export class Run {
  readonly id: string;
  /** What it trains and tests on. */
  readonly data: RunOptions['data'];
  readonly progress: Progress;
  readonly metrics: Metrics;
  readonly board: TaskBoard;
  readonly workers: RunWorkers;
  readonly #options: RunOptions;
  readonly #plan: RunPlan;
  readonly #queue: TaskQueue;
  /** Its tasks are signed with it. */
  readonly #taskKey = newTaskKey();
  readonly #reissues: Reissues;
  readonly #probe: Probe;
  #parameters: ParameterServer | undefined;
  #exchange: Exchange | undefined;
  #peers: PeerExchange | undefined;
  /** Owners of parts are being sent what they begin with: until then nothing is updated. */
  #staging: Promise<void> | undefined;
  #position: Position = { step: 0, lossSum: 0, metricSum: 0, counted: 0 };
  /** First step that has not been handed out. */
  #ahead = 0;
  #ledger: LedgerRow[] = [];
  #publishedAt = performance.now();
  readonly #checkpoints: Checkpoints;
  readonly #disk: RetryingDisk;
  /** Workers have been sent the parameters of the step under way; false while another job has its turn. */
  #published = false;
  /** Milliseconds of slots since the last turn. */
  #usedMs = 0;
  /** Its last step is done. */
  #isTrained = false;

  constructor(options: RunOptions) {
    const { id, job, data, redis, workers, decide, log } = options;
    this.id = id;
    this.data = data;
    this.#options = options;
    this.#plan = new RunPlan(id, job, data);
    this.#queue = new TaskQueue(id, redis, options.batchExpirySeconds, this.#taskKey, log, (why) =>
      this.board.requeue(why),
    );
    this.progress = new Progress(job.spec.training.epochs, this.#plan.totalSteps, this.#plan.stepsPerEpoch);
    const { store, limits } = options;
    // What is shown until the checkpoint has been read.
    this.progress.resume({ ...this.#position, step: store.get(id)?.step ?? 0 }, store.epochs(id));
    this.metrics = new Metrics(store.metricsHistory(id), limits.metricPoints);
    this.#reissues = new Reissues(options.record);
    this.workers = new RunWorkers(options, this.#plan, this.#taskKey, this.#state());
    this.#disk = new RetryingDisk(log, options.onChange);
    this.#checkpoints = new Checkpoints({ ...options, stepsPerEpoch: this.#plan.stepsPerEpoch });
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
      gradientArrived: (worker, task, layout) => this.#arrived(worker, task, layout),
      runsAhead: (step) => this.#peers?.has(step) ?? false,
      shares: this.workers.shares,
      onUnfit: (worker, why) => this.workers.exclude(worker, why),
      mayLeaveOut: (why) => mayLeaveOut(this.#position, job.spec.training.skipNotFinite, why, log),
      onReissue: (step, tasks, why) => this.#reissues.add(step + 1, tasks, why, performance.now()),
      onWhy: options.onChange,
    });
  }

  /** What its workers see of it. */
  #state(): RunState {
    const run = this;
    return {
      get board() {
        return run.board;
      },
      get parameters() {
        return run.#parameters;
      },
      get exchange() {
        return run.#exchange;
      },
      get peers() {
        return run.#peers;
      },
      get isPublished() {
        return run.#published;
      },
    };
  }

  /** Runs to the end and says how it ended; rejects when the job fails. */
  async execute(): Promise<'done' | 'cancelled' | 'suspended'> {
    const ticks = setInterval(() => this.#tick(), TICK_MS);
    try {
      await this.#open();
      // It was suspended while the epoch's test went on.
      if (this.#endsEpoch && this.#position.counted > 0) await this.#endEpoch();
      while (!this.#isOver()) await this.#step();
      this.#isTrained = true;
      await this.#checkpoints.finish(this.#disk, () => this.#checkpoint());
      await this.#disk.write({ writing: 'model' }, () => this.#writeModel());
      return 'done';
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      if (error.outcome === 'suspended') await this.#keep();
      return error.outcome;
    } finally {
      clearInterval(ticks);
      this.#options.turn.leave();
      this.#reissues.tell(performance.now());
      this.#probe.close();
      this.workers.close();
      this.#peers?.close();
      this.#exchange?.close();
      await this.#checkpoints.settled().catch(() => {});
      await this.#queue.close();
      await this.#queue.obliterate().catch(() => {});
    }
  }

  /** An error here is the job's: nobody else hears of it. */
  #tick(): void {
    try {
      this.workers.shares.tick(performance.now());
      this.board.check();
      this.#peers?.tick(performance.now());
      this.#reissues.tick(performance.now());
      this.#watch();
    } catch (error) {
      this.board.stop(error as Error);
    }
  }

  /** A job that stands still leaves its turn to others, and fails in the end. */
  #watch(): void {
    const { turn, redis, log, standstill, onStill, record } = this.#options;
    const { watched, changed } = standstill.look(performance.now(), {
      reached: this.board.reached,
      able: this.#published && this.board.isWaiting && !this.#disk.why && redis.status === 'ready',
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

  /** All steps are done, or the test set says that more do not help. */
  #isOver(): boolean {
    const { job, log } = this.#options;
    const { step } = this.#position;
    if (step >= this.#plan.totalSteps) return true;
    if (!this.#endsEpoch) return false;
    const why = earlyStopReason(this.progress.history, stopCriterionOf(job));
    if (why) log.info(`stopping early: ${why}`);
    return why !== undefined;
  }

  /** The last step that was done is the last one of an epoch. */
  get #endsEpoch(): boolean {
    const { step } = this.#position;
    return step > 0 && step % this.#plan.stepsPerEpoch === 0;
  }

  /** What it waits for; undefined when it does not. */
  get waitingFor(): Reason | undefined {
    const { turn, redisWhy } = this.#options;
    return this.#disk.why ?? turn.why ?? (this.board.why && (redisWhy() ?? this.board.why));
  }

  /** What only memory holds, while the disk refuses it; undefined while it does not. @param end why it refuses the end of the run */
  unkept(end: Reason | undefined): Unkept | undefined {
    const waited = end ?? this.#disk.why;
    const why = waited ?? this.#checkpoints.refused;
    if (!why) return undefined;
    const isTrained = this.#isTrained && waited !== undefined;
    return { why, isTrained, epochs: this.progress.history, model: () => this.#model() };
  }

  /** Sets whose steps go first. */
  set priority(priority: number) {
    this.#options.turn.priority = priority;
  }

  /** Ends the run at once: for good, or to go on where it was. */
  stop(outcome: 'cancelled' | 'suspended'): void {
    const stopped = new Stopped(outcome);
    this.#disk.stop(stopped);
    this.board.stop(stopped);
    this.#peers?.stop(stopped);
    this.#options.turn.stop(stopped);
  }

  /** The worker has opened the shared memory that it was offered. */
  memoryOpened(worker: string): void {
    this.#exchange?.opened(worker);
  }

  /** Part of a gradient has arrived. @throws KasaneError PROTOCOL when it does not fit the model. */
  gradient(worker: string, header: GradientHeader | SharedGradientHeader, payload: Uint8Array): void {
    const exchange = this.#exchange;
    if (!exchange || !this.board.holds(worker, header)) return;
    if (!this.#peers?.has(header.step)) exchange.receive(worker, header, payload);
    else if (header.step === this.#position.step)
      this.#peers.relay(worker, header, exchange.floatsOf(worker, header, payload));
  }

  /** The sum of part of the gradients has arrived. @throws KasaneError PROTOCOL when it does not fit. */
  partSum(worker: string, header: PartSumHeader, payload: Uint8Array): void {
    this.#peers?.sum(worker, header, payload);
  }

  #arrived(worker: string, { step, shard, attempt }: TaskId, layout: number | undefined): Arrived {
    if (this.#peers?.has(step)) return this.#peers.arrived(worker, shard, attempt, layout);
    if (layout !== undefined) return 'elsewhere';
    return this.#parameters?.complete(worker, shard, attempt) ?? 'missing';
  }

  async #open(): Promise<void> {
    const { job, store, record } = this.#options;
    // Before anything is trained: what is there now is what it is trained on.
    await identityOf(this.data);
    await this.#queue.obliterate().catch(() => {});
    const parameters = await ParameterServer.open(job, {
      total: this.#plan.totalSteps,
      shardsOf: (step) => this.#plan.shards(step).length,
    });
    await this.#restore(parameters);
    const { step } = this.#position;
    parameters.begin(step);
    this.#parameters = parameters;
    const exchange = new Exchange(this.id, job, parameters);
    this.#exchange = exchange;
    this.#peers = new PeerExchange({
      ...{ id: this.id, job, parameters, record, mode: this.#options.exchange, mesh: this.#options.mesh },
      isNear: (worker) => exchange.isNear(worker),
      onDissolved: () => this.#redo(false),
    });
    this.#ahead = step;
    this.progress.resume(this.#position, store.epochs(this.id));
    this.workers.opened(this.#exchange);
    this.#handOut(FIRST_STEPS);
    const turn = this.#yieldTurn();
    this.#options.onChange();
    await turn;
    await this.#exchange.stage();
    this.#publish();
  }

  /** Between two pieces of work another job may come first. Undefined: none does. */
  #yieldTurn(): Promise<void> | undefined {
    const usedMs = this.#usedMs;
    this.#usedMs = 0;
    return this.#options.turn.next(usedMs);
  }

  /**
   * Sends the present parameters out: workers compute with them from now on.
   * @param isDistributed the owners of parts have sent them to one another
   */
  #publish(isDistributed = false): void {
    const [exchange, peers] = [this.#exchange!, this.#peers!];
    const { step } = this.#position;
    const taking = this.workers.shares.taking();
    this.#published = true;
    if (!isDistributed && peers.look(taking)) peers.begin(step, this.#plan.shards(step).length, taking);
    exchange.publish(isDistributed ? taking.filter(({ id }) => !peers.isOwner(id)) : taking);
    this.board.begin(step);
    if (!isDistributed) this.#staging = peers.sendState();
    this.#publishedAt = performance.now();
  }

  /** The step under way is computed again. @param fromParameters owners of parts may have gone on to the next version */
  #redo(fromParameters: boolean): void {
    if (!this.#published) return;
    const peers = this.#peers!;
    const { step } = this.#position;
    const taking = this.workers.shares.taking();
    this.#parameters!.forget();
    peers.look(taking);
    peers.begin(step, this.#plan.shards(step).length, taking);
    if (fromParameters) this.#exchange!.publish(taking);
    this.#staging = peers.sendState();
    this.board.redo(step, fromParameters);
  }

  /** The answers of a step, and their gradients added: here, or by the owners of parts. */
  async #counted(step: number) {
    const [parameters, peers] = [this.#parameters!, this.#peers!];
    for (;;) {
      const layout = peers.layoutOf(step);
      const isHere = layout === 0;
      const answers = isHere
        ? await finiteAnswers(this.board, parameters, step)
        : await this.board.settled('train', step);
      await this.#staging;
      // Its owners may have gone meanwhile.
      if (peers.layoutOf(step) === layout) {
        const totals = sum(answers);
        // Another job's step begins while this one is counted.
        this.#usedMs += totals.computeMs;
        if (isHere) return { answers, totals, turn: this.#yieldTurn(), isDistributed: false };
        if (answers.some(({ lossSum }) => !Number.isFinite(lossSum))) {
          peers.without(step, { code: 'sums-not-finite', args: {} });
          this.#redo(false);
          continue;
        }
        const turn = this.#yieldTurn();
        // A run that is stopped while the sums come rejects both: whoever waits for those hears of it.
        turn?.catch(() => {});
        const isDistributed = !turn && !peers.look(this.workers.shares.taking());
        const isSummed = await peers.commit({
          ...{ step, factor: Math.fround(1 / totals.weight), learningRate: parameters.learningRate },
          ...{ publish: isDistributed, nextShards: this.#plan.shards(step + 1).length },
        });
        if (isSummed) return { answers, totals, turn, isDistributed };
        await turn;
        this.#redo(isDistributed);
      }
    }
  }

  /** What has been done is not done again when the run goes on. */
  async #keep(): Promise<void> {
    if (this.#ledger.length === 0) return;
    try {
      await this.#checkpoint();
      await this.#disk.hear(this.#checkpoints.settled());
    } catch (error) {
      this.#options.log.warn(`the run will resume from the previous checkpoint: ${messageOf(error)}`);
    }
  }

  /** Fills the parameter server from the newest checkpoint that is whole, or with what the job begins with. */
  async #restore(parameters: ParameterServer): Promise<void> {
    const { job, data, log, store, access } = this.#options;
    const position = await this.#disk.write({ writing: 'position' }, () =>
      this.#checkpoints.restore(parameters),
    );
    this.metrics.rewind(position?.step ?? 0);
    if (position) {
      const { step, data: then, definition, ...rest } = position;
      checkDefinition(this.id, step, definition);
      await checkIdentity(this.id, placeOf(job.spec.data), step, then, data);
      this.#position = { step, ...rest };
      return;
    }
    const start = await startingWeights(job, store.get(this.id)?.init ?? '', access);
    if (start.what) log.info(`starting from ${start.what}`);
    await parameters.reset(start.parameters);
  }

  /** Hands out tasks up to the look-ahead, a few steps at a time so that Redis is asked less often. @param most steps */
  #handOut(most = Number.POSITIVE_INFINITY): void {
    const { step } = this.#position;
    const window = Math.min(most, this.#plan.stepsAhead(this.#options.limits, this.workers.readDirectly));
    if (this.#ahead - step > window / 2) return;
    const end = Math.min(step + window, this.#plan.totalSteps);
    const steps = [];
    for (; this.#ahead < end; this.#ahead++)
      steps.push({ step: this.#ahead, shards: this.#plan.shards(this.#ahead).length });
    this.board.handOut('ahead', 'train', steps);
    this.board.unstage();
  }

  async #step(): Promise<void> {
    const parameters = this.#parameters!;
    const { step } = this.#position;
    const { answers, totals, turn, isDistributed } = await this.#counted(step);
    const { lossSum, metricSum, counted, weight, samples } = totals;
    const isLeftOut = answers.some((answer) => answer.leftOut);
    const { learningRate } = parameters;
    this.#published = false;
    const committing = performance.now();
    const { changes, ...times } = isLeftOut
      ? parameters.skip()
      : this.#commit(step + 1, !turn, isDistributed);
    this.#peers!.counted();
    const before = this.#position;
    this.#position = {
      step: step + 1,
      lossSum: before.lossSum + lossSum,
      metricSum: before.metricSum + metricSum,
      counted: before.counted + counted,
      weight: (before.weight ?? before.counted) + weight,
      ...leftOut(before, isLeftOut),
    };
    const publishedBefore = this.#publishedAt;
    if (!turn) this.#publish(isDistributed);
    const published = performance.now();
    const publishMs = published - committing - times.applyMs;

    // From here on workers are busy with the next step, of this job or another.
    this.#ledger.push(...ledgerRows(this.#plan, step, answers));
    this.board.close('train', step, answers);
    this.workers.shares.stepped(answers, performance.now());
    this.#handOut();
    this.progress.stepped(
      this.#position,
      samples,
      answers.map((answer) => answer.worker),
    );
    const stepMs = published - publishedBefore;
    const computeMs = Math.max(...answers.map((answer) => answer.computeMs));
    if (changes) {
      this.#probe.look(step + 1, parameters.parameters);
      const point = stepPoint(answers, changes, {
        ...{ step: step + 1, learningRate, stepMs, ...times, publishMs },
        samplesPerSecond: this.progress.samplesPerSecond,
      });
      const layers = this.metrics.isSnapshotDue ? parameters.distributions() : undefined;
      this.metrics.add(point, layers && { step: step + 1, layers });
    }
    this.#options.onStep?.({
      ...times,
      stepMs,
      computeMs,
      queueMs: Math.max(0, ...answers.map((answer) => answer.claimedAfterMs)),
      publishMs,
    });
    this.#options.onChange();
    if (turn) {
      await turn;
      await this.#exchange!.stage();
      this.#publish();
    }

    if (this.#endsEpoch) await this.#endEpoch();
    else if (this.#checkpoints.isDue(step + 1)) await this.#checkpoint();
  }

  /**
   * Updates the parameters.
   * @param publish sends out each part of the new version as it comes, @param isDistributed to those who do not own parts alone
   */
  #commit(version: number, publish: boolean, isDistributed: boolean): Update {
    const [exchange, peers] = [this.#exchange!, this.#peers!];
    const taking = this.workers.shares.taking();
    if (publish)
      exchange.begin(version, isDistributed ? taking.filter(({ id }) => !peers.isOwner(id)) : taking);
    const onPart = publish ? exchange.part.bind(exchange) : undefined;
    return this.#parameters!.commit(onPart, this.metrics.isDue);
  }

  async #endEpoch(): Promise<void> {
    const { step } = this.#position;
    const { limits, job, record } = this.#options;
    this.#exchange!.publishAverages(this.workers.shares.taking());
    // Parameters stand still until it is done; gradients of the next step may be computed meanwhile.
    await requireFinite(job.model, this.#parameters!.parameters, step);
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
    const test = sum(answers);
    const epoch = step / this.#plan.stepsPerEpoch;
    const result = epochResult(epoch, this.#position, test, this.progress.epochSeconds(), Date.now());
    this.#position = { step, lossSum: 0, metricSum: 0, counted: 0, ...leftOut(this.#position, false) };
    this.progress.epochEnded(result);
    const { trainLoss, trainMetric, testLoss, testMetric } = result;
    const metric = metricOf[job.objective.type];
    record({ code: 'epoch', args: epochArgs(result, this.progress.epochs, metricKindOf[metric]) });
    this.#options.log.info(
      `epoch ${result.epoch}: loss ${trainLoss.toFixed(4)}, ${metric} ${trainMetric.toFixed(4)}; test loss ${testLoss.toFixed(4)}, ${metric} ${testMetric.toFixed(4)}`,
    );
    this.#options.onChange();
    await this.#checkpoint(result);
  }

  async #checkpoint(epoch?: EpochResult): Promise<void> {
    const data = await identityOf(this.data);
    const ledger = this.#ledger;
    this.#ledger = [];
    const passed = { ledger, metrics: this.metrics.history, epoch };
    await this.#checkpoints.write(this.#disk, this.#parameters!, { ...this.#position, data }, passed);
  }

  async #writeModel(): Promise<void> {
    const { store, directory } = this.#options;
    await store.place.folder(directory);
    const path = join(directory, 'model.safetensors');
    const digest = await writeWhole(path, await this.#model());
    const workers = new Set(store.ledger(this.id).map((row) => row.worker));
    await store.setModel(this.id, path, digest, workers.size);
  }

  /** The file of the trained weights. */
  async #model(): Promise<Uint8Array> {
    const { job, data } = this.#options;
    const { step } = this.#position;
    const best = job.spec.training.stopEarly && (await this.#checkpoints.best(this.#parameters!, step));
    const values = valuesOf(best?.weights ?? this.#parameters!);
    return encodeModel(job, data.preparation, values, best?.step ?? step);
  }
}
