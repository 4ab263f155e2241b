/** A job on the slots of a worker: a session each, opened when it is first needed. */
import { messageOf } from '@kasane/protocol/errors';
import type { ComputeSession, ComputeSlot } from '../slots/compute-slots.ts';
import { Abandoned, Unable } from '../slots/slot.ts';
import type { OpenedJob } from './opened-job.ts';
import type { ParameterStore } from './parameters.ts';

export interface SlotSessionsOptions {
  readonly job: OpenedJob;
  readonly onOpened: (slot: ComputeSlot, session: ComputeSession) => void;
  /** Called when it turns out that the job cannot be computed here, with the reason. */
  readonly onUnable: (why: string) => void;
}

export class SlotSessions {
  readonly #options: SlotSessionsOptions;
  readonly #sessions = new Map<ComputeSlot, Promise<ComputeSession>>();
  readonly #closed = new AbortController();

  constructor(options: SlotSessionsOptions) {
    this.#options = options;
  }

  /** @throws Unable when the slot cannot compute the job; Abandoned when the job is over here */
  of(slot: ComputeSlot): Promise<ComputeSession> {
    // Whoever waited for a slot may get one that has come since, and would begin anew.
    if (this.#closed.signal.aborted) return Promise.reject(new Abandoned());
    const known = this.#sessions.get(slot);
    if (known) return known;
    const { job, onOpened, onUnable } = this.#options;
    const opening = slot.ready
      .then(() => {
        const { model, requests, math, local, rounding } = job;
        const how = { local: local?.optimizer, rounding };
        return slot.open(model.description, requests, math, how, this.#closed.signal);
      })
      .then((session) => {
        onOpened(slot, session);
        return session;
      });
    this.#sessions.set(slot, opening);
    opening.catch((error: unknown) => {
      if (error instanceof Unable && !this.#closed.signal.aborted) onUnable(messageOf(error));
    });
    return opening;
  }

  close(): void {
    this.#closed.abort();
    for (const [slot, session] of this.#sessions) {
      session
        .then((opened) => {
          slot.abandon(opened);
          slot.close(opened);
        })
        .catch(() => {}); // it never opened, and the task that needed it has heard
    }
  }
}

/** Sees to it that a slot has a version's parameters, unless it has them. */
export function handParameters(
  store: ParameterStore,
  version: number,
  slot: ComputeSlot,
  session: ComputeSession,
): void {
  const { holds } = session;
  if (holds?.source === store && holds.version === version) return;
  const values = slot.parameters(session);
  if (store.values.buffer !== values.buffer) values.set(store.values.subarray(0, values.length));
  session.holds = { source: store, version };
}
