/** Travel time of answers without synchronized clocks: how much longer than the fastest one of the same worker. */
export class Travel {
  /** By worker, in milliseconds: the least difference between sending and arrival, most of which is the difference between the clocks. */
  readonly #fastest = new Map<string, number>();

  /** Milliseconds beyond this worker's fastest answer. @param sentAt by the worker's clock, milliseconds since 1970 */
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
