/**
 * The linear maps of Winograd's convolution with windows of 3 x 3 (Lavin and Gray 2016, section 4): an image tile is mapped to as
 * many numbers as it has pixels, so is the window, these are multiplied, and the sums over the channels are mapped to the
 * tile of the result. Each map is a small matrix that is applied along the columns and then along the rows, here to vectors
 * of channels, term by term from left to right.
 */
import type { FunctionBuilder, Local } from './assembler.ts';

/** One line a result: factors of the values that it is the sum of, in order. Zeros are left out. */
export type Matrix = readonly (readonly number[])[];

/** Maps for results of 2 x 2: 16 products in the place of 36. */
export const maps = {
  /** Image tile of 4 x 4. */
  image: [
    [1, 0, -1, 0],
    [0, 1, 1, 0],
    [0, -1, 1, 0],
    [0, 1, 0, -1],
  ],
  /** Window. */
  window: [
    [1, 0, 0],
    [0.5, 0.5, 0.5],
    [0.5, -0.5, 0.5],
    [0, 0, 1],
  ],
  /** To a result of 2 x 2. */
  result: [
    [1, 1, 1, 0],
    [0, 1, -1, -1],
  ],
} as const satisfies Record<string, Matrix>;

export const transposed = (matrix: Matrix): Matrix =>
  matrix[0]!.map((_, j) => matrix.map((line) => line[j]!));

/** Vectors that are mapped side by side: with two the engine can pair operations. */
export type Lanes = 1 | 2;

/** Emits map * tile * map^T for `lanes` vectors of channels at once. */
export class TileMapper {
  readonly #f: FunctionBuilder;
  readonly #column: Local[];
  readonly #between: Local[];

  constructor(f: FunctionBuilder) {
    this.#f = f;
    this.#column = Array.from({ length: 8 }, () => f.local('v128'));
    this.#between = Array.from({ length: 32 }, () => f.local('v128'));
  }

  /**
   * @param load pushes vector `lane` of the value in row i, column j
   * @param store takes what `push` leaves on the stack as vector `lane` of result i, j
   */
  map(
    matrix: Matrix,
    lanes: Lanes,
    load: (i: number, j: number, lane: number) => void,
    store: (i: number, j: number, lane: number, push: () => void) => void,
  ): void {
    const f = this.#f;
    const size = matrix[0]!.length;
    const between = (i: number, j: number, lane: number) => this.#between[(i * size + j) * 2 + lane]!;
    const lanesOf = Array.from({ length: lanes }, (_, lane) => lane);
    for (let j = 0; j < size; j++) {
      for (let i = 0; i < size; i++) {
        for (const lane of lanesOf) {
          load(i, j, lane);
          f.set(this.#column[2 * i + lane]!);
        }
      }
      for (const [i, line] of matrix.entries()) {
        for (const lane of lanesOf) {
          this.#sum(line, (index) => f.get(this.#column[2 * index + lane]!));
          f.set(between(i, j, lane));
        }
      }
    }
    for (const i of matrix.keys()) {
      for (const [j, line] of matrix.entries()) {
        for (const lane of lanesOf)
          store(i, j, lane, () => this.#sum(line, (index) => f.get(between(i, index, lane))));
      }
    }
  }

  #sum(line: readonly number[], get: (index: number) => void): void {
    const f = this.#f;
    let first = true;
    for (const [index, factor] of line.entries()) {
      if (factor === 0) continue;
      get(index);
      if (Math.abs(factor) !== 1) f.f32x4(Math.abs(factor)).op('f32x4Mul');
      if (first && factor < 0) f.op('f32x4Neg');
      if (!first) f.op(factor < 0 ? 'f32x4Sub' : 'f32x4Add');
      first = false;
    }
  }
}
