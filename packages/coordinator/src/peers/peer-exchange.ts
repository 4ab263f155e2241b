/**
 * The exchange of gradients between the workers of a run: who owns which part, from which step on, and what becomes of a step whose owners
 * go. The coordinator has all sums and makes each update itself, so nothing is lost with an owner but the step under way, which is
 * computed again. Where sums are made is no part of a result.
 */
import { setTimeout as after, setImmediate as nextTurn } from 'node:timers/promises';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { CommitParts } from '@kasane/protocol/gen/kasane/v1/training';
import type { JobEvent } from '@kasane/protocol/internal/events/events';
import {
  exchangedOf,
  roundingOf,
  type ServerUpdate,
  serverUpdateOf,
} from '@kasane/protocol/internal/job/job-exchange';
import {
  bytesOf,
  encodeFrame,
  type GradientHeader,
  type PartSumHeader,
} from '@kasane/protocol/internal/wire/frame';
import { chunkFloatsFor, PartLayout, partGradients } from '@kasane/protocol/internal/wire/parts';
import type { FloatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import type { Job } from '@kasane/protocol/job';
import type { Reason } from '@kasane/protocol/reasons';
import { AVERAGE } from '@kasane/tensor/optim/updater';
import type { Arrived } from '../params/attempts.ts';
import { encodedOnce } from '../params/encoded-version.ts';
import type { ParameterServer } from '../params/parameter-server.ts';
import type { ConnectedWorker } from '../workers.ts';
import type { PeerMesh } from './mesh.ts';
import { type ExchangeMode, OwnerChoice } from './owner-choice.ts';
import { RelayedChunks } from './relayed-chunks.ts';

/** The first step of a run waits so long at most for workers to find out whom they reach, and looks so often, in milliseconds. */
const MEETING_MS = 10_000;
const MEETING_LOOK_MS = 20;
/** Who owns parts is looked at again after so long, in milliseconds. */
const LOOK_MS = 500;
/**
 * So long after the last sum, in milliseconds, those that are missing are given up: of some owners, and of all. Those of some are given up
 * no sooner than after this part of the time in which the gradients came: on a slow network, what is under way takes long, too.
 */
const LATE_MS = 2_000;
const LATE_PART = 1 / 2;
const LATEST_MS = 30_000;

/** What owners are told of a step that counts. */
export type StepCommit = Omit<CommitParts, 'job' | 'layout' | 'clip'>;

export interface PeerExchangeOptions {
  readonly id: string;
  readonly job: Job;
  readonly mode: ExchangeMode;
  readonly mesh: PeerMesh;
  readonly parameters: ParameterServer;
  /** How gradients and their sums travel. */
  readonly codec: FloatCodec;
  /** Whether a worker is on the coordinator's machine, and needs no network. */
  readonly isNear: (worker: string) => boolean;
  /** The step under way is to be computed again, since its owners are gone. Not called while `commit` waits. */
  readonly onDissolved: () => void;
  readonly record: (event: JobEvent) => void;
}

export class PeerExchange {
  readonly #options: PeerExchangeOptions;
  /** What owners update their parts by. */
  readonly #update: ServerUpdate;
  readonly #forget: () => void;
  #layouts = 0;
  #layout: PartLayout | undefined;
  /** Its owners send the version of its first step to one another. */
  #passesOn = false;
  /** Chunks of later versions that this coordinator sends them. */
  #relay: RelayedChunks | undefined;
  /** It may have some: there is memory for the copy that they need. */
  #mayRelay = true;
  readonly #members = new Map<string, ConnectedWorker>();
  readonly #choice: OwnerChoice;
  /** The workers that will own parts from the next step on that the coordinator publishes. */
  #next: readonly string[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Floats of gradients that were passed on to owners, by attempt. */
  readonly #relayed = new Map<string, number>();
  /** Sums of the next step, which come while the present one is being counted. */
  #early: { readonly worker: string; readonly header: PartSumHeader; readonly payload: Uint8Array }[] = [];
  #waiting:
    | {
        since: number;
        readonly lateMs: number;
        resolve: (isSummed: boolean) => void;
        reject: (error: Error) => void;
      }
    | undefined;
  #stopped: Error | undefined;
  /** When the gradients of the step under way could first come, by `performance.now()`. */
  #beganAt = 0;
  /** The last reason that was recorded. */
  #told = '';
  /** Workers of which people are told where their gradients go. */
  readonly #routed = new Set<ConnectedWorker>();

  constructor(options: PeerExchangeOptions) {
    this.#options = options;
    this.#update = serverUpdateOf(options.job.spec);
    this.#choice = new OwnerChoice({ ...options, floats: options.parameters.parameters.length });
    this.#forget = options.mesh.onBroken((a, b) => {
      if (this.#members.has(a) && this.#members.has(b))
        this.#dissolve({ code: 'peers-parted', args: { workers: [a, b] } });
    });
  }

  /** The number of the layout by which the gradients of a step go to the owners of parts; 0: they go to the coordinator. */
  layoutOf(step: number): number {
    return this.#layout && step >= this.#layout.step ? this.#layout.number : 0;
  }

  has(step: number): boolean {
    return this.layoutOf(step) > 0;
  }

  /** Those that own parts, and send new versions to one another. */
  isOwner(worker: string): boolean {
    return this.#members.has(worker);
  }

  /** Whether a worker gets the version of a step from owners although the coordinator publishes it. */
  isPassedTo(worker: string, step: number): boolean {
    return this.#passesOn && step === this.#layout?.step && this.#members.has(worker);
  }

  /**
   * Waits until it is known which workers reach one another, at most MEETING_MS: while that is found out, the first versions would be sent
   * over the same links, and all gradients to the coordinator.
   */
  async meet(taking: () => readonly ConnectedWorker[]): Promise<void> {
    const until = performance.now() + MEETING_MS;
    for (let now = performance.now(); now < until && !this.#stopped; now = performance.now()) {
      if (!this.#choice.isMeeting(taking(), now)) return;
      await after(MEETING_LOOK_MS);
    }
  }

  /** Looks who is to own parts from the next step on. @returns whether that is somebody else than now: then the coordinator publishes */
  look(taking: readonly ConnectedWorker[]): boolean {
    const now = performance.now();
    const ids = new Set(taking.flatMap(({ id, draining }) => (draining ? [] : [id])));
    const areThere = [...this.#members.keys()].every((id) => ids.has(id));
    if (!areThere || now >= this.#lookedAt + LOOK_MS) {
      this.#lookedAt = now;
      this.#next = this.#choose(taking, now);
      this.#showRoutes(taking, now);
    }
    return this.#next.length !== this.#members.size || this.#next.some((id) => !this.#members.has(id));
  }

  /**
   * A step begins, with those owners that `look` found. Call before its version is published.
   * @param isWhole each owner may have the version, or is sent it whole
   */
  begin(step: number, shards: number, taking: readonly ConnectedWorker[], isWhole: boolean): void {
    const owners = this.#next.flatMap((id) => taking.find((worker) => worker.id === id) ?? []);
    const before = [...this.#members.values()];
    if (this.#choice.isWithout(step) || owners.length < 2) {
      if (this.#layout) this.#tell(before, undefined, step, shards);
      this.#forgetLayout();
      return;
    }
    const floats = this.#options.parameters.parameters.length;
    const ids = owners.map(({ id }) => id);
    this.#forgetLayout();
    this.#layout = new PartLayout({
      ...{ number: ++this.#layouts, step, floats, owners: ids },
      chunkFloats: chunkFloatsFor(floats, owners.length, this.#choice.isSlow(ids)),
      // Clipped, all sums come before any update, and then its own link would be the only one that is busy.
      relays: this.#mayRelay && this.#update.clipNorm === undefined && this.#choice.isRelaying(ids, taking),
    });
    // Through shared memory it takes no time, and changes to a version need that one whole.
    const { job, isNear } = this.#options;
    const isExact = job.spec.exchange.precision === 'f32';
    this.#passesOn = !isWhole && isExact && owners.every(({ id }) => !isNear(id));
    this.#relay = this.#layout.relays ? this.#relayOf(this.#layout, owners) : undefined;
    for (const worker of owners) this.#members.set(worker.id, worker);
    const others = before.filter(({ id }) => !this.#members.has(id));
    this.#tell(others, undefined, step, shards);
    this.#tell(owners, this.#layout, step, shards);
    this.#forgetStep();
    this.#told = '';
    this.#record({ code: 'exchange-workers', args: { workers: owners.length } });
    this.#showRoutes(taking, performance.now());
  }

  /** Sends the owners of a layout that has just begun what they begin with; parameters and state must not change until then. */
  async sendState(): Promise<void> {
    const layout = this.#layout;
    if (!layout || layout.step !== this.#options.parameters.version) return;
    const { id, parameters } = this.#options;
    const all = [['parameters', parameters.parameters] as const, ...parameters.state].filter(
      ([name]) => name !== AVERAGE,
    );
    for (const [owner, worker] of [...this.#members]) {
      for (const [name, values] of all) {
        const frames = layout.chunksOf(owner).map(({ start, end }) => {
          const header = { kind: 'partState', job: id, layout: layout.number, name, offset: start } as const;
          return encodeFrame(header, bytesOf(values.subarray(start, end)));
        });
        worker.publishMore(id, encodedOnce(frames));
        await nextTurn();
        if (this.#layout !== layout) return;
      }
    }
    try {
      await this.#relay?.open(parameters);
    } catch (error) {
      if (this.#layout !== layout) return;
      this.#mayRelay = false;
      this.#dissolve({ code: 'copy-failed', args: { why: messageOf(error) } });
    }
  }

  /**
   * All shards of a step have answered: has owners update, at once, or when all sums are here where gradients are clipped by the norm of
   * all of them. Resolves with whether the sums are there, finite, and the update may be made.
   */
  async commit(commit: StepCommit): Promise<boolean> {
    const { id, parameters } = this.#options;
    const isClipped = this.#update.clipNorm !== undefined;
    const layout = this.#layout!.number;
    const tell = (clip?: number) => {
      for (const worker of this.#members.values())
        worker.send({ $case: 'commitParts', value: { job: id, layout, ...commit, clip } });
    };
    if (!isClipped) tell();
    this.#relay?.commit(commit);
    const isSummed = await new Promise<boolean>((resolve, reject) => {
      const since = performance.now();
      const lateMs = Math.min(LATEST_MS, Math.max(LATE_MS, LATE_PART * (since - this.#beganAt)));
      this.#waiting = { since, lateMs, resolve, reject };
      if (this.#stopped) reject(this.#stopped);
      else if (parameters.isSummed) this.#summed();
    }).finally(() => {
      this.#waiting = undefined;
    });
    if (isSummed && parameters.useSums(commit.factor)) {
      if (isClipped) tell(parameters.clip());
      return true;
    }
    // Who computed what is not finite shows where each gradient comes by itself.
    if (isSummed) this.without(commit.step, { code: 'sums-not-finite', args: {} });
    return false;
  }

  /** A step is computed with all gradients going to the coordinator, and so are those that follow it, for a while: an owner may be at fault. */
  without(step: number, why: Reason): void {
    this.#choice.without(step, performance.now());
    this.#end(why);
  }

  /** The step has been counted: what is here is of the next one. */
  counted(): void {
    this.#forgetStep();
    const early = this.#early;
    this.#early = [];
    for (const { worker, header, payload } of early) this.sum(worker, header, payload);
  }

  /** The sum of a chunk has come. @throws KasaneError PROTOCOL when it does not fit */
  sum(worker: string, header: PartSumHeader, payload: Uint8Array): void {
    const layout = this.#layout;
    const { parameters, codec } = this.#options;
    if (!layout || header.layout !== layout.number) return;
    const index = header.offset / layout.chunkFloats;
    const { start, end } = layout.chunk(Math.floor(index));
    if (
      start !== header.offset ||
      layout.ownerOf(index) !== worker ||
      codec.count(payload, start) !== end - start
    )
      throw new KasaneError(
        'PROTOCOL',
        `a sum of floats ${header.offset} and on that is not the worker's part`,
      );
    if (header.step === parameters.version + 1) {
      // Each chunk once, as `takeSum` accepts it: an owner that repeats its own must not take the place of others.
      if (!this.#early.some(({ header: { offset } }) => offset === header.offset))
        this.#early.push({ worker, header, payload: Uint8Array.from(payload) });
    } else if (header.step === parameters.version) {
      const sum = new Float32Array(end - start);
      codec.decode(payload, start, sum);
      if (!parameters.hasSum(start)) this.#relay?.sum(start, sum);
      parameters.takeSum(start, sum);
      if (!this.#waiting) return;
      this.#waiting.since = performance.now();
      if (parameters.isSummed) this.#summed();
    }
  }

  /** All sums are here: the step ends when what is sent from here has been made of them, too. */
  #summed(): void {
    const waiting = this.#waiting;
    if (!this.#relay) waiting?.resolve(true);
    else void this.#relay.settled().then(() => waiting?.resolve(true));
  }

  /** Passes part of a gradient on to the owners: of a worker that reaches only the coordinator. */
  relay(worker: string, header: Omit<GradientHeader, 'kind' | 'partition'>, floats: Float32Array): void {
    const layout = this.#layout;
    if (!layout) return;
    const { offset: at, shard, attempt } = header;
    const range = { start: at, end: at + floats.length };
    for (const { owner, start, end, header: about } of partGradients(layout, header, range)) {
      const payload = this.#options.codec.encode(floats.subarray(start - at, end - at), start);
      this.#members.get(owner)?.relay(encodeFrame(about, payload));
    }
    const key = `${worker} ${shard} ${attempt}`;
    this.#relayed.set(key, (this.#relayed.get(key) ?? 0) + floats.length);
  }

  /** Whether an attempt's gradient is where it is to be. @param number the layout by which its worker sent it */
  arrived(worker: string, shard: number, attempt: number, number: number | undefined): Arrived {
    if (number !== undefined) return number === this.#layout?.number ? 'whole' : 'elsewhere';
    const floats = this.#relayed.get(`${worker} ${shard} ${attempt}`) ?? 0;
    return floats === this.#layout?.floats ? 'whole' : floats === 0 ? 'elsewhere' : 'missing';
  }

  /** A worker takes no part any more. */
  left(worker: string): void {
    this.#choice.forget(worker);
    if (this.#members.has(worker)) this.#dissolve({ code: 'owner-left', args: { worker } });
  }

  /** Call now and then: gives up sums that do not come. */
  tick(now: number): void {
    const layout = this.#layout;
    if (!this.#waiting || !layout) return;
    const late = now - this.#waiting.since;
    if (late < this.#waiting.lateMs) return;
    const owners = layout.owners.filter((owner) =>
      layout.chunksOf(owner).some(({ start }) => !this.#options.parameters.hasSum(start)),
    );
    if (owners.length === layout.owners.length && late < LATEST_MS) return;
    this.#choice.exclude(owners, now);
    this.#dissolve({ code: 'sums-late', args: { workers: owners, seconds: Math.round(late / 100) / 10 } });
  }

  /** The run ends. */
  stop(reason: Error): void {
    this.#stopped = reason;
    this.#waiting?.reject(reason);
  }

  close(): void {
    this.#forget();
    this.#forgetRoutes();
    this.#forgetLayout();
  }

  #relayOf(layout: PartLayout, members: readonly ConnectedWorker[]): RelayedChunks {
    const { id, job, codec } = this.#options;
    const { optimizer } = this.#update;
    const rounding = roundingOf(job.spec);
    return new RelayedChunks({
      ...{ job: id, layout, members, parameters: exchangedOf(job), optimizer, codec, rounding },
    });
  }

  #forgetLayout(): void {
    this.#members.clear();
    this.#layout = undefined;
    this.#relay?.close();
    this.#relay = undefined;
  }

  #choose(taking: readonly ConnectedWorker[], now: number): readonly string[] {
    const { owners, why } = this.#choice.of(taking, [...this.#members.keys()], now);
    if (why) this.#record(why);
    return owners;
  }

  #tell(
    workers: readonly ConnectedWorker[],
    layout: PartLayout | undefined,
    step: number,
    shards: number,
  ): void {
    const { id } = this.#options;
    const optimizer = JSON.stringify(this.#update.optimizer);
    const { number = 0, chunkFloats = 0, owners = [], relays = false } = layout ?? {};
    const passOn = layout !== undefined && this.#passesOn;
    const value = {
      job: id,
      layout: number,
      step,
      chunkFloats,
      owners: [...owners],
      shards,
      optimizer,
      passOn,
      relays,
      sumsFirst: this.#update.clipNorm !== undefined,
    };
    for (const worker of workers) worker.send({ $case: 'parts', value });
  }

  /** An owner is gone, or cut off: the step under way is to be computed again. */
  #dissolve(why: Reason): void {
    if (!this.#layout) return;
    const waiting = this.#waiting;
    this.#end(why);
    if (waiting) waiting.resolve(false);
    else this.#options.onDissolved();
  }

  #end(why: Reason): void {
    if (!this.#layout) return;
    this.#tell([...this.#members.values()], undefined, this.#options.parameters.version, 0);
    this.#forgetRoutes();
    this.#forgetLayout();
    this.#next = [];
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    this.#forgetStep();
    this.#record(why);
  }

  /** Says of each of these workers where its gradients go, for people. */
  #showRoutes(taking: readonly ConnectedWorker[], now: number): void {
    this.#forgetRoutes();
    const members = [...this.#members.keys()];
    for (const worker of taking) {
      const route = this.#choice.routeOf(worker.id, members, now);
      if (!route) continue;
      worker.routes.set(this.#options.id, route);
      this.#routed.add(worker);
    }
  }

  #forgetRoutes(): void {
    for (const worker of this.#routed) worker.routes.delete(this.#options.id);
    this.#routed.clear();
  }

  #forgetStep(): void {
    this.#beganAt = performance.now();
    this.#relayed.clear();
    this.#early = this.#early.filter(({ header }) => header.layout === this.#layout?.number);
  }

  #record(reason: Reason): void {
    const told = JSON.stringify(reason);
    if (told === this.#told) return;
    this.#told = told;
    this.#options.record({ code: 'exchange', args: {}, reason });
  }
}
