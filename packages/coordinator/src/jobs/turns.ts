/** The turns of the jobs that share the workers. Who is next is said by `steps/share-out.ts`; here they wait and are woken. */
import { isSameReason, type Reason } from '@kasane/protocol/reasons';
import type { Spare } from '../run/idle-slots.ts';
import { type Sharer, shareOut } from '../steps/share-out.ts';

export class Turns {
  readonly #slots: () => number;
  readonly #turns = new Set<Turn>();

  /** @param slots how many all workers have together now */
  constructor(slots: () => number) {
    this.#slots = slots;
  }

  /**
   * A job that shares the workers from now on, behind nobody who has its priority and ahead of nobody.
   * @param onWhy called when why it has no turn has changed
   */
  enter(id: string, shards: number, priority: number, onWhy: () => void = () => {}): Turn {
    const turn: Turn = new Turn(id, shards, {
      onWhy,
      changed: () => this.consider(),
      left: () => {
        this.#turns.delete(turn);
        this.consider();
      },
      level: (of) => {
        const equals = [...this.#turns].filter((other) => other !== of && other.priority === of.priority);
        return Math.min(...equals.map(({ usedMs }) => usedMs));
      },
      spare: () => {
        const slots = this.#slots();
        return { slots, idle: [...this.#turns].reduce((idle, { shards: taken }) => idle - taken, slots) };
      },
    });
    this.#turns.add(turn);
    turn.priority = priority;
    return turn;
  }

  /** Gives turns to those that may have one. Call when workers have joined or left. */
  consider(): void {
    const { granted, why } = shareOut([...this.#turns], this.#slots());
    for (const turn of this.#turns) turn.why = why.get(turn.id);
    for (const id of granted) for (const turn of this.#turns) if (turn.id === id) turn.grant();
  }
}

interface Ties {
  readonly onWhy: () => void;
  readonly changed: () => void;
  readonly left: () => void;
  /** The least that another of its priority has used; infinite when there is none. */
  readonly level: (of: Turn) => number;
  readonly spare: () => Spare;
}

/** One job's part in it. */
export class Turn implements Sharer {
  readonly id: string;
  readonly shards: number;
  readonly #ties: Ties;
  #priority = 0;
  #usedMs = 0;
  #why: Reason | undefined;
  #state: Sharer['state'] = 'away';
  #wake: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #stopped: Error | undefined;

  constructor(id: string, shards: number, ties: Ties) {
    this.id = id;
    this.shards = shards;
    this.#ties = ties;
  }

  /** What the shards of all jobs that share the workers leave of the slots. */
  get spare(): Spare {
    return this.#ties.spare();
  }

  /** Why it has none; undefined while it has. */
  get why(): Reason | undefined {
    return this.#why;
  }

  set why(why: Reason | undefined) {
    if (isSameReason(why, this.#why)) return;
    this.#why = why;
    this.#ties.onWhy();
  }

  get priority(): number {
    return this.#priority;
  }

  /** One who comes to a priority begins level with those who are there: it has no credit from before. */
  set priority(priority: number) {
    this.#priority = priority;
    const level = this.#ties.level(this);
    if (Number.isFinite(level)) this.#usedMs = level;
    this.#ties.changed();
  }

  get usedMs(): number {
    return this.#usedMs;
  }

  get state(): Sharer['state'] {
    return this.#state;
  }

  /**
   * A step is over, the next is wanted. Undefined: it may begin at once; else it may when the promise resolves.
   * @param usedMs milliseconds of a slot that the step took
   */
  next(usedMs: number): Promise<void> | undefined {
    if (this.#stopped) return Promise.reject(this.#stopped);
    this.#usedMs += usedMs;
    this.#state = 'waiting';
    this.#ties.changed();
    if (this.#state !== 'waiting') return undefined;
    return new Promise((resolve, reject) => {
      this.#wake = { resolve, reject };
    });
  }

  grant(): void {
    this.#state = 'computing';
    this.#wake?.resolve();
    this.#wake = undefined;
  }

  /** Nothing comes of the step under way, or something does again: meanwhile others share the slots without it. */
  stand(still: boolean): void {
    const [from, to] = still ? (['computing', 'still'] as const) : (['still', 'computing'] as const);
    if (this.#state !== from) return;
    this.#state = to;
    this.#ties.changed();
  }

  /** Ends a wait, and those to come, with an error. */
  stop(reason: Error): void {
    this.#stopped = reason;
    this.#wake?.reject(reason);
    this.#wake = undefined;
  }

  /** The others share without it. */
  leave(): void {
    this.#state = 'away';
    this.#ties.left();
  }
}
