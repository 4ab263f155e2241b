/** The answers of the current step, by shard: those that count, those that were refused, and those that came early. */
import type { TaskId, TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import type { Answer } from './answers.ts';

type Kind = TaskData['kind'];

/** Limit of early answers: more than a step has shards. */
const MOST_EARLY = 4096;

export interface EarlyAnswer {
  readonly worker: string;
  readonly task: TaskId;
  readonly result: TaskResult;
}

export class StepAnswers {
  readonly #counted: Readonly<Record<Kind, Map<number, Answer>>> = { train: new Map(), evaluate: new Map() };
  /** Answers that were not finite. */
  readonly #refused = new Map<number, Answer>();
  /** Answers to the next step, which workers may start before this one is committed. */
  #early: EarlyAnswer[] = [];
  #step = 0;
  #answered = 0;
  #progressed = 0;

  /** The current step; only its training answers count. */
  get step(): number {
    return this.#step;
  }

  /** The step, and how many answers and progress messages have counted since it began. */
  get reached(): { readonly step: number; readonly answers: number } {
    return { step: this.#step, answers: this.#answered + this.#progressed };
  }

  /** Begins a step. Returns the answers to it that came early. */
  begin(step: number): EarlyAnswer[] {
    this.#step = step;
    this.#answered = 0;
    this.#progressed = 0;
    this.#counted.train.clear();
    this.#refused.clear();
    return this.#early.splice(0);
  }

  /** Discards the answers, since the step is recomputed. */
  redo(): void {
    this.#answered = 0;
    this.#counted.train.clear();
    this.#early = [];
  }

  /** Keeps an answer to the next step. */
  keep(answer: EarlyAnswer): void {
    if (this.#early.length < MOST_EARLY) this.#early.push(answer);
  }

  add(kind: Kind, shard: number, answer: Answer): void {
    this.#counted[kind].set(shard, answer);
    this.#answered++;
  }

  /** A worker reports progress in a round. */
  progressed(): void {
    this.#progressed++;
  }

  of(kind: Kind, shard: number): Answer | undefined {
    return this.#counted[kind].get(shard);
  }

  /** Whether a worker has answered. */
  has(kind: Kind, worker: string): boolean {
    return [...this.#counted[kind].values()].some((answer) => answer.worker === worker);
  }

  /** An evaluation has been counted. */
  evaluated(): void {
    this.#counted.evaluate.clear();
  }

  /** Takes back the answer to a training shard, if there is one, and returns it. */
  refuse(shard: number): Answer | undefined {
    const answer = this.#counted.train.get(shard);
    if (!answer) return undefined;
    this.#counted.train.delete(shard);
    this.#refused.set(shard, answer);
    // A refused answer is no progress.
    this.#answered--;
    return answer;
  }

  wasRefused(shard: number): boolean {
    return this.#refused.has(shard);
  }

  /** Counts a refused answer as zero, so that the step continues without the shard. */
  leaveOut(shard: number): void {
    const nothing = { lossSum: 0, metricSum: 0, counted: 0, weight: 0, leftOut: true };
    this.#counted.train.set(shard, { ...this.#refused.get(shard)!, ...nothing });
  }
}
