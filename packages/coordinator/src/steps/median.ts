/** Robust statistics of recent values, insensitive to outliers. */

/** Number of values kept. */
const WINDOW = 63;

/** For an even number of values, the upper of the two in the middle; 0 for none. */
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

  /** 0 while there are no values. */
  get median(): number {
    return this.#ascending[this.#recent.length >> 1] ?? 0;
  }

  /** A quarter of the values are below it; 0 while there are none. */
  get lowerQuartile(): number {
    return this.#ascending[this.#recent.length >> 2] ?? 0;
  }

  get #ascending(): readonly number[] {
    this.#sorted ??= this.#recent.toSorted((a, b) => a - b);
    return this.#sorted;
  }
}
