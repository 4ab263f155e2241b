/**
 * Work that is done one piece at a time for each of many callers, and a few at a time for all: they take turns, so that whoever asks for
 * little does not wait for whoever asks for much. What may wait is bounded, of each caller and of all.
 */
import { KasaneError } from '@kasane/protocol/errors';

/** Who asks, and whether the answer is still wanted. */
export interface Asker {
  /** Callers with the same name share one turn. */
  readonly caller: string;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/** There is no room now; later there may be. */
export class Busy extends KasaneError {
  constructor(message: string) {
    super('LIMIT', message);
  }
}

export interface CallerTurnsOptions {
  /** What waits, for the refusal: "job files". */
  readonly what: string;
  /** Pieces under way at once, each for another caller. */
  readonly atOnce: number;
  /** Pieces of one caller, the one under way included, */
  readonly perCaller: number;
  /** and of all together. */
  readonly all: number;
}

interface Piece {
  readonly begin: () => Promise<void>;
}

export class CallerTurns {
  readonly #options: CallerTurnsOptions;
  /** Pieces that wait, of each caller: the callers in the order of their turns. */
  readonly #waiting = new Map<string, Set<Piece>>();
  #count = 0;
  /** Callers of whom a piece is under way. */
  readonly #underWay = new Set<string>();

  constructor(options: CallerTurnsOptions) {
    this.#options = options;
  }

  /**
   * Does a piece of work when its caller's turn has come. It is never begun when the client is gone by then.
   * @throws KasaneError LIMIT when too much waits already
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
      // Behind the others, those who came meanwhile included.
      if (rest) {
        this.#waiting.delete(caller);
        this.#waiting.set(caller, rest);
      }
      this.#next();
    });
  }

  /** Takes a piece out of those that wait. */
  #take(caller: string, piece: Piece): void {
    const own = this.#waiting.get(caller);
    if (!own?.delete(piece)) return;
    this.#count--;
    if (own.size === 0) this.#waiting.delete(caller);
  }
}

/** Nobody hears it. */
const clientGone = () => new KasaneError('UNREACHABLE', 'the client disconnected');
