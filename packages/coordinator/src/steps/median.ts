/** The median of the last numbers: what is typical, whatever a few outliers say. */

/** Numbers that count. */
const WINDOW = 63;

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
    this.#median ??= [...this.#recent].sort((a, b) => a - b)[this.#recent.length >> 1] ?? 0;
    return this.#median;
  }
}
