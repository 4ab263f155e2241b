/**
 * Frames that nobody waits for yet, such as sums for the coordinator: they leave once their step counts, and after those frames of it that
 * other workers wait for. One leaves now and then all the same, so that whoever expects them sees that they come.
 */

/** One leaves after so long, in milliseconds, whatever holds it back, */
const PATIENCE_MS = 250;
/** and all whose step counts, where nothing that goes first has left for so long: a link may be cut. */
const STALLED_MS = 1_000;

interface Spare {
  readonly step: number;
  readonly frame: Buffer;
  readonly left: () => void;
}

export class SpareFrames {
  /** Sends one. Resolves when there is room for the next. */
  readonly #send: (frame: Buffer) => Promise<void>;
  readonly #waiting: Spare[] = [];
  #isSending = false;
  /** Frames that go first and have not left, by step. */
  readonly #urgent = new Map<number, number>();
  #movedAt = 0;
  #counted = -1;
  #wake: () => void = () => {};

  constructor(send: (frame: Buffer) => Promise<void>) {
    this.#send = send;
  }

  /** Sends a frame when its turn comes, after those that wait. Resolves when it has left, or never will. */
  push(step: number, frame: Buffer): Promise<void> {
    const left = new Promise<void>((resolve) => this.#waiting.push({ step, frame, left: resolve }));
    if (!this.#isSending) void this.#sendAll();
    return left;
  }

  /** What is pushed for this step, or a later one, leaves after this. @param left resolves when it has left, or never will */
  after(step: number, left: Promise<unknown>): void {
    this.#urgent.set(step, (this.#urgent.get(step) ?? 0) + 1);
    this.#movedAt = performance.now();
    void left.finally(() => {
      const rest = this.#urgent.get(step)! - 1;
      if (rest > 0) this.#urgent.set(step, rest);
      else this.#urgent.delete(step);
      this.#movedAt = performance.now();
      this.#wake();
    });
  }

  /** Steps up to this one count. */
  counts(step: number): void {
    this.#counted = Math.max(step, this.#counted);
    this.#wake();
  }

  /** Nobody needs those that wait any more. */
  clear(): void {
    this.#counted = -1;
    for (const { left } of this.#waiting.splice(0)) left();
    this.#wake();
  }

  #isHeld(step: number): boolean {
    if (step > this.#counted) return true;
    if (performance.now() > this.#movedAt + STALLED_MS) return false;
    return [...this.#urgent.keys()].some((urgent) => urgent <= step);
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      await this.#turn(next);
      if (this.#waiting[0] !== next) continue;
      this.#waiting.shift();
      await this.#send(next.frame);
      next.left();
    }
    this.#isSending = false;
  }

  /** Resolves when one may leave, or nobody needs it any more. */
  async #turn(spare: Spare): Promise<void> {
    if (!this.#isHeld(spare.step)) return;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, PATIENCE_MS);
    while (!isLate && this.#waiting[0] === spare && this.#isHeld(spare.step))
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    clearTimeout(timer);
  }
}
