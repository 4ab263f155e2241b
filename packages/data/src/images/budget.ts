/** Tasks that take of something there is not more of, such as memory. */
export class Budget {
  readonly #whole: number;
  readonly #waiting: { readonly takes: number; readonly start: () => void }[] = [];
  #taken = 0;

  constructor(whole: number) {
    this.#whole = whole;
  }

  /** Runs tasks in the order in which they came, as many at once as the whole allows: one that takes more runs alone. */
  async run<T>(takes: number, task: () => Promise<T>): Promise<T> {
    const takesAtMost = Math.min(takes, this.#whole);
    if (takesAtMost > 0) {
      await new Promise<void>((start) => {
        this.#waiting.push({ takes: takesAtMost, start });
        this.#next();
      });
    }
    try {
      return await task();
    } finally {
      this.#taken -= takesAtMost;
      this.#next();
    }
  }

  #next(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (!first || this.#taken + first.takes > this.#whole) return;
      this.#waiting.shift();
      this.#taken += first.takes;
      first.start();
    }
  }
}
