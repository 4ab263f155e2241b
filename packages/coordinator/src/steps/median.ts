/** What is typical of the last numbers, whatever a few outliers say. */

/** Numbers that count. */
const WINDOW = 63;

/** Of an even number of values the upper of the two in the middle; 0 of none. */
export const medianOf = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

export class RecentTimes {
  readonly #recent: number[] = [];
  #sorted: readonly number[] | undefined;

  add(value: number): void {
    this.#recent.push(value);
    if (this.#recent.length > WINDOW) this.#recent.shift();
    this.#sorted = undefined;
  }

  /** 0 while there is none. */
  get median(): number {
    return this.#ascending[this.#recent.length >> 1] ?? 0;
  }

  /** A quarter of them are below it; 0 while there is none. */
  get lowerQuartile(): number {
    return this.#ascending[this.#recent.length >> 2] ?? 0;
  }

  get #ascending(): readonly number[] {
    this.#sorted ??= this.#recent.toSorted((a, b) => a - b);
    return this.#sorted;
  }
}
