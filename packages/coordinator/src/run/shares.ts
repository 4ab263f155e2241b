/**
 * How many tasks of a step each worker gets: by what it has delivered; workers are told when it changes. A worker that slows steps down
 * is suspended: it gets nothing, then a single shard as a trial, and is suspended for longer if that is late, too.
 */
import { allot, isTooSlow, levelOfTasks } from '../steps/allot.ts';
import { RecentTimes } from '../steps/median.ts';
import type { ConnectedWorker } from '../workers.ts';
import type { Answer } from './answers.ts';
import type { Refusals } from './refusals.ts';

/** The first suspension, the growth factor of the next ones, and the longest, in milliseconds. */
const FIRST_REST_MS = 2_000;
const REST_GROWTH = 3;
const LONGEST_REST_MS = 60_000;
/** Steps over which a worker is judged, and the least time between changes of shares, in milliseconds. */
const JUDGED_STEPS = 8;
const JUDGED_MS = 1_000;

export type WhyResting = 'late' | 'slow';

/** What is known about a worker in this run. */
interface Standing {
  /** Time of a single shard, with one per slot. */
  ms: RecentTimes;
  /** Steps since it joined, or was last put on trial. */
  steps: number;
  /** Whether it has answered in this run, or once failed to respond: its first task takes longer, since it compiles. */
  isKnown: boolean;
  /** Recent suspensions: each makes the next one longer. One is forgotten after LONGEST_REST_MS without another. */
  rests: number;
  changedAt: number;
  /** taking: gets its share. resting: suspended. trying: gets a single shard as a trial. */
  state: 'taking' | 'resting' | 'trying';
}

export interface SharesOptions {
  readonly job: string;
  /** Per step. */
  readonly shards: number;
  /** The highest level of the tree of shards whose nodes may be tasks; 0: each shard is a task. */
  readonly highestLevel: number;
  readonly workers: Pick<Refusals, 'able'>;
  /** A worker is suspended: its tasks are reassigned. */
  readonly onRest: (worker: ConnectedWorker, why: WhyResting, ms: number) => void;
  /** A suspended worker gets a shard as a trial. */
  readonly onWake: (worker: ConnectedWorker) => void;
}

export class Shares {
  readonly #options: SharesOptions;
  readonly #records = new Map<string, Standing>();
  /** Number of tasks per step that each worker was told to hold. */
  readonly #told = new WeakMap<ConnectedWorker, number>();
  /** Workers that failed to respond and have not answered since. */
  readonly #idle = new Set<string>();
  #judgedAt = Number.NEGATIVE_INFINITY;
  #level = 0;

  constructor(options: SharesOptions) {
    this.#options = options;
  }

  /** The level of the tree of shards whose nodes are currently best as tasks: 2 ** level shards each. */
  get level(): number {
    return this.#level;
  }

  get idle(): ReadonlySet<string> {
    return this.#idle;
  }

  isResting(worker: string): boolean {
    return this.#records.get(worker)?.state === 'resting';
  }

