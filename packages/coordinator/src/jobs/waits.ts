/** Records when a job is held up, and when it continues. Waits that happen many times a second are no events. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { hasEnded } from '@kasane/protocol/job-state';
import { isPassing, type Reason } from '@kasane/protocol/reasons';
import type { EventRecord } from '../store/event-record.ts';
import type { JobRecord } from '../store/job-record.ts';

export class Waits {
  readonly #events: Pick<EventRecord, 'add'>;
  /** By job, what holds it up: the code, and what could not be written. A change of arguments is no event. */
  readonly #heldUp = new Map<string, string>();

  #closed = false;

  constructor(events: Pick<EventRecord, 'add'>) {
    this.#events = events;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Jobs that stop with their coordinator are not waiting. */
  close(): void {
    this.#closed = true;
  }

  /** Call when something about a job has changed. @param why it is waiting; undefined if it is not @param step last completed step */
  look({ id, state, startedAt }: JobRecord, why: Reason | undefined, step: number): void {
    if (this.#closed) return;
    if (state === JobState.JOB_STATE_PAUSED || hasEnded(state)) {
      this.#heldUp.delete(id);
      return;
    }
    if (why?.code === 'stopping') return;
    const heldUp = why && !isPassing(why) ? `${why.code} ${why.args.writing ?? ''}` : undefined;
    if (heldUp === this.#heldUp.get(id)) return;
    if (why && heldUp !== undefined) {
      this.#heldUp.set(id, heldUp);
      this.#events.add(id, { code: 'waiting', args: {}, reason: why });
      return;
    }
    this.#heldUp.delete(id);
    // The start of a job is an event of its own.
    if (startedAt > 0) this.#events.add(id, { code: 'continued', args: { step } });
  }
}
