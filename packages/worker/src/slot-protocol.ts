/** What a slot's two sides share: places in the control memory, and the messages. */
import type { MathMode } from '@kasane/tensor/backends/wasm/kernels';
import type { SessionLayout } from '@kasane/tensor/backends/wasm/session';
import type { ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import type { KernelSpan } from './trace.ts';

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
/** Index of a float64: milliseconds that the last run computed. */
export const COMPUTE_MS = 4;

export const FAILED = -1;

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
