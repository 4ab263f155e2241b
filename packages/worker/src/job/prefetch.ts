/**
 * Limits how many tasks hold samples before their step begins: a worker may hold tasks of several steps, whose samples would not always
 * fit in memory. The earliest step goes first. A task that can run now never waits, since it would wait for tasks that depend on it.
 */
export class Prefetch {
  #free: number;
  #waiting: { readonly step: number; readonly take: () => void }[] = [];

  /** @param places number of tasks that may hold samples ahead of their step */
  constructor(places: number) {
    this.#free = places;
  }

  /**
   * Resolves when the samples of a task of `step` may be fetched: when a place is free, or when `due` resolves, whichever comes first.
   * Call the resolved function when the samples are not needed any more.
   */
  enter(step: number, due: Promise<unknown>): Promise<() => void> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(() => this.#leave());
    }
    return new Promise((resolve) => {
      const waiter = { step, take: () => resolve(() => this.#leave()) };
      this.#waiting.push(waiter);
      void due.then(() => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        resolve(() => {});
      });
    });
  }

  #leave(): void {
    if (this.#waiting.length === 0) {
      this.#free++;
      return;
    }
    const next = this.#waiting.reduce((first, other) => (other.step < first.step ? other : first));
    this.#waiting = this.#waiting.filter((other) => other !== next);
    next.take();
  }
}
