/** Finds the tiles whose results Winograd's products would lose. */
import type { FunctionBuilder, Local } from '../../assembler.ts';

/** Results are computed directly where the largest number of a tile is more than two to this power times the least that one sees. */
const RANGE = 10;
/** Bits of 2^96: from there on the maps could overflow. */
const HUGE = (96 + 127) << 23;
/**
 * Watches the numbers of a tile. Every window of 3 x 3 has one of the squares of 2 x 2 that the tile consists of, so the least of their
 * maxima is not more than what any result sees. Squares of zeros do not count. Magnitudes are compared as integers, NaN above all.
 */
export class TileWatch {
  readonly #f: FunctionBuilder;
  readonly #squares: readonly Local[];
  readonly #across: number;
  readonly #seen: Local;

  /** @param side of the tile */
  constructor(f: FunctionBuilder, side: number) {
    this.#f = f;
    this.#across = side / 2;
    this.#squares = Array.from({ length: this.#across ** 2 }, () => f.local('v128'));
    this.#seen = f.local('v128');
    for (const square of this.#squares) f.i32x4(0).set(square);
  }

  /** Takes note of the vector on the stack, of the pixel in row i, column j, and leaves it there. */
  see(i: number, j: number): void {
    const square = this.#squares[(i >> 1) * this.#across + (j >> 1)]!;
    this.#f.tee(this.#seen).get(this.#seen).i32x4(0x7fffffff).op('v128And');
    this.#f.get(square).op('i32x4MaxS').set(square);
  }

  /** Writes to an address whether the tile needs plain sums: 1 or 0. */
  decide(flag: Local): void {
    const f = this.#f;
    const [most, least] = [f.local('v128'), f.local('v128')];
    const turned = (vector: Local, by: 1 | 2) =>
      by === 2
        ? f.get(vector).get(vector).shuffle32(2, 3, 0, 1)
        : f.get(vector).get(vector).shuffle32(1, 0, 3, 2);
    f.i32x4(0).set(most).i32x4(-1).set(least);
    for (const square of this.#squares) {
      // The same number in all lanes.
      for (const by of [2, 1] as const) {
        turned(square, by);
        f.get(square).op('i32x4MaxS').set(square);
      }
      f.get(square).get(most).op('i32x4MaxS').set(most);
      // As unsigned numbers, one less: those of zeros come last.
      f.get(square).i32x4(1).op('i32x4Sub').get(least).op('i32x4MinU').set(least);
    }
    f.get(flag).i32(1).i32(0);
    f.get(most).i32x4(HUGE).op('i32x4GtS');
    f.get(most)
      .get(least)
      .i32x4(1)
      .op('i32x4Add', 'i32x4Sub')
      .i32x4(RANGE << 23)
      .op('i32x4GtS');
    f.op('v128Or', 'v128AnyTrue', 'select').memory('i32Store');
  }
}
