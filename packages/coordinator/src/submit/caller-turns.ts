/**
 * A fair scheduler: one piece of work at a time per caller, a few at a time in total, so that a caller with little work does not wait for
 * one with a lot. The number of waiting pieces is limited, per caller and in total.
 */
import { KasaneError } from '@kasane/protocol/errors';

/** Who asks, and whether the answer is still wanted. */
export interface Asker {
  /** Callers with the same name share turns. */
  readonly caller: string;
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal;
}

/** There is no room now, but there may be later. */
export class Busy extends KasaneError {
  constructor(message: string) {
    super('LIMIT', message);
  }
}

export interface CallerTurnsOptions {
  /** What is waiting, for the error message: "job files". */
  readonly what: string;
  /** Pieces under way at once, each for a different caller. */
  readonly atOnce: number;
  /** Limit per caller, including the one under way, */
  readonly perCaller: number;
  /** and in total. */
  readonly all: number;
}

interface Piece {
  readonly begin: () => Promise<void>;
}

export class CallerTurns {
  readonly #options: CallerTurnsOptions;
  /** Waiting pieces by caller, with the callers in the order of their turns. */
  readonly #waiting = new Map<string, Set<Piece>>();
  #count = 0;
  /** Callers with a piece under way. */
  readonly #underWay = new Set<string>();

  constructor(options: CallerTurnsOptions) {
    this.#options = options;
  }

  /**
   * Runs a piece of work when its caller's turn has come, unless the client has disconnected by then.
   * @throws KasaneError LIMIT if too much is waiting already
   */
  async run<T>({ caller, signal }: Asker, work: () => Promise<T>): Promise<T> {
    if (signal.aborted) throw clientGone();
    this.#requireRoom(caller);
    return new Promise<T>((resolve, reject) => {
      const gone = () => {
        this.#take(caller, piece);
        reject(clientGone());
      };
      const piece: Piece = {
        begin: async () => {
          signal.removeEventListener('abort', gone);
          await work().then(resolve, reject);
        },
      };
      signal.addEventListener('abort', gone, { once: true });
      const own = this.#waiting.get(caller) ?? new Set();
      this.#waiting.set(caller, own.add(piece));
      this.#count++;
      this.#next();
    });
  }

  /** @throws KasaneError LIMIT */
  #requireRoom(caller: string): void {
    const { what, perCaller, all } = this.#options;
    const own = (this.#waiting.get(caller)?.size ?? 0) + (this.#underWay.has(caller) ? 1 : 0);
    if (own >= perCaller)
      throw new Busy(`${own} ${what} of this caller are waiting, which is the limit: try again later`);
    if (this.#count + this.#underWay.size >= all)
      throw new Busy(`${all} ${what} are waiting, which is the limit: try again later`);
  }

  #next(): void {
    if (this.#underWay.size >= this.#options.atOnce) return;
    for (const [caller, own] of this.#waiting) {
      if (this.#underWay.has(caller)) continue;
      const [piece] = own;
      this.#begin(caller, piece!);
      if (this.#underWay.size >= this.#options.atOnce) return;
    }
  }

  #begin(caller: string, piece: Piece): void {
    this.#take(caller, piece);
    this.#underWay.add(caller);
    void piece.begin().finally(() => {
      this.#underWay.delete(caller);
      const rest = this.#waiting.get(caller);
      // Behind all others, including those that came meanwhile.
      if (rest) {
        this.#waiting.delete(caller);
        this.#waiting.set(caller, rest);
      }
      this.#next();
    });
  }

  /** Removes a waiting piece. */
  #take(caller: string, piece: Piece): void {
    const own = this.#waiting.get(caller);
    if (!own?.delete(piece)) return;
    this.#count--;
    if (own.size === 0) this.#waiting.delete(caller);
  }
}

/** Rejects a promise that nobody awaits any more. */
const clientGone = () => new KasaneError('UNREACHABLE', 'the client disconnected');
