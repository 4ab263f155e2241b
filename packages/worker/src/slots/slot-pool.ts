/** The slots of a worker: lends idle ones, and replaces those whose thread has died. */
import { messageOf } from '@kasane/protocol/errors';
import type { Logger } from 'pino';
import type { Trace } from '../observe/trace.ts';
import type { ComputeSlots } from './compute-slots.ts';
import type { Compute } from './gpu.ts';
import { GivenUp, Slot } from './slot.ts';

export class SlotPool implements ComputeSlots {
  readonly size: number;
  readonly #log: Logger;
  readonly #compute: Compute;
  readonly #trace: Trace | undefined;
  readonly #slots = new Set<Slot>();
  readonly #idle: Slot[] = [];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  #closed = false;

  constructor(size: number, log: Logger, compute: Compute = {}, trace?: Trace) {
    this.size = size;
    this.#compute = compute;
    this.#trace = trace;
    this.#log = log;
    for (let index = 0; index < size; index++) this.#add(index);
  }

  /** All slots, busy or not. */
  get all(): readonly Slot[] {
    return [...this.#slots];
  }

  /** Slots that compute now. */
  get busy(): number {
    return this.#slots.size - this.#idle.length;
  }

  /** The next idle slot, first come, first served. Return it with `release`. */
  async acquire(): Promise<Slot> {
    const slot = this.#idle.pop() ?? (await new Promise<Slot>((resolve) => this.#waiting.push(resolve)));
    await slot.ready.catch(() => {});
    return slot;
  }

  release(slot: Slot): void {
    if (!this.#slots.has(slot)) return;
    const next = this.#waiting.shift();
    if (next) next(slot);
    else this.#idle.push(slot);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#slots].map((slot) => slot.end()));
  }

  #add(number: number): void {
    const slot: Slot = new Slot(
      (error) => {
        if (this.#closed) return;
        if (error instanceof GivenUp) this.#log.info(`replacing a compute thread: ${error.message}`);
        else this.#log.error(`replacing a compute thread that died: ${messageOf(error)}`);
        this.#slots.delete(slot);
        const idle = this.#idle.indexOf(slot);
        if (idle >= 0) this.#idle.splice(idle, 1);
        // Avoids a tight loop if threads cannot start at all.
        setTimeout(() => this.#closed || this.#add(number), 500);
      },
      (warning) => this.#log.warn(warning),
      this.#compute,
      (kernels) => this.#trace?.kernels(number, kernels),
    );
    this.#slots.add(slot);
    this.release(slot);
  }
}
