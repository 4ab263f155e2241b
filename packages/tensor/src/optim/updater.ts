/** What a parameter server asks of the arithmetic below it; `backends/wasm/updater.ts` has it in WebAssembly. */

import type { Rounding } from './rounding.ts';

export interface Updater {
  /** Flat layout. */
  readonly parameters: Float32Array;
  /** Flat layout; what `sum` and `scale` made. */
  readonly gradient: Float32Array;
  /** Flat layout, by name. */
  readonly state: ReadonlyMap<string, Float32Array>;
  /**
   * Where updates are rounded: what the last one added to the parameters, in the flat layout; of a statistic, what it is now.
   */
  readonly changes: Float32Array | undefined;
  /**
   * gradient[start + i] = the sum of parts[0][i], parts[1][i], ... along the tree of shards (ops/shard-tree.ts); the parts have the same
   * length. Returns whether all of these are finite numbers.
   */
  sum(parts: readonly (Float32Array | Part)[], start: number, options?: SumOptions): boolean;
  /** Multiplies the gradient's floats [start, end), by default all of them, by a number. */
  scale(factor: number, start?: number, end?: number): void;
  /** L2 norm of the gradient, in float64 over ascending elements, parameter by parameter. Statistics do not count. */
  norm(): number;
  /**
   * Scales the gradient down so that its global norm is at most `maxNorm` (Pascanu et al. 2013). Leaves statistics alone.
   * @returns what the gradient was multiplied by; 1: nothing was changed
   */
  clip(maxNorm: number): number;
  /** The same where somebody else has found the factor. Only the floats [start, end). */
  clipBy(factor: number, start: number, end: number): void;
  /**
   * One update; `step` counts from 0. What is trained takes the optimizer's step, a statistic goes its part of the way, both by the
   * gradient times a factor, which is what `gradient` holds afterwards.
   */
  apply(step: number, learningRate: number, options?: ApplyOptions): void;
}

/** Floats that lie elsewhere, and are copied when they are needed. */
export interface Part {
  readonly length: number;
  /** Copies floats from `at` on. */
  read(at: number, into: Float32Array): void;
}

export interface SumOptions {
  /** How many shards each part is the sum of. Default: one each. */
  readonly counts?: readonly number[];
  /** Where sums are rounded: the step, default 0, */
  readonly step?: number;
  /** and where in the model's flat layout what is added begins, a multiple of BLOCK as `start` is. Default: at `start`. */
  readonly origin?: number;
}

export interface ApplyOptions {
  /** Only the floats [start, end). Default: all. */
  readonly start?: number;
  readonly end?: number;
  /** Default 1. */
  readonly factor?: number;
  /** What happened is added to it, at the cost of a copy of the parameters chunk by chunk. */
  readonly squares?: Squares | undefined;
}

/** Name of the state that holds the averages of the parameters over the updates. */
export const AVERAGE = 'average';
/** Name of the state that holds what the rounding of updates has lost so far. */
export const RESIDUAL = 'residual';

export interface UpdaterOptions {
  /** Decay of the averages of all parameters, statistics too; see `averageRate`. Default: none are kept. */
  readonly average?: number | undefined;
  /** Sums and updates are rounded (rounding.ts): ranges begin at multiples of BLOCK then. Default: they are float32. */
  readonly rounding?: Rounding | undefined;
}

/** Sums of squares in float64, by parameter in list order; 0 of statistics. */
export interface Squares {
  readonly gradient: Float64Array;
  /** Of the parameters after the update. */
  readonly parameter: Float64Array;
  /** Of what the update added to them. */
  readonly change: Float64Array;
}

export const noSquares = (parameters: number): Squares => ({
  gradient: new Float64Array(parameters),
  parameter: new Float64Array(parameters),
  change: new Float64Array(parameters),
});
