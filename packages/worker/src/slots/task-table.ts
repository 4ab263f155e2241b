/**
 * What a run takes and what it comes to, beside the samples' inputs: memory that both sides of a slot share, so that a task of several
 * pieces is one run, and wakes each side once.
 *
 *     words  0 to 3     numbers of pieces, of words of targets, of ids and of the key
 *            then       a row for each piece: see below
 *            then       results of each piece: four float64
 *            then       targets, ids, key
 */
import type { Place, ProgramLayout } from '@kasane/tensor/backends/layout';
import type { SlotInputs } from './slot.ts';

const HEADER = 4;
/** Words of a row, an even number: results are float64. */
const ROW = 6;
const RESULTS = 4;

/** One pass of a program over some of a task's samples, as both sides of a slot see it. */
export interface TaskRow {
  /** Index of the program. */
  readonly program: number;
  /** First sample. */
  readonly start: number;
  /** What becomes of the gradients: GRADIENTS_ALL and so on. */
  readonly gradients: number;
  /** Of a group of shards: see ShardSum. */
  readonly kept: number;
  readonly added: number;
  readonly isKept: boolean;
}

export interface TaskResults {
  readonly lossSum: number;
  readonly metricSum: number;
  readonly counted: number;
  readonly weight: number;
}

export type TaskMemory = Pick<SlotInputs, 'target' | 'ids' | 'key'>;

/** Bytes that a table takes. */
export const tableBytes = (pieces: number, { target, ids, key }: TaskMemory): number =>
  4 * (HEADER + pieces * (ROW + 2 * RESULTS) + target.length + ids.length + key.length);

export class TaskTable {
  readonly memory: SharedArrayBuffer;
  readonly #words: Uint32Array;
  readonly #numbers: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Uint32Array(memory);
    this.#numbers = new Float64Array(memory, 0, memory.byteLength >> 3);
  }

  /** @param isWhole whether targets are whole numbers; otherwise they become floats */
  write(rows: readonly TaskRow[], { target, ids, key }: TaskMemory, isWhole: boolean): void {
    const words = this.#words;
    words[0] = rows.length;
    words[1] = target.length;
    words[2] = ids.length;
    words[3] = key.length;
    for (const [index, { program, start, gradients, kept, added, isKept }] of rows.entries())
      words.set([program, start, gradients, kept, added, Number(isKept)], HEADER + ROW * index);
    const at = this.#targetsAt;
    const goals = isWhole
      ? new Int32Array(this.memory, 4 * at, target.length)
      : new Float32Array(this.memory, 4 * at, target.length);
    goals.set(target);
    words.set(ids, at + target.length);
    words.set(key, at + target.length + ids.length);
  }

  get pieces(): number {
    return this.#words[0]!;
  }

  row(piece: number): TaskRow {
    const at = HEADER + ROW * piece;
    const [words, program] = [this.#words, this.#words[at]!];
    return {
      ...{ program, start: words[at + 1]!, gradients: words[at + 2]! },
      ...{ kept: words[at + 3]!, added: words[at + 4]!, isKept: words[at + 5] === 1 },
    };
  }

  /** Copies a piece's targets, ids and key to where its program has them. @param into all words of the program's memory */
  copy(start: number, { samples, labels, sampleIds, key }: ProgramLayout, into: Uint32Array): void {
    const words = this.#words;
    const [targets, ids] = [words[1]!, words[2]!];
    const targetsAt = this.#targetsAt;
    const put = (at: number, { offset, length }: Place) =>
      into.set(words.subarray(at, at + length), offset / 4);
    put(targetsAt + (start * labels.length) / samples, labels);
    if (sampleIds.length === 0) return;
    put(targetsAt + targets + (start * sampleIds.length) / samples, sampleIds);
    put(targetsAt + targets + ids, key);
  }

  setResults(piece: number, { lossSum, metricSum, counted, weight }: TaskResults): void {
    const at = this.#resultsAt + RESULTS * piece;
    this.#numbers[at] = lossSum;
    this.#numbers[at + 1] = metricSum;
    this.#numbers[at + 2] = counted;
    this.#numbers[at + 3] = weight;
  }

  results(piece: number): TaskResults {
    const [numbers, at] = [this.#numbers, this.#resultsAt + RESULTS * piece];
    return {
      ...{ lossSum: numbers[at]!, metricSum: numbers[at + 1]! },
      ...{ counted: numbers[at + 2]!, weight: numbers[at + 3]! },
    };
  }

  /** Index of a float64. */
  get #resultsAt(): number {
    return (HEADER + ROW * this.#words[0]!) / 2;
  }

  get #targetsAt(): number {
    return HEADER + this.#words[0]! * (ROW + 2 * RESULTS);
  }
}
