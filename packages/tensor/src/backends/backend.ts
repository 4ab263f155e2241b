/**
 * What a backend is: something that computes graphs, and a model's programs over one memory. No operation is named here, and nobody
 * needs to know more of a backend than this, except where one is chosen. One that computes elsewhere than in a session's memory only
 * has to compile: `carried.ts` makes its sessions. `test/backends.test.ts` holds all of them to what is written here.
 */
import type { Node, Origin } from '../graph.ts';
import type { Model } from '../nn/model.ts';
import type { TypedValues } from '../plan/leaves.ts';
import type { ProgramRequest } from '../training.ts';
import type { SessionLayout } from './layout.ts';

export interface Backend {
  /** 'wasm' */
  readonly name: string;
  /** Whether it gives the same bits on every machine where exact arithmetic is asked for. */
  readonly exact: boolean;
  /**
   * Makes a program of what `outputs` need.
   * @throws RangeError when there is no room for it, or two leaves have one name
   */
  compile(outputs: readonly Node[]): Promise<GraphProgram>;
  /**
   * Makes the programs of a model, and places them in one memory.
   * @throws RangeError when there is no room for them
   */
  open(model: Model, requests: readonly ProgramRequest[], options?: SessionOptions): Promise<Session>;
}

/** Some backends answer at once, others later. Whoever awaits only what is a promise gives up no time to those that answer at once. */
export type Eventually<T> = T | Promise<T>;

/** Any graph, ready to run. */
export interface GraphProgram {
  /**
   * Puts values into an input or parameter, where they stay until they are replaced. Before, they are zeros.
   * @throws RangeError for a name that the graph does not have, another number of values, or another type
   */
  write(name: string, values: TypedValues): void;
  /**
   * Computes the outputs. They are valid until the next run.
   * @throws LabelError when a label is no class
   * @throws IndexError when an input names a row that a table does not have
   * @throws DeviceLostError when the device went away
   */
  run(): Eventually<readonly TypedValues[]>;
  /** Does what `run` does and tells of each kernel. Absent where kernels are not timed. */
  profile?(): Eventually<Profile>;
  /** Gives back what the program holds; it must not be used any more. */
  destroy(): void;
}

/** exact: the same bits on every machine. fast: products may be fused, bits differ between makes of CPU. */
export type MathMode = 'exact' | 'fast';

/** How a session is opened. Whatever a backend has no use for, it takes no notice of. */
export interface SessionOptions {
  /** shared: other threads can read and write the memory. Default private. */
  readonly memory?: 'shared' | 'private';
  /** Default exact, from backends that are. */
  readonly math?: MathMode;
  /**
   * Parameters may come while a program runs, in their order and so many floats at a time: stages end where the next one needs more.
   * Default: all are there before.
   */
  readonly arriving?: number;
  /** Every kernel is a stage of its own where that is what it takes to time it. Default false. */
  readonly profile?: boolean;
}

/** A model's programs over one memory: write parameters and inputs, run a program's stages, read results. `viewsOf` has the views. */
export interface Session {
  /** What the layout's places are offsets of. It neither moves nor grows. */
  readonly memory: ArrayBufferLike;
  readonly layout: SessionLayout;
  /** Of each request, in their order. A program has run when all of its stages have, one after the other. */
  readonly stages: readonly (readonly Stage[])[];
  /** Gives back what the session holds besides its memory; it must not be used any more. */
  destroy(): void;
}

export interface Stage {
  /** Indices of the parameters whose gradients are final afterwards, as `stageReady` of the layout has them. */
  readonly ready: readonly number[];
  /** How many floats of the parameters must be there before, where they arrive while it runs. */
  readonly needs: number;
  /** @throws what `GraphProgram.run` does */
  run(): Eventually<void>;
  /** Does what `run` does and tells of each kernel. Absent where kernels are not timed. */
  profile?(): Eventually<readonly KernelTime[]>;
}

export interface Profile {
  readonly outputs: readonly TypedValues[];
  /** In order of execution. */
  readonly kernels: readonly KernelTime[];
}

/** One kernel of a run. Times count from the run's beginning, in nanoseconds. */
export interface KernelTime {
  /** Name of the operation; of fused ones that of the last. */
  readonly op: string;
  readonly origin: Origin;
  readonly start: number;
  readonly duration: number;
}

/** The device is gone: its driver was reset, or it was taken away. Open another, and the programs anew. */
export class DeviceLostError extends Error {
  override readonly name = 'DeviceLostError';
}
