/** The sessions of a job, one per slot, opened on first use. */
import { messageOf } from '@kasane/protocol/errors';
import type { ComputeSession, ComputeSlot } from '../slots/compute-slots.ts';
import { Abandoned, Unable } from '../slots/slot.ts';
import type { OpenedJob } from './opened-job.ts';
import type { ParameterStore } from './parameters.ts';

export interface SlotSessionsOptions {
  readonly job: OpenedJob;
  readonly onOpened: (slot: ComputeSlot, session: ComputeSession) => void;
  /** Called with the reason if the job turns out not to be computable here. */
  readonly onUnable: (why: string) => void;
}

export class SlotSessions {
  readonly #options: SlotSessionsOptions;
  readonly #sessions = new Map<ComputeSlot, Promise<ComputeSession>>();
  readonly #closed = new AbortController();

  constructor(options: SlotSessionsOptions) {
    this.#options = options;
  }

  /** @throws Unable if the slot cannot compute the job; Abandoned if the job has ended here */
  of(slot: ComputeSlot): Promise<ComputeSession> {
    // A task may get a slot after the job has ended, and would open it again.
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
        .catch(() => {}); // it never opened, and the error went to the task that needed it
    }
  }
}

/** Makes sure that a slot has the parameters of a version. */
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
