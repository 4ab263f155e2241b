/** What a slot's two sides share: places in the control memory, and the messages. */
import type { MathMode } from '@kasane/tensor/backends/backend';
import type { SessionLayout } from '@kasane/tensor/backends/layout';
import type { ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import type { KernelSpan } from '../observe/trace.ts';

/** Bytes of control memory. */
export const CONTROL_BYTES = 64;
// Indices of int32 words.
/** Counts commands; the thread sleeps until it changes. */
export const COMMAND = 0;
/** Stages done of the run under way, or FAILED. */
export const STAGE = 1;
/** 1: a run is asked for; the thread sets it back. */
export const RUNNING = 2;
export const SESSION = 3;
export const PROGRAM = 4;
/** What becomes of the run's gradients: one of the four below. */
export const GRADIENTS = 5;
/** How many floats of the run's parameters are there, or ABANDONED; the thread sleeps where it needs more. */
export const ARRIVED = 6;
/** Index of a float64: milliseconds that the last run computed. Words 8 and 9. */
export const COMPUTE_MS = 4;

/** They are the task's. */
export const GRADIENTS_ALL = 0;
/** They are those of its first part, and are kept. */
export const GRADIENTS_FIRST = 1;
/** They are those of a further part, and are added to what was kept. */
export const GRADIENTS_MORE = 2;
/** They are those of its last part: what was kept is added to them, stage by stage. */
export const GRADIENTS_LAST = 3;

export const FAILED = -1;
/** Nobody needs the run any more: it ends where it would wait, or before its next stage. */
export const ABANDONED = -1;

export type SlotRequest =
  | {
      readonly kind: 'open';
      readonly session: number;
      readonly model: ModelDescription;
      readonly requests: readonly ProgramRequest[];
      readonly math: MathMode;
    }
  | { readonly kind: 'close'; readonly session: number }
  | { readonly kind: 'exit' };

export type SlotResponse =
  | { readonly kind: 'ready'; readonly kernel: string; readonly warning?: string }
  | {
      readonly kind: 'opened';
      readonly session: number;
      readonly memory: SharedArrayBuffer;
      readonly layout: SessionLayout;
      readonly warning?: string;
    }
  | { readonly kind: 'refused'; readonly session: number; readonly message: string }
  /** In a profile: what a run computed, and when. */
  | { readonly kind: 'computed'; readonly kernels: readonly KernelSpan[] }
  /** The run under way threw. */
  | { readonly kind: 'threw'; readonly message: string };
