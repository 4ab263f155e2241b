/** Holds a run back from its next step for an external reason. */
import { isSameReason, type Reason } from '@kasane/protocol/reasons';

export class Hold {
  #why: Reason | undefined;
  #over: PromiseWithResolvers<void> | undefined;
  #stopped = false;

  /** Why the run is held; undefined if it is not. */
  get why(): Reason | undefined {
    return this.#why;
  }

  /** Resolves when the run is not held any more. */
  get over(): Promise<void> | undefined {
    return this.#over?.promise;
  }

  /** @param why undefined: release the run. @returns whether that is a change */
  set(why: Reason | undefined): boolean {
    if (this.#stopped || isSameReason(why, this.#why)) return false;
    this.#why = why;
    if (!why) {
      this.#over?.resolve();
      this.#over = undefined;
    } else if (!this.#over) {
      this.#over = Promise.withResolvers();
      // It may be stopped before anybody waits.
      this.#over.promise.catch(() => {});
    }
    return true;
  }

  /** Rejects current waits, and holds nothing back from now on. */
  stop(reason: Error): void {
    this.#stopped = true;
    this.#why = undefined;
    this.#over?.reject(reason);
  }
}
