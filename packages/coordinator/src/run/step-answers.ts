/** The answers of the step under way, by shard: those that count, those that were refused, and those that came too early. */
import type { TaskId, TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import type { Answer } from './answers.ts';

type Kind = TaskData['kind'];

/** Answers that wait for their step: more than a step has shards. */
const MOST_EARLY = 4096;

export interface EarlyAnswer {
  readonly worker: string;
  readonly task: TaskId;
  readonly result: TaskResult;
}

export class StepAnswers {
  readonly #counted: Readonly<Record<Kind, Map<number, Answer>>> = { train: new Map(), evaluate: new Map() };
  /** Those whose numbers were not finite. */
  readonly #refused = new Map<number, Answer>();
  /** Those to the next step, which workers may begin before this one has been counted. */
  #early: EarlyAnswer[] = [];
  #step = 0;
  #answered = 0;
  #progressed = 0;

  /** The step under way: training answers count for it alone. */
  get step(): number {
    return this.#step;
  }

  /** The step, and how many answers, and signs of tasks that go on, have counted since it began. */
  get reached(): { readonly step: number; readonly answers: number } {
    return { step: this.#step, answers: this.#answered + this.#progressed };
  }

  /** Begins a step. Returns the answers to it that have come already. */
  begin(step: number): EarlyAnswer[] {
    this.#step = step;
    this.#answered = 0;
    this.#progressed = 0;
    this.#counted.train.clear();
    this.#refused.clear();
    return this.#early.splice(0);
  }

  /** The step is computed again. */
  redo(): void {
    this.#answered = 0;
    this.#counted.train.clear();
    this.#early = [];
  }

  /** An answer to the next step. */
  keep(answer: EarlyAnswer): void {
    if (this.#early.length < MOST_EARLY) this.#early.push(answer);
  }

  add(kind: Kind, shard: number, answer: Answer): void {
    this.#counted[kind].set(shard, answer);
    this.#answered++;
  }

  /** A worker says that a round goes on. */
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
    // What is no good is no progress.
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
