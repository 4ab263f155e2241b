/** What keeps a run from its next step, by the word of somebody outside of it. */
import { isSameReason, type Reason } from '@kasane/protocol/reasons';

export class Hold {
  #why: Reason | undefined;
  #over: PromiseWithResolvers<void> | undefined;
  #stopped = false;

  /** Undefined while nothing does. */
  get why(): Reason | undefined {
    return this.#why;
  }

  /** Resolves when nothing keeps it any more. */
  get over(): Promise<void> | undefined {
    return this.#over?.promise;
  }

  /** @param why undefined: nothing keeps it. @returns whether that is new */
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

  /** Whoever waits hears this, and nothing is kept from now on. */
  stop(reason: Error): void {
    this.#stopped = true;
    this.#why = undefined;
    this.#over?.reject(reason);
  }
}
