/**
 * What a worker needs from its compute slots. They are threads or GPU queues (slot.ts, managed by slot-pool.ts); tests of everything but
 * the computation can pass slots that only answer.
 */
import type { MathMode } from '@kasane/tensor/backends/backend';
import type { Rounding } from '@kasane/tensor/internal/optim/rounding';
import type { ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import type { LocalOptimizer, LocalUpdate } from './local-updates.ts';
import type { Arrival, Piece, RunOptions, RunOutcome, SlotInputs } from './slot.ts';

/** Training options of a job beyond its programs. */
export interface SessionOptions {
  /** Optimizer of the replicas; undefined: the job has no local steps. */
  readonly local?: LocalOptimizer | undefined;
  /** How a task's gradients are rounded; undefined: not at all. */
  readonly rounding?: Rounding | undefined;
}

/** A job's session in a slot. */
export interface ComputeSession {
  /** The parameters it currently has: their source and version. */
  holds: { readonly source: object; readonly version: number } | undefined;
}

export interface ComputeSlot {
  /** Rejects if it cannot compute at all. */
  readonly ready: Promise<void>;
  /** Name of the kernel, for display. Known once `ready`. */
  readonly kernel: string;
  /**
   * Compiles a job's programs. Rejects with `Unable` (slot.ts) if they do not fit.
   * @param closed aborted when the job has ended here: a slot that keeps compiling or computing it for long is replaced
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
  /** Updates the parameters of a replica, in a session opened with a local optimizer. */
  update(session: ComputeSession, update: LocalUpdate): Promise<void>;
  /** More of a version has arrived in the session's parameters; a run with another version is abandoned. */
  arrived(session: ComputeSession, arrival: Arrival): void;
  /** The result of the session's run is not needed: it rejects soon. */
  abandon(session: ComputeSession): void;
  /** Flat layout, for writing between runs or while a run waits for them. */
  parameters(session: ComputeSession): Float32Array;
  /**
   * For a session with a local optimizer: the initial state of a round and, at its end, the round's gradient. Laid out like
   * exchangedParameters (protocol).
   */
  exchanged(session: ComputeSession): Float32Array;
  /** Flat layout. */
  gradients(session: ComputeSession): Float32Array;
}

/** The slots of a worker. */
export interface ComputeSlots {
  readonly size: number;
  /** Number of slots that are computing. */
  readonly busy: number;
  readonly all: readonly ComputeSlot[];
  /** The next idle slot, first come, first served. Return it with `release`. */
  acquire(): Promise<ComputeSlot>;
  release(slot: ComputeSlot): void;
  close(): Promise<void>;
}
