/** Bytes that come in pieces, taken in the lengths that a reader needs. */
export class ByteQueue {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** So many bytes, or fewer where they end. Valid until the next call. */
  async take(length: number): Promise<Uint8Array> {
    if (this.#held.length < length) await this.#fetch(length);
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }

  async #fetch(length: number): Promise<void> {
    const pieces = [this.#held];
    let held = this.#held.length;
    while (held < length) {
      const { done, value } = await this.#pieces.next();
      if (done) break;
      pieces.push(value);
      held += value.length;
    }
    this.#held = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}
