/**
 * Bounds how many tasks hold samples before their step has come: a worker may hold the tasks of several steps, and the samples
 * of all of them would not always fit. Places go to the earliest step first. What can run now never waits for a place: it
 * would wait for tasks that wait for it.
 */
export class Prefetch {
  #free: number;
  #waiting: { readonly step: number; readonly take: () => void }[] = [];

  /** @param places tasks that may hold samples ahead of their step */
  constructor(places: number) {
    this.#free = places;
  }

  /**
   * Resolves when the samples of a task of `step` may be fetched: when there is a place, or when `due` resolves, whichever
   * comes first. Call what it resolves to when the samples are not needed any more.
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
