/** Buffers for samples, used again: fresh ones would be zeroed and paged in for each task. */
export class SampleBuffers<T extends Float32Array | Uint8Array> {
  readonly #type: new (
    length: number,
  ) => T;
  readonly #idle = new Map<number, T[]>();

  /** @param type of the buffers */
  constructor(type: new (length: number) => T) {
    this.#type = type;
  }

  /** A buffer of exactly `length` elements, with whatever it held before. */
  take(length: number): T {
    return this.#idle.get(length)?.pop() ?? new this.#type(length);
  }

  give(buffer: T): void {
    const idle = this.#idle.get(buffer.length);
    if (idle) idle.push(buffer);
    else this.#idle.set(buffer.length, [buffer]);
  }
}
