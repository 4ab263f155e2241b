/** The median of the last numbers: what is typical, whatever a few outliers say. */

/** Numbers that count. */
const WINDOW = 63;

/** Of an even number of values the upper of the two in the middle; 0 of none. */
export const medianOf = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

export class RecentMedian {
  readonly #recent: number[] = [];
  #median: number | undefined;

  add(value: number): void {
    this.#recent.push(value);
    if (this.#recent.length > WINDOW) this.#recent.shift();
    this.#median = undefined;
  }

  /** 0 while there is none. */
  get value(): number {
    this.#median ??= medianOf(this.#recent);
    return this.#median;
  }
}
