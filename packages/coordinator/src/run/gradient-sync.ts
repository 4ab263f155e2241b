/**
 * Where the gradients of a step are added, and how its new version reaches the workers: through the coordinator, or among the workers that
 * own parts of the model. Which way is no part of a result.
 */
import type { JobOpened, TaskId } from '@kasane/protocol/gen/kasane/v1/training';
import type { JobEvent } from '@kasane/protocol/internal/events/events';
import { exchangedOf } from '@kasane/protocol/internal/job/job-exchange';
import type {
  GradientHeader,
  PartSumHeader,
  SharedGradientHeader,
} from '@kasane/protocol/internal/wire/frame';
import { floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import type { Job } from '@kasane/protocol/job';
import type { Arrived } from '../params/attempts.ts';
import { Exchange } from '../params/exchange.ts';
import type { ParameterServer, Update } from '../params/parameter-server.ts';
import type { PeerMesh } from '../peers/mesh.ts';
import type { ExchangeMode } from '../peers/owner-choice.ts';
import { PeerExchange } from '../peers/peer-exchange.ts';
import type { ConnectedWorker } from '../workers.ts';
import { type Answer, sum } from './answers.ts';
import type { TaskBoard } from './board.ts';
import { finiteAnswers } from './finite.ts';

export interface GradientSyncOptions {
  readonly id: string;
  readonly job: Job;
  readonly parameters: ParameterServer;
  readonly board: TaskBoard;
  /** How many shards a step has. */
  readonly shardsOf: (step: number) => number;
  /** The workers that take shards now. */
  readonly taking: () => readonly ConnectedWorker[];
  readonly mode: ExchangeMode;
  readonly mesh: PeerMesh;
  readonly record: (event: JobEvent) => void;
  /** All shards of a step are computed, which took slots so many milliseconds. Undefined: no other job comes first, now. */
  readonly nextTurn: (usedMs: number) => Promise<void> | undefined;
}

/** A step of which all gradients have been added. */
export interface Reduced {
  readonly answers: readonly Answer[];
  readonly totals: ReturnType<typeof sum>;
  /** Some of its numbers are not finite, and the job skips its update. */
  readonly isLeftOut: boolean;
  /** Another job's turn comes before the next version is published. */
  readonly turn: Promise<void> | undefined;
  /** The owners of parts send the next version to one another. */
  readonly isDistributed: boolean;
}

export class GradientSync {
  readonly #options: GradientSyncOptions;
  readonly #exchange: Exchange;
  readonly #peers: PeerExchange;
  /** Owners of parts are being sent what they begin with: until then nothing is updated. */
  #staging: Promise<void> | undefined;
  /** Workers have been sent the parameters of the step under way; false while another job has its turn. */
  #isPublished = false;
  #publishedAt = performance.now();
  /** Workers got the version of the step under way from the owners of parts: who goes may not have sent all of its own. */
  #isFromOwners = false;
  /** Workers that lack a version, and from which one on they are to be sent one whole. */
  readonly #lacking = new Map<ConnectedWorker, number>();

  constructor(options: GradientSyncOptions) {
    const { id, job, parameters, record, mode, mesh } = options;
    this.#options = options;
    const codec = floatCodec(exchangedOf(job), job.spec.exchange.precision);
    const exchange = new Exchange(id, job, parameters, codec);
    this.#exchange = exchange;
    this.#peers = new PeerExchange({
      ...{ id, job, parameters, codec, record, mode, mesh },
      isNear: (worker) => exchange.isNear(worker),
      onDissolved: () => this.#redo({}),
    });
  }

  get isPublished(): boolean {
    return this.#isPublished;
  }

  /** When the version of the step under way was published, by `performance.now()`. */
  get publishedAt(): number {
    return this.#publishedAt;
  }

  /** Whether a worker's gradients come through shared memory. */
  isNear(worker: string): boolean {
    return this.#exchange.isNear(worker);
  }

  /** Whether workers begin the step after this one by themselves. */
  runsAhead(step: number): boolean {
    return this.#peers.has(step);
  }

  // What workers say.

  /** Part of a gradient has arrived. @throws KasaneError PROTOCOL when it does not fit the model. */
  gradient(worker: string, header: GradientHeader | SharedGradientHeader, payload: Uint8Array): void {
    const { board, parameters } = this.#options;
    if (!board.holds(worker, header)) return;
    let floats = 0;
    if (!this.#peers.has(header.step)) floats = this.#exchange.receive(worker, header, payload);
    else if (header.step === parameters.version) {
      const values = this.#exchange.floatsOf(worker, header, payload);
      floats = values.length;
      this.#peers.relay(worker, header, values);
    }
    board.received(header, floats / parameters.parameters.length);
  }

  /** The sum of part of the gradients has arrived. @throws KasaneError PROTOCOL when it does not fit. */
  partSum(worker: string, header: PartSumHeader, payload: Uint8Array): void {
    this.#peers.sum(worker, header, payload);
  }

  /** Whether the gradient of an attempt has arrived. @param layout by which its worker sent it to owners of parts */
  arrived(worker: string, { step, shard, attempt }: TaskId, layout: number | undefined): Arrived {
    if (this.#peers.has(step)) return this.#peers.arrived(worker, shard, attempt, layout);
    if (layout !== undefined) return 'elsewhere';
    return this.#options.parameters.complete(worker, shard, attempt);
  }

  /** The worker has opened the shared memory that it was offered. */
  memoryOpened(worker: string): void {
    this.#exchange.opened(worker);
  }

  // Workers come and go.

  /** Memory to offer a worker that joins. */
  offer(worker: string): Pick<JobOpened, 'parametersMemory' | 'gradientsMemory'> {
    return this.#exchange.offer(worker);
  }

  /** A worker is to compute from now on: sends it the version of the step under way, once that is published. */
  include(worker: ConnectedWorker): void {
    if (this.#isPublished) this.#exchange.publish([worker]);
  }

  /** A worker was sent changes of a version that it does not have: it is sent the present one, if that is late enough, or a later one. */
  versionMissing(worker: ConnectedWorker, version: number): void {
    this.#lacking.set(worker, version);
    if (this.#isPublished) this.#exchange.publish(this.#takeLacking());
  }

  /** A worker takes no shards for a while: what it holds is others'. To be followed by the board's `check`. */
  rests(worker: string): void {
    this.#options.parameters.drop(worker);
    this.#options.board.rests(worker);
  }

  /** Nothing more comes from a worker. */
  left(worker: string): void {
    this.#options.parameters.drop(worker);
    for (const lacking of [...this.#lacking.keys()]) if (lacking.id === worker) this.#lacking.delete(lacking);
    this.#exchange.leave(worker);
    this.#options.board.workerLeft(worker);
    this.#peers.left(worker);
  }

  // The way of a step: publish, reduce, update.

  /** Puts the present version into shared memory, for `publish` to tell of. */
  stage(): Promise<void> {
    return this.#exchange.stage();
  }

  /** Waits until it is known which workers reach one another, where this job's gradients may go between them. Call before the first `publish`. */
  meet(): Promise<void> {
    return this.#peers.meet(this.#options.taking);
  }

  /** Sends the present parameters out: workers compute with them from now on. */
  publish(): void {
    const { parameters, board, shardsOf, taking } = this.#options;
    const { version } = parameters;
    const workers = taking();
    this.#isPublished = true;
    const peers = this.#peers;
    if (peers.look(workers)) peers.begin(version, shardsOf(version), workers, false);
    const passed = workers.filter(({ id }) => peers.isPassedTo(id, version));
    this.#exchange.publish(workers, this.#takeLacking(), passed);
    this.#isFromOwners = passed.length > 0;
    board.begin(version);
    this.#staging = this.#peers.sendState();
    this.#publishedAt = performance.now();
  }

  /** The same after an update whose version the owners of parts send to one another: it is missing at the others. */
  publishDistributed(): void {
    this.#isPublished = true;
    const lacking = this.#takeLacking();
    const others = this.#others().filter((worker) => !lacking.includes(worker));
    this.#exchange.publish([...others, ...lacking], lacking);
    this.#isFromOwners = true;
    this.#options.board.begin(this.#options.parameters.version);
    this.#publishedAt = performance.now();
  }

  /** Sends the averages of the parameters, if the job keeps them, to be evaluated. */
  publishAverages(): void {
    this.#exchange.publishAverages(this.#options.taking());
  }

  /**
   * The answers of the step under way, and their gradients added: here, or by the owners of parts, and again where those go. Rejects when
   * the job cannot go on.
   */
  async reduce(): Promise<Reduced> {
    const { parameters, board, nextTurn } = this.#options;
    const step = parameters.version;
    const peers = this.#peers;
    for (;;) {
      const layout = peers.layoutOf(step);
      const isHere = layout === 0;
      const answers = isHere
        ? await finiteAnswers(board, parameters, step)
        : await board.settled('train', step);
      await this.#staging;
      // Its owners may have gone meanwhile.
      if (peers.layoutOf(step) !== layout) continue;
      const totals = sum(answers);
      if (isHere) {
        const isLeftOut = answers.some((answer) => answer.leftOut);
        return { answers, totals, isLeftOut, turn: nextTurn(totals.computeMs), isDistributed: false };
      }
      const reduced = await this.#reduceAtOwners(step, answers, totals);
      if (reduced) return reduced;
    }
  }

  /** Has the owners of parts add the gradients of a step, and update. Undefined: it is being computed again. */
  async #reduceAtOwners(
    step: number,
    answers: readonly Answer[],
    totals: Reduced['totals'],
  ): Promise<Reduced | undefined> {
    const { parameters, shardsOf, taking, nextTurn } = this.#options;
    const peers = this.#peers;
    if (answers.some(({ lossSum }) => !Number.isFinite(lossSum))) {
      peers.without(step, { code: 'sums-not-finite', args: {} });
      // The parameters may be what is wrong: an owner sent them.
      this.#redo({ isDoubtful: true });
      return undefined;
    }
    // Another job's step begins while this one is counted.
    const turn = nextTurn(totals.computeMs);
    // A run that is stopped while the sums come rejects both: whoever waits for those hears of it.
    turn?.catch(() => {});
    const isDistributed = !turn && !peers.look(taking());
    const isSummed = await peers.commit({
      ...{ step, factor: Math.fround(1 / totals.weight), learningRate: parameters.learningRate },
      ...{ publish: isDistributed, nextShards: shardsOf(step + 1) },
    });
    if (isSummed) return { answers, totals, isLeftOut: false, turn, isDistributed };
    await turn;
    this.#redo({ isCommitted: isDistributed });
    return undefined;
  }

  /**
   * Ends a step: updates the parameters, unless it is left out. Each part of the new version is sent out as it comes, unless another job's
   * turn is first; `publish` or `publishDistributed` follows. @param wantsChanges to show what of each layer changed
   */
  update({ isLeftOut, turn, isDistributed }: Reduced, wantsChanges: boolean): Update {
    const { parameters, taking } = this.#options;
    this.#isPublished = false;
    const begin = () => {
      const exchange = this.#exchange;
      exchange.begin(parameters.version + 1, isDistributed ? this.#others() : taking());
      return exchange.part.bind(exchange);
    };
    const update = isLeftOut
      ? parameters.skip()
      : parameters.commit(turn ? undefined : begin(), wantsChanges);
    this.#peers.counted();
    return update;
  }

  /**
   * The step under way is computed again.
   * @param isCommitted owners of parts may have gone on to the next version
   * @param isDoubtful workers may lack part of the present version, or have another: they are sent it
   */
  #redo({ isCommitted = false, isDoubtful = false }: { isCommitted?: boolean; isDoubtful?: boolean }): void {
    if (!this.#isPublished) return;
    const { parameters, board, shardsOf, taking } = this.#options;
    const { version } = parameters;
    const workers = taking();
    parameters.forget();
    this.#peers.look(workers);
    this.#peers.begin(version, shardsOf(version), workers, true);
    if (isCommitted || isDoubtful || this.#isFromOwners) {
      this.#exchange.publish(workers);
      this.#isFromOwners = false;
    }
    this.#staging = this.#peers.sendState();
    board.redo(version, isCommitted);
  }

  /** Those who lack a version, and are to be sent the present one; they are not asked for again. */
  #takeLacking(): ConnectedWorker[] {
    const { parameters, taking } = this.#options;
    const there = new Set(taking());
    const due: ConnectedWorker[] = [];
    for (const [worker, version] of [...this.#lacking]) {
      if (version > parameters.version && there.has(worker)) continue;
      this.#lacking.delete(worker);
      if (there.has(worker)) due.push(worker);
    }
    return due;
  }

  /** Those who take shards, and are not sent new versions by the owners of parts. */
  #others(): ConnectedWorker[] {
    return this.#options.taking().filter(({ id }) => !this.#peers.isOwner(id));
  }

  /** Call now and then: gives up sums that do not come. */
  tick(now: number): void {
    this.#peers.tick(now);
  }

  /** Nobody waits for sums any more. */
  stop(reason: Error): void {
    this.#peers.stop(reason);
  }

  /** The run is over. */
  close(): void {
    this.#peers.close();
    this.#exchange.close();
  }
}
