/**
 * The linear maps of Winograd's convolution with windows of 3 x 3 (Lavin and Gray 2016, section 4): an image tile is mapped to as
 * many numbers as it has pixels, so is the window, these are multiplied, and the sums over the channels are mapped to the
 * tile of the result. Each map is a small matrix that is applied along the columns and then along the rows, here to vectors
 * of channels, term by term from left to right.
 */
import type { FunctionBuilder, Local } from '../../assembler.ts';

/** One line a result: factors of the values that it is the sum of, in order. Zeros are left out. */
export type Matrix = readonly (readonly number[])[];

/** The three maps for results of one size. */
export interface Maps {
  /** Image tile. */
  readonly image: Matrix;
  /** Window. */
  readonly window: Matrix;
  /** To the tile of the result. */
  readonly result: Matrix;
}

/** Maps for results of 2 x 2: 16 products in the place of 36. */
const maps2: Maps = {
  image: [
    [1, 0, -1, 0],
    [0, 1, 1, 0],
    [0, -1, 1, 0],
    [0, 1, 0, -1],
  ],
  window: [
    [1, 0, 0],
    [0.5, 0.5, 0.5],
    [0.5, -0.5, 0.5],
    [0, 0, 1],
  ],
  result: [
    [1, 1, 1, 0],
    [0, 1, -1, -1],
  ],
};

/**
 * Maps for results of 4 x 4: 36 products in the place of 144. Polynomials are multiplied by their values at 0, a, -a, b, -b and
 * infinity; a and b decide how far off float32 is. With 5/8 and 3/2 results are 8.1e-7 of their size off the exact sums, the window's
 * gradient 6.3e-7; with 1 and 2, which Lavin and Gray take, 1.7e-6 and 1.3e-6 (64 channels; 2 x 2: 2.6e-7 and 3.6e-7).
 */
function maps4(a: number, b: number): Maps {
  const [a2, b2] = [a * a, b * b];
  const [n, m] = [1 / (2 * a2 * (a2 - b2)), 1 / (2 * b2 * (b2 - a2))];
  return {
    image: [
      [a2 * b2, 0, -(a2 + b2), 0, 1, 0],
      [0, -a * b2, -b2, a, 1, 0],
      [0, a * b2, -b2, -a, 1, 0],
      [0, -b * a2, -a2, b, 1, 0],
      [0, b * a2, -a2, -b, 1, 0],
      [0, a2 * b2, 0, -(a2 + b2), 0, 1],
    ],
    window: [
      [1 / (a2 * b2), 0, 0],
      [n, a * n, a2 * n],
      [n, -a * n, a2 * n],
      [m, b * m, b2 * m],
      [m, -b * m, b2 * m],
      [0, 0, 1],
    ],
    result: [0, 1, 2, 3].map((k) => [k === 0 ? 1 : 0, a ** k, (-a) ** k, b ** k, (-b) ** k, k === 3 ? 1 : 0]),
  };
}

/** By the side of the result's tile. */
export const maps: Readonly<Record<2 | 4, Maps>> = { 2: maps2, 4: maps4(0.625, 1.5) };

export const transposed = (matrix: Matrix): Matrix =>
  matrix[0]!.map((_, j) => matrix.map((line) => line[j]!));

/** Vectors that are mapped side by side: with two the engine can pair operations. */
export type Lanes = 1 | 2;

/** Emits map * tile * map^T for `lanes` vectors of channels at once. */
export class TileMapper {
  readonly #f: FunctionBuilder;
  readonly #column: Local[];
  readonly #between: Local[];
  readonly #parts: Local[];

  constructor(f: FunctionBuilder) {
    const locals = (count: number) => Array.from({ length: count }, () => f.local('v128'));
    this.#f = f;
    this.#column = locals(12);
    this.#between = locals(72);
    this.#parts = locals(8);
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
      this.#apply(
        matrix,
        lanesOf,
        (index, lane) => this.#column[2 * index + lane]!,
        (i, lane, push) => {
          push();
          f.set(between(i, j, lane));
        },
      );
    }
    for (const i of matrix.keys()) {
      const row = (index: number, lane: number) => between(i, index, lane);
      this.#apply(matrix, lanesOf, row, (j, lane, push) => store(i, j, lane, push));
    }
  }

  /** The matrix times one vector of values. What belongs to a point and its negative is a sum and a difference of the same two parts. */
  #apply(
    matrix: Matrix,
    lanes: readonly number[],
    value: (index: number, lane: number) => Local,
    put: (index: number, lane: number, push: () => void) => void,
  ): void {
    const f = this.#f;
    if (matrix[0]!.length === 6 && matrix.length < 6) {
      // Values 1 and 2 are of opposite points, and so are 3 and 4.
      const part = (pair: number, odd: number, lane: number) => this.#parts[(2 * pair + odd) * 2 + lane]!;
      for (const pair of [0, 1]) {
        for (const odd of [0, 1]) {
          for (const lane of lanes) {
            f.get(value(2 * pair + 1, lane)).get(value(2 * pair + 2, lane));
            f.op(odd === 1 ? 'f32x4Sub' : 'f32x4Add').set(part(pair, odd, lane));
          }
        }
      }
      for (const [i, line] of matrix.entries()) {
        const odd = [1, 3].map((j) => (line[j] === line[j + 1] ? 0 : 1));
        const folded = [line[0]!, line[1]!, line[3]!, line[5]!];
        for (const lane of lanes) {
          const from = [value(0, lane), part(0, odd[0]!, lane), part(1, odd[1]!, lane), value(5, lane)];
          put(i, lane, () => this.#sum(folded, (index) => from[index]!));
        }
      }
      return;
    }
    for (let i = 0; i < matrix.length; i++) {
      const line = matrix[i]!;
      if (matrix.length < 6 || i === 0 || i === 5) {
        for (const lane of lanes) put(i, lane, () => this.#sum(line, (index) => value(index, lane)));
        continue;
      }
      // Lines 1 and 2, and 3 and 4: what they have in common, and what they have with opposite signs.
      const other = matrix[i + 1]!;
      const common = line.map((factor, j) => (factor === other[j] ? factor : 0));
      const apart = line.map((factor, j) => (factor === other[j] ? 0 : factor));
      const part = (odd: number, lane: number) => this.#parts[2 * odd + lane]!;
      for (const [odd, factors] of [common, apart].entries()) {
        for (const lane of lanes) {
          this.#sum(factors, (index) => value(index, lane));
          f.set(part(odd, lane));
        }
      }
      for (const lane of lanes) put(i, lane, () => f.get(part(0, lane)).get(part(1, lane)).op('f32x4Add'));
      for (const lane of lanes)
        put(i + 1, lane, () => f.get(part(0, lane)).get(part(1, lane)).op('f32x4Sub'));
      i++;
    }
  }

  #sum(line: readonly number[], value: (index: number) => Local): void {
    const f = this.#f;
    let first = true;
    for (const [index, factor] of line.entries()) {
      if (factor === 0) continue;
      f.get(value(index));
      if (Math.abs(factor) !== 1) f.f32x4(Math.abs(factor)).op('f32x4Mul');
      if (first && factor < 0) f.op('f32x4Neg');
      if (!first) f.op(factor < 0 ? 'f32x4Sub' : 'f32x4Add');
      first = false;
    }
  }
}
