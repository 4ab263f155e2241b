/**
 * How much of a step is each worker's part: by what it has been delivering, and told when it changes. One that makes steps longer rests:
 * it is given nothing, then a single shard for which nobody waits long, and rests longer where that comes late, too.
 */
import { allot, isTooSlow, levelOfTasks } from '../steps/allot.ts';
import { RecentTimes } from '../steps/median.ts';
import type { ConnectedWorker } from '../workers.ts';
import type { Answer } from './answers.ts';
import type { Refusals } from './refusals.ts';

/** The first rest, how many times as long the next one is, and the longest, in milliseconds. */
const FIRST_REST_MS = 2_000;
const REST_GROWTH = 3;
const LONGEST_REST_MS = 60_000;
/** Steps by which a worker is judged, and how often parts change at most, in milliseconds. */
const JUDGED_STEPS = 8;
const JUDGED_MS = 1_000;

export type WhyResting = 'late' | 'slow';

/** What is known of a worker in this run. */
interface Standing {
  /** Of a single shard, where each slot computes one. */
  ms: RecentTimes;
  /** Steps since it began, or began anew. */
  steps: number;
  /** It has answered in this run, or was waited for in vain once: what comes first takes longer, since it compiles. */
  isKnown: boolean;
  /** Rests of late: each makes the next one longer. One is forgotten after as long as the longest without another. */
  rests: number;
  changedAt: number;
  /** taking: it has its part. resting: it has none. trying: it has one shard. */
  state: 'taking' | 'resting' | 'trying';
}

export interface SharesOptions {
  readonly job: string;
  /** Of a step. */
  readonly shards: number;
  /** The highest level of the tree of shards whose nodes may be tasks; 0: each shard is one. */
  readonly highestLevel: number;
  readonly workers: Pick<Refusals, 'able'>;
  /** A worker is given nothing from now on: what it holds is others'. */
  readonly onRest: (worker: ConnectedWorker, why: WhyResting, ms: number) => void;
  /** A worker that rested is given a shard. */
  readonly onWake: (worker: ConnectedWorker) => void;
}

export class Shares {
  readonly #options: SharesOptions;
  readonly #records = new Map<string, Standing>();
  /** How many tasks of a step each worker was told to hold. */
  readonly #told = new WeakMap<ConnectedWorker, number>();
  /** Ids of workers that were waited for in vain, and have not answered since. */
  readonly #idle = new Set<string>();
  #judgedAt = Number.NEGATIVE_INFINITY;
  #level = 0;

  constructor(options: SharesOptions) {
    this.#options = options;
  }

  /** The level of the tree of shards whose nodes are best handed out as tasks now: 2 ** level shards each. */
  get level(): number {
    return this.#level;
  }

  get idle(): ReadonlySet<string> {
    return this.#idle;
  }

  isResting(worker: string): boolean {
    return this.#records.get(worker)?.state === 'resting';
  }

  /** Whether a worker that rested is being tried. */
  get isTrying(): boolean {
    for (const { state } of this.#records.values()) if (state === 'trying') return true;
    return false;
  }

  /** Whether it has rested of late: nobody waits long for it. */
  isSuspect(worker: string): boolean {
    return (this.#records.get(worker)?.rests ?? 0) > 0;
  }

  /** Those who compute the job now. */
  taking(): ConnectedWorker[] {
    return this.#options.workers.able().filter(({ id }) => !this.isResting(id));
  }

  /** These were waited for in vain. */
  waitedFor(workers: readonly string[], now: number): void {
    if (workers.length === 0) return;
    for (const worker of workers) this.#idle.add(worker);
    // Where all are idle, whoever wakes first is to find its whole part.
    const others = this.#active().some(({ id }) => !this.#idle.has(id));
    for (const worker of others ? workers : []) {
      const record = this.#record(worker, now);
      if (record.isKnown) this.#rest(worker, 'late', now);
      // A single task shows when it computes.
      else record.isKnown = true;
    }
    this.tell();
  }

  /** An answer of a worker counts. */
  answered(worker: string, now: number): void {
    this.#record(worker, now).isKnown = true;
    if (this.#idle.size > 0 && this.#idle.delete(worker)) this.tell();
  }

  /** A step has its answers. @param each shards that a task of it had */
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

  /** Call now and then: ends rests. */
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

  /** Call when a worker has joined, left, or takes no more tasks: the others take its part. */
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
      // Each that joins or leaves may change all parts; of hundreds, few do.
      if (this.#told.get(worker) === tasks) continue;
      this.#told.set(worker, tasks);
      worker.send({ $case: 'share', value: { job: this.#options.job, tasks } });
    }
  }

  /** Tasks of each of these: by pace where that is known of all, by slots until then. */
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
    // How long a task takes at each is a multiple of what a shard does, the same for all.
    const counts = isKnown ? allot(known, tasks) : bySlots;
    // More than a worker's part by slots is for those who are faster; all together hold each shard.
    return new Map(workers.map(({ id }, index) => [id, Math.max(1, counts[index]!)]));
  }

  #paceOf({ id, slots }: ConnectedWorker) {
    const record = this.#records.get(id);
    return record && record.steps >= JUDGED_STEPS ? { slots, ms: record.ms.median } : undefined;
  }

  /** Workers that are too slow to help rest; parts follow what is delivered. */
  #judge(now: number): void {
    const { shards } = this.#options;
    const isTried = [...this.#records.values()].some(({ state, steps }) => state === 'trying' && steps > 0);
    if (!isTried && now < this.#judgedAt + JUDGED_MS) return;
    this.#judgedAt = now;
    // The slowest first: without it the others may be as good as they can be.
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

  /** Where nobody else is left, those who rest compute. */
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
