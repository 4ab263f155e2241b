/** How long answers take, and for how long none has come. Reads the clock; nothing here reaches weights. */
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import { RecentTimes } from '../steps/median.ts';

type Kind = TaskData['kind'];

/** Without progress for this long, and for so many times what a shard usually takes, a step is stalled; the first one after FIRST_MS. */
const STALLED_MS = 5_000;
const STALLED_FACTOR = 5;
const FIRST_MS = 30_000;
/** Tasks that take less, in milliseconds, are queued several steps at a time. */
const SHORT_MS = 20;

/** Times in milliseconds, moments by `performance.now()`. */
export class Pace {
  /** Median milliseconds from when a shard can be computed to its answer. */
  readonly #typical: Readonly<Record<Kind, RecentTimes>> = {
    train: new RecentTimes(),
    evaluate: new RecentTimes(),
  };
  #startedAt = 0;
  #progressAt = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  /** Of the computation alone, by the workers' clocks. */
  #computeMs = 0;

  /** When the step under way began. */
  get startedAt(): number {
    return this.#startedAt;
  }

  /** From when on workers can be late: when the step under way began, and most had been sent what they compute with. */
  get dueFrom(): number {
    return Math.max(this.#startedAt, this.#sentAt);
  }

  /** When something last came of what is waited for. */
  get progressAt(): number {
    return this.#progressAt;
  }

  /** Whether tasks take so little that one entry of the queue should hold several. */
  get isShort(): boolean {
    return this.#computeMs > 0 && this.#computeMs < SHORT_MS;
  }

  /** For how long nothing has come of what is waited for. */
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

  /** What a shard usually takes from when it can be computed to its answer; 0: not known yet. */
  typicalMs(kind: Kind): number {
    return this.#typical[kind].median;
  }

  /** What of that is not computation. */
  transferMs(kind: Kind): number {
    return Math.max(0, this.#typical[kind].median - this.#computeMs);
  }

  begin(): void {
    this.#startedAt = performance.now();
  }

  /** Most workers are still being sent what they compute with. */
  sending(): void {
    this.#sentAt = performance.now();
  }

  /** Something has come of what is waited for. */
  progressed(at: number): void {
    this.#progressAt = at;
  }

  /** An answer has counted. @param claimedAt when its worker took the task, where that is known */
  answered(kind: Kind, claimedAt: number | undefined, computeMs: number): void {
    this.#progressAt = performance.now();
    this.#typical[kind].add(this.#progressAt - Math.max(claimedAt ?? 0, this.#startedAt));
    this.#computeMs = this.#computeMs === 0 ? computeMs : 0.9 * this.#computeMs + 0.1 * computeMs;
  }
}
