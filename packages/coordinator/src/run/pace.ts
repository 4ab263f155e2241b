/** How long answers take, and how long none has come. Reads the clock, but nothing here affects weights. */
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import { RecentTimes } from '../steps/median.ts';

type Kind = TaskData['kind'];

/** A step has stalled after this long without progress, and this many times the usual time of a shard; the first step after FIRST_MS. */
const STALLED_MS = 5_000;
const STALLED_FACTOR = 5;
const FIRST_MS = 30_000;
/** Shorter tasks, in milliseconds, are enqueued several steps at a time. */
const SHORT_MS = 20;

/** Durations in milliseconds, moments by `performance.now()`. */
export class Pace {
  /** Median milliseconds from when a shard can be computed to its answer. */
  readonly #typical: Readonly<Record<Kind, RecentTimes>> = {
    train: new RecentTimes(),
    evaluate: new RecentTimes(),
  };
  #startedAt = 0;
  #progressAt = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  /** Computation alone, by the workers' clocks. */
  #computeMs = 0;

  /** When the current step began. */
  get startedAt(): number {
    return this.#startedAt;
  }

  /** From when workers can be late: once the step has begun and most workers have received its parameters. */
  get dueFrom(): number {
    return Math.max(this.#startedAt, this.#sentAt);
  }

  /** When there was last progress. */
  get progressAt(): number {
    return this.#progressAt;
  }

  /** Whether tasks are so short that one queue entry should contain several. */
  get isShort(): boolean {
    return this.#computeMs > 0 && this.#computeMs < SHORT_MS;
  }

  /** Time without progress. */
  get stillMs(): number {
    return performance.now() - Math.max(this.#progressAt, this.#startedAt);
  }

  /** The same once it is much longer than usual; 0 otherwise. */
  stalledMs(kind: Kind): number {
    const still = this.stillMs;
    const usual = this.#typical[kind].median;
    const most = usual > 0 ? Math.max(STALLED_MS, STALLED_FACTOR * usual) : FIRST_MS;
    return still > most ? still : 0;
  }

  /** The usual time from when a shard can be computed to its answer; 0 while unknown. */
  typicalMs(kind: Kind): number {
    return this.#typical[kind].median;
  }

  /** The part of it that is not computation. */
  transferMs(kind: Kind): number {
    return Math.max(0, this.#typical[kind].median - this.#computeMs);
  }

  begin(): void {
    this.#startedAt = performance.now();
  }

  /** Call while most workers are still receiving parameters. */
  sending(): void {
    this.#sentAt = performance.now();
  }

  /** Call when there is progress. */
  progressed(at: number): void {
    this.#progressAt = at;
  }

  /** An answer has counted. @param claimedAt when its worker took the task, if known */
  answered(kind: Kind, claimedAt: number | undefined, computeMs: number): void {
    this.#progressAt = performance.now();
    this.#typical[kind].add(this.#progressAt - Math.max(claimedAt ?? 0, this.#startedAt));
    this.#computeMs = this.#computeMs === 0 ? computeMs : 0.9 * this.#computeMs + 0.1 * computeMs;
  }
}
