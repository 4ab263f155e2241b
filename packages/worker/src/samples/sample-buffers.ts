/** Reused buffers for samples: new ones would be zeroed and paged in for each task. */
export class SampleBuffers<T extends Float32Array | Uint8Array> {
  readonly #make: (length: number) => T;
  readonly #idle = new Map<number, T[]>();

  constructor(make: (length: number) => T) {
    this.#make = make;
  }

  /** A buffer of exactly `length` elements, not cleared. */
  take(length: number): T {
    return this.#idle.get(length)?.pop() ?? this.#make(length);
  }

  give(buffer: T): void {
    const idle = this.#idle.get(buffer.length);
    if (idle) idle.push(buffer);
    else this.#idle.set(buffer.length, [buffer]);
  }
}

/** Memory that compute threads read without a copy. */
export const sharedFloats = (length: number): Float32Array =>
  new Float32Array(new SharedArrayBuffer(4 * length));
