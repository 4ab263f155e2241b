/**
 * What a worker needs of those that compute for it. They are threads, or GPU queues (slot.ts, lent by slot-pool.ts); whoever tests
 * everything but the computation gives a worker some that only answer.
 */
import type { MathMode } from '@kasane/tensor/backends/backend';
import type { Rounding } from '@kasane/tensor/internal/optim/rounding';
import type { ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import type { LocalOptimizer, LocalUpdate } from './local-updates.ts';
import type { Arrival, Piece, RunOptions, RunOutcome, SlotInputs } from './slot.ts';

/** How a job trains beyond its programs. */
export interface SessionOptions {
  /** What replicas update themselves by; undefined: the job has no local steps. */
  readonly local?: LocalOptimizer | undefined;
  /** To what the gradients of a task are rounded; undefined: they are not. */
  readonly rounding?: Rounding | undefined;
}

/** One job's place in a slot. */
export interface ComputeSession {
  /** The parameters that it has: whose, and of which version. */
  holds: { readonly source: object; readonly version: number } | undefined;
}

export interface ComputeSlot {
  /** Rejects when it cannot compute at all. */
  readonly ready: Promise<void>;
  /** What computes, for people. Known once `ready`. */
  readonly kernel: string;
  /**
   * Prepares a job's programs. Rejects with `Unable` (slot.ts) when they do not fit.
   * @param closed aborted when the job is over here: a slot that goes on preparing or computing it for long is replaced
   */
  open(
    model: ModelDescription,
    requests: readonly ProgramRequest[],
    math: MathMode,
    how?: SessionOptions,
    closed?: AbortSignal,
  ): Promise<ComputeSession>;
  close(session: ComputeSession): void;
  /**
   * Computes the pieces of a task, one after the other. `onReady` is called with the indices of parameters whose gradients have become
   * final; they can be read from `gradients(session)` until the next run.
   */
  run(
    session: ComputeSession,
    pieces: readonly Piece[],
    inputs: SlotInputs,
    onReady: (ready: readonly number[]) => void,
    options?: RunOptions,
  ): Promise<RunOutcome>;
  /** Updates the parameters of a replica, of a session that was opened with a local optimizer. */
  update(session: ComputeSession, update: LocalUpdate): Promise<void>;
  /** More of a version is in the session's parameters; a run with another one is abandoned. */
  arrived(session: ComputeSession, arrival: Arrival): void;
  /** Nobody needs what the session computes: its run rejects, soon. */
  abandon(session: ComputeSession): void;
  /** Flat layout, for writing between runs, and what a run waits for. */
  parameters(session: ComputeSession): Float32Array;
  /** Of a session with a local optimizer: what a round begins with and, at its end, its gradient. As exchangedParameters (protocol) lays it out. */
  exchanged(session: ComputeSession): Float32Array;
  /** Flat layout. */
  gradients(session: ComputeSession): Float32Array;
}

/** The slots of a worker. */
export interface ComputeSlots {
  readonly size: number;
  /** Slots that compute now. */
  readonly busy: number;
  readonly all: readonly ComputeSlot[];
  /** The next idle slot; first come, first served. Give it back with `release`. */
  acquire(): Promise<ComputeSlot>;
  release(slot: ComputeSlot): void;
  close(): Promise<void>;
}