  /** Whether a suspended worker is on trial. */
  get isTrying(): boolean {
    for (const { state } of this.#records.values()) if (state === 'trying') return true;
    return false;
  }

  /** Whether it was suspended recently, so that its tasks are reissued sooner. */
  isSuspect(worker: string): boolean {
    return (this.#records.get(worker)?.rests ?? 0) > 0;
  }

  /** Workers that currently compute the job. */
  taking(): ConnectedWorker[] {
    return this.#options.workers.able().filter(({ id }) => !this.isResting(id));
  }

  /** These workers failed to respond in time. */
  waitedFor(workers: readonly string[], now: number): void {
    if (workers.length === 0) return;
    for (const worker of workers) this.#idle.add(worker);
    // If all are idle, the first to return must find its whole share.
    const others = this.#active().some(({ id }) => !this.#idle.has(id));
    for (const worker of others ? workers : []) {
      const record = this.#record(worker, now);
      if (record.isKnown) this.#rest(worker, 'late', now);
      // A single task shows when it is computing.
      else record.isKnown = true;
    }
    this.tell();
  }

  /** An answer of a worker has counted. */
  answered(worker: string, now: number): void {
    this.#record(worker, now).isKnown = true;
    if (this.#idle.size > 0 && this.#idle.delete(worker)) this.tell();
  }

  /** A step has all its answers. @param each shards per task */
  stepped(answers: readonly Answer[], each: number, now: number): void {
    const active = new Map(this.#active().map((worker) => [worker.id, worker]));
    let isProven = false;
    for (const [id, own] of Map.groupBy(answers, ({ worker }) => worker)) {
      const worker = active.get(id);
      if (!worker) continue;
      const record = this.#record(id, now);
      const early = own.filter(({ claimedAfterMs }) => claimedAfterMs <= 0).length;
      const took = own.map(
        ({ answeredAfterMs, claimedAfterMs }) => answeredAfterMs - Math.max(0, claimedAfterMs),
      );
      const inTurn = Math.ceil(Math.max(1, early) / worker.slots);
      record.ms.add(Math.max(...took) / inTurn / each);
      record.steps++;
      if (record.state !== 'trying' || record.steps < JUDGED_STEPS) continue;
      record.state = 'taking';
      record.changedAt = now;
      isProven = true;
    }
    if (isProven) this.tell();
    this.#judge(now);
  }

  /** Call periodically: ends suspensions. */
  tick(now: number): void {
    for (const worker of this.#options.workers.able()) {
      const record = this.#records.get(worker.id);
      if (!record) continue;
      if (record.state === 'resting' && now >= record.changedAt + restMs(record.rests)) {
        this.#wake(worker, record, now);
      } else if (record.rests > 0 && record.state === 'taking' && now >= record.changedAt + LONGEST_REST_MS) {
        record.rests--;
        record.changedAt = now;
      }
    }
  }

  forget(worker: string): void {
    this.#idle.delete(worker);
    this.#records.delete(worker);
  }

  /** Call when a worker has joined, left, or takes no more tasks: the others take over its share. */
  tell(): void {
    const able = this.#options.workers.able().filter(({ draining }) => !draining);
    this.#neverNobody(able);
    const isBusy = ({ id }: ConnectedWorker) =>
      !this.#idle.has(id) && this.#records.get(id)?.state !== 'trying';
    const taking = able.filter(({ id }) => !this.isResting(id));
    const counting = taking.some(isBusy) ? isBusy : () => true;
    const parts = this.#parts(taking.filter(counting));
    for (const worker of able) {
      const tasks = this.isResting(worker.id) ? 0 : (parts.get(worker.id) ?? 1);
      // Each join or departure may change all shares, but in a large cluster few of them change.
      if (this.#told.get(worker) === tasks) continue;
      this.#told.set(worker, tasks);
      worker.send({ $case: 'share', value: { job: this.#options.job, tasks } });
    }
  }

  /** Tasks per worker: by speed once that is known of all, by slots until then. */
  #parts(workers: readonly ConnectedWorker[]): Map<string, number> {
    const { shards, highestLevel } = this.#options;
    const known = workers.flatMap((worker) => this.#paceOf(worker) ?? []);
    const isKnown = known.length === workers.length;
    this.#level = levelOfTasks(
      isKnown ? known : workers.map(({ slots }) => ({ slots, ms: 1 })),
      shards,
      highestLevel,
    );
    const tasks = Math.ceil(shards / 2 ** this.#level);
    const slots = workers.reduce((total, worker) => total + worker.slots, 0);
    const bySlots = workers.map((worker) => Math.ceil((tasks * worker.slots) / slots));
    // Times per task are the same multiple of times per shard for all workers.
    const counts = isKnown ? allot(known, tasks) : bySlots;
    // Rounding up leaves room for faster workers; together they hold every shard.
    return new Map(workers.map(({ id }, index) => [id, Math.max(1, counts[index]!)]));
  }

  #paceOf({ id, slots }: ConnectedWorker) {
    const record = this.#records.get(id);
    return record && record.steps >= JUDGED_STEPS ? { slots, ms: record.ms.median } : undefined;
  }

  /** Suspends workers that are too slow to help, and updates shares. */
  #judge(now: number): void {
    const { shards } = this.#options;
    const isTried = [...this.#records.values()].some(({ state, steps }) => state === 'trying' && steps > 0);
    if (!isTried && now < this.#judgedAt + JUDGED_MS) return;
    this.#judgedAt = now;
    // The slowest first: without it, the others may be fast enough.
    const known = this.#active()
      .flatMap((worker) => {
        const record = this.#records.get(worker.id);
        const enough = record && record.steps >= (record.state === 'trying' ? 1 : JUDGED_STEPS);
        return enough
          ? [{ worker, slots: worker.slots, ms: record.ms.median, quickMs: record.ms.lowerQuartile }]
          : [];
      })
      .sort((a, b) => b.ms - a.ms);
    for (
      let slowest = known.shift();
      slowest && isTooSlow(slowest.quickMs, known, shards);
      slowest = known.shift()
    )
      this.#rest(slowest.worker.id, 'slow', now);
    this.tell();
  }

  #rest(id: string, why: WhyResting, now: number): void {
    const worker = this.#active().find((one) => one.id === id);
    if (!worker) return;
    const record = this.#record(id, now);
    record.state = 'resting';
    record.rests++;
    record.changedAt = now;
    this.#options.onRest(worker, why, restMs(record.rests));
  }

  #wake(worker: ConnectedWorker, record: Standing, now: number): void {
    record.state = 'trying';
    record.changedAt = now;
    record.ms = new RecentTimes();
    record.steps = 0;
    this.#idle.delete(worker.id);
    this.#options.onWake(worker);
    this.tell();
  }

  /** If no other worker is left, suspended ones compute. */
  #neverNobody(able: readonly ConnectedWorker[]): void {
    if (able.length === 0 || able.some(({ id }) => !this.isResting(id))) return;
    for (const worker of able) {
      const record = this.#records.get(worker.id)!;
      record.state = 'taking';
      this.#options.onWake(worker);
    }
  }

  #active(): ConnectedWorker[] {
    return this.taking().filter(({ draining }) => !draining);
  }

  #record(worker: string, now: number): Standing {
    const known = this.#records.get(worker);
    if (known) return known;
    const fresh: Standing = {
      ...{ ms: new RecentTimes(), steps: 0, isKnown: false, rests: 0 },
      ...{ changedAt: now, state: 'taking' },
    };
    this.#records.set(worker, fresh);
    return fresh;
  }
}

const restMs = (rests: number) => Math.min(LONGEST_REST_MS, FIRST_REST_MS * REST_GROWTH ** (rests - 1));
