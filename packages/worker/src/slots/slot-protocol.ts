/** What both sides of a slot share: offsets in the control memory, and messages. */
import type { MathMode } from '@kasane/tensor/backends/backend';
import type { SessionLayout } from '@kasane/tensor/backends/layout';
import type { ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import type { KernelSpan } from '../observe/trace.ts';
import type { SessionOptions } from './compute-slots.ts';

/** Bytes of control memory. */
export const CONTROL_BYTES = 128;
// Indices of int32 words.
/** Counts commands; the thread sleeps until it changes. */
export const COMMAND = 0;
/** Stages done of the last piece of the run under way, or FAILED. */
export const STAGE = 1;
/** RUN or UPDATE: the requested command; the thread resets it to 0. */
export const RUNNING = 2;
export const SESSION = 3;
/** By what number the thread knows the memory of the run's inputs. */
export const INPUTS = 4;
/** Number of the run's parameters that have arrived, or ABANDONED; the thread sleeps if it needs more. */
export const ARRIVED = 6;
/** Kind of local update: one of the three values below. */
export const UPDATE_KIND = 7;
/** Index of a float64: duration of the last run in milliseconds. Words 8 and 9. */
export const COMPUTE_MS = 4;
/** Index of a float64: the learning rate of a local update. Words 10 and 11. */
export const LEARNING_RATE = 5;
/** Index of a float64: factor of a local update. Words 12 and 13. */
export const FACTOR = 6;
/** Local steps before this one in its round. */
export const LOCAL_STEP = 14;
/** Step and shard of the task, which determine the rounding of its gradients; shard -1: no rounding. */
export const STEP = 16;
export const SHARD = 17;

export const RUN = 1;
export const UPDATE = 2;

/** Begins a round with the exchanged state. */
export const UPDATE_BEGIN = 0;
/** Updates the session's parameters with its gradients. */
export const UPDATE_STEP = 1;
/** Ends the round: its changes replace the initial state. */
export const UPDATE_END = 2;

// What becomes of the gradients of a piece (task-table.ts).
/** They are a shard's. */
export const GRADIENTS_ALL = 0;
/** Those of its first part, which are kept. */
export const GRADIENTS_FIRST = 1;
/** Those of a further part, added to the kept ones. */
export const GRADIENTS_MORE = 2;
/** Those of its last part: the kept ones are added to them, stage by stage. */
export const GRADIENTS_LAST = 3;

export const FAILED = -1;
/** The run is not needed any more: it ends where it would wait, or before its next stage. */
export const ABANDONED = -1;

export type SlotRequest =
  | {
      readonly kind: 'open';
      readonly session: number;
      readonly model: ModelDescription;
      readonly requests: readonly ProgramRequest[];
      readonly math: MathMode;
      readonly how: SessionOptions;
    }
  | { readonly kind: 'close'; readonly session: number }
  /** Where the pieces of runs are told from now on. */
  | { readonly kind: 'table'; readonly memory: SharedArrayBuffer }
  /** Memory of inputs, by the number that runs call it. */
  | { readonly kind: 'inputs'; readonly session: number; readonly number: number; readonly x: Float32Array }
  | { readonly kind: 'exit' };

export type SlotResponse =
  | { readonly kind: 'ready'; readonly kernel: string; readonly warning?: string }
  | {
      readonly kind: 'opened';
      readonly session: number;
      readonly memory: SharedArrayBuffer;
      readonly layout: SessionLayout;
      /** Its replica's initial state of a round, and the round's result. */
      readonly exchanged: SharedArrayBuffer | undefined;
      readonly warning?: string;
    }
  | { readonly kind: 'refused'; readonly session: number; readonly message: string }
  /** The thread starts compiling, and does nothing else until it has answered. */
  | { readonly kind: 'opening'; readonly session: number }
  /** When profiling: the kernels of a run with their times. */
  | { readonly kind: 'computed'; readonly kernels: readonly KernelSpan[] }
  /** The current run threw. */
  | { readonly kind: 'threw'; readonly message: string };
