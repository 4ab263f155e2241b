/** How long answers travel, though no two clocks agree: longer than the fastest one of the same worker. */
export class Travel {
  /** Of each worker, milliseconds: the least between sending and arrival, which is mostly how its clock differs from ours. */
  readonly #fastest = new Map<string, number>();

  /** Milliseconds beyond the fastest answer of this worker. @param sentAt by the worker's clock, milliseconds since 1970 */
  extraMs(worker: string, sentAt: number): number {
    const took = performance.timeOrigin + performance.now() - sentAt;
    const fastest = Math.min(took, this.#fastest.get(worker) ?? Number.POSITIVE_INFINITY);
    this.#fastest.set(worker, fastest);
    return took - fastest;
  }

  forget(worker: string): void {
    this.#fastest.delete(worker);
  }
}
