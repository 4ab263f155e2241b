/** Turns of the jobs that share the workers. `steps/share-out.ts` decides which job is next; here jobs wait and are woken. */
import { isSameReason, type Reason } from '@kasane/protocol/reasons';
import type { Spare } from '../run/idle-slots.ts';
import { type Sharer, shareOut } from '../steps/share-out.ts';

export class Turns {
  readonly #slots: () => number;
  readonly #turns = new Set<Turn>();

  /** @param slots current number of slots of all workers */
  constructor(slots: () => number) {
    this.#slots = slots;
  }

  /**
   * Adds a job that shares the workers, with the same usage as the least served job of its priority.
   * @param onWhy called when the reason why it has no turn has changed
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

  /** Grants turns. Call when workers have joined or left. */
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
  /** The lowest usage among the others of its priority; infinite if there is none. */
  readonly level: (of: Turn) => number;
  readonly spare: () => Spare;
}

/** One job's share of the workers. */
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

  /** Slots that are left over by all jobs that share the workers. */
  get spare(): Spare {
    return this.#ties.spare();
  }

  /** Why it has no turn; undefined while it has one. */
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

  /** On a new priority it starts level with the jobs there: earlier usage gives no credit. */
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
   * Call when a step is over. Undefined: the next may begin at once; otherwise it may when the promise resolves.
   * @param usedMs slot milliseconds that the step used
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

  /** Call when the step under way has stalled, or has resumed: other jobs share the slots without it meanwhile. */
  stand(still: boolean): void {
    const [from, to] = still ? (['computing', 'still'] as const) : (['still', 'computing'] as const);
    if (this.#state !== from) return;
    this.#state = to;
    this.#ties.changed();
  }

  /** Rejects the current wait and all later ones. */
  stop(reason: Error): void {
    this.#stopped = reason;
    this.#wake?.reject(reason);
    this.#wake = undefined;
  }

  /** Removes the job; the others share the slots without it. */
  leave(): void {
    this.#state = 'away';
    this.#ties.left();
  }
}
