/** Between which values the numbers lie that are to be told, and where: an objective may be made for some numbers only. */

/** The smallest and the largest value of one of the numbers that are to be told. */
export interface TargetRange {
  readonly name: string;
  readonly least: FoundValue;
  readonly most: FoundValue;
}

interface FoundValue {
  /** As it is trained on. */
  readonly value: number;
  /** Where it stands: file and line. */
  readonly at: string;
}

/** Finds the ranges of several numbers, value by value. */
export class RangeFinder {
  readonly #names: readonly string[];
  readonly #found: { least: number; leastAt: number; most: number; mostAt: number }[];

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#found = names.map(() => ({ least: Infinity, leastAt: 0, most: -Infinity, mostAt: 0 }));
  }

  /** @param line of the file */
  see(index: number, value: number, line: number): void {
    const found = this.#found[index]!;
    if (value < found.least) Object.assign(found, { least: value, leastAt: line });
    if (value > found.most) Object.assign(found, { most: value, mostAt: line });
  }

  ranges(path: string): TargetRange[] {
    return this.#found.map(({ least, leastAt, most, mostAt }, index) => ({
      name: this.#names[index]!,
      least: { value: least, at: `${path}:${leastAt}` },
      most: { value: most, at: `${path}:${mostAt}` },
    }));
  }
}
