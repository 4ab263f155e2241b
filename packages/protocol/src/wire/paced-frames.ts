/**
 * Frames on their way to one other end. Over a slow link no more bytes are under way than fit the queues of the network: where all workers
 * send to all others at once, those would overflow, and TCP waits for tenths of a second, or for seconds, before it tries again.
 */
export class PacedFrames {
  readonly #send: (frame: Buffer) => void;
  #window = 0;
  /** Lengths of those that were sent and that the other end has not taken yet, in this order. */
  readonly #sent: number[] = [];
  #bytes = 0;
  readonly #waiting: { readonly frame: Buffer; readonly left: () => void }[] = [];

  constructor(send: (frame: Buffer) => void) {
    this.#send = send;
  }

  /** Bytes that may be under way, but for a frame that is longer; 0: any, and nothing is heard of those that are taken. */
  get window(): number {
    return this.#window;
  }

  set window(bytes: number) {
    this.#window = bytes;
    this.#flush();
  }

  /** Sends a frame when its turn comes. Resolves when it has been sent, or never will be. */
  send(frame: Buffer): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#hasRoom(frame)) {
      this.#put(frame);
      return undefined;
    }
    return new Promise((left) => this.#waiting.push({ frame, left }));
  }

  /** The other end has taken one more. */
  took(): void {
    this.#bytes -= this.#sent.shift() ?? 0;
    this.#flush();
  }

  /** The link is no more. */
  close(): void {
    for (const { left } of this.#waiting.splice(0)) left();
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#hasRoom(this.#waiting[0]!.frame)) {
      const { frame, left } = this.#waiting.shift()!;
      this.#put(frame);
      left();
    }
  }

  #hasRoom(frame: Buffer): boolean {
    return this.#window === 0 || this.#sent.length === 0 || this.#bytes + frame.length <= this.#window;
  }

  #put(frame: Buffer): void {
    if (this.#window > 0) {
      this.#sent.push(frame.length);
      this.#bytes += frame.length;
    }
    this.#send(frame);
  }
}
