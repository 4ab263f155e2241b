/** What a slot's two sides share: places in the control memory, and the messages. */
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
/** RUN: a run is asked for, UPDATE: a local update; the thread sets it back to 0. */
export const RUNNING = 2;
export const SESSION = 3;
/** By what number the thread knows the memory of the run's inputs. */
export const INPUTS = 4;
/** How many floats of the run's parameters are there, or ABANDONED; the thread sleeps where it needs more. */
export const ARRIVED = 6;
/** Which local update: one of the three below. */
export const UPDATE_KIND = 7;
/** Index of a float64: milliseconds that the last run computed. Words 8 and 9. */
export const COMPUTE_MS = 4;
/** Index of a float64: the learning rate of a local update. Words 10 and 11. */
export const LEARNING_RATE = 5;
/** Index of a float64: what a local update multiplies with. Words 12 and 13. */
export const FACTOR = 6;
/** Local steps before this one in its round. */
export const LOCAL_STEP = 14;
/** Step and shard of the task whose gradients these are, by which they are rounded; shard -1: they are not. */
export const STEP = 16;
export const SHARD = 17;

export const RUN = 1;
export const UPDATE = 2;

/** A round begins with what is exchanged. */
export const UPDATE_BEGIN = 0;
/** The session's parameters are updated by its gradients. */
export const UPDATE_STEP = 1;
/** The round is over: what it has changed takes the place of what it began with. */
export const UPDATE_END = 2;

// What becomes of the gradients of a piece (task-table.ts).
/** They are a shard's. */
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
      /** What its replica begins a round with, and ends it with. */
      readonly exchanged: SharedArrayBuffer | undefined;
      readonly warning?: string;
    }
  | { readonly kind: 'refused'; readonly session: number; readonly message: string }
  /** The thread begins to compile: until it has answered it does nothing else. */
  | { readonly kind: 'opening'; readonly session: number }
  /** In a profile: what a run computed, and when. */
  | { readonly kind: 'computed'; readonly kernels: readonly KernelSpan[] }
  /** The run under way threw. */
  | { readonly kind: 'threw'; readonly message: string };
