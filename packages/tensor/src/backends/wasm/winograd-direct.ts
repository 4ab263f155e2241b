/**
 * A tile of a convolution as a plain sum, where Winograd's products would lose it: they mix all pixels of a tile, so that a number that is
 * not finite, or much larger than its neighbours, would reach results that do not see it.
 */
import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { TiledShape } from './winograd-tiles.ts';

/** Vectors of results that are summed side by side. */
const TOGETHER = 4;

/**
 * A function (image, result, row, column, window) that computes the results of a tile: over the pixels of the window in their order, of
 * each the sum over its channels.
 * @param turned the window is turned round, and its channels and filters change places
 */
export function buildDirectTile(shape: TiledShape, turned: boolean): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32', 'i32']);
  new DirectTile(f, shape, turned).emit();
  return f;
}

/** Emits the function: each method the code of one of its loops, from the outermost to the innermost. */
class DirectTile {
  readonly #f: FunctionBuilder;
  readonly #shape: TiledShape;
  readonly #turned: boolean;
  readonly #row: Local;
  readonly #column: Local;
  readonly #y: Local;
  readonly #x: Local;
  /** Address of the pixel that is read. */
  readonly #pixel: Local;
  /** Address of the pixel of the result. */
  readonly #to: Local;
  /** Address of the weights. */
  readonly #weight: Local;
  /** Bytes of the pixel of the result that are done. */
  readonly #offset: Local;

  constructor(f: FunctionBuilder, shape: TiledShape, turned: boolean) {
    this.#f = f;
    this.#shape = shape;
    this.#turned = turned;
    this.#row = f.local('i32');
    this.#column = f.local('i32');
    this.#y = f.local('i32');
    this.#x = f.local('i32');
    this.#pixel = f.local('i32');
    this.#to = f.local('i32');
    this.#weight = f.local('i32');
    this.#offset = f.local('i32');
  }

  /** The pixels of the tile that are inside of the result. */
  emit(): void {
    const f = this.#f;
    const { places, tile } = this.#shape;
    f.get(f.parameter(2)).set(this.#row);
    f.repeat(tile, () => {
      f.get(f.parameter(3)).set(this.#column);
      f.repeat(tile, () => {
        this.#isInside(this.#row, this.#column, places);
        f.when(() => this.#emitPixel());
        f.advance(this.#column, 1);
      });
      f.advance(this.#row, 1);
    });
  }

  #emitPixel(): void {
    const { places, filters } = this.#shape;
    this.#address(this.#f.parameter(1), this.#row, this.#column, places[1], filters);
    this.#f.set(this.#to).i32(0).set(this.#offset);
    const vectors = filters / 4;
    this.#f.repeat(Math.floor(vectors / TOGETHER), () => this.#emitSums(TOGETHER));
    if (vectors % TOGETHER > 0) this.#emitSums(vectors % TOGETHER);
  }

  /** Sums of `count` vectors of results from `offset` on, all taps. */
  #emitSums(count: number): void {
    const f = this.#f;
    const totals = this.#vectors(count);
    const parts = this.#vectors(this.#turned ? 4 * count : count);
    for (const total of totals) f.f32x4(0).set(total);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) this.#emitTap(i, j, totals, parts);
    }
    for (const [index, total] of totals.entries())
      f.get(this.#to)
        .get(this.#offset)
        .op('i32Add')
        .get(total)
        .memory('v128Store', 16 * index);
    f.advance(this.#offset, 16 * count);
  }

  /** Adds what a pixel of the window sees to the totals, if it sees the image. */
  #emitTap(i: number, j: number, totals: readonly Local[], parts: readonly Local[]): void {
    const f = this.#f;
    const { image, padding, channels } = this.#shape;
    f.get(this.#row)
      .i32(i - padding[0])
      .op('i32Add')
      .set(this.#y);
    f.get(this.#column)
      .i32(j - padding[1])
      .op('i32Add')
      .set(this.#x);
    this.#isInside(this.#y, this.#x, image);
    f.when(() => {
      this.#address(f.parameter(0), this.#y, this.#x, image[1], channels);
      f.set(this.#pixel);
      this.#emitWeightOf(i, j);
      for (const part of parts) f.f32x4(0).set(part);
      if (this.#turned) this.#addRows(parts);
      else this.#addColumns(parts);
      for (const [index, total] of totals.entries()) {
        f.get(total);
        if (this.#turned) this.#pushSums(parts.slice(4 * index, 4 * index + 4));
        else f.get(parts[index]!);
        f.op('f32x4Add').set(total);
      }
    });
  }

  /** Where the weights of a pixel of the window begin. */
  #emitWeightOf(i: number, j: number): void {
    const { channels, filters } = this.#shape;
    const element = this.#turned ? 8 - (3 * i + j) : 3 * i + j;
    this.#f
      .get(this.#f.parameter(4))
      .i32(element * 4 * channels * filters)
      .op('i32Add')
      .get(this.#offset)
      .i32(this.#turned ? channels : 1)
      .op('i32Mul', 'i32Add')
      .set(this.#weight);
  }

  /** The filters of one channel lie together. */
  #addColumns(parts: readonly Local[]): void {
    const f = this.#f;
    f.repeat(this.#shape.channels, () => {
      for (const [index, part] of parts.entries()) {
        f.get(part)
          .get(this.#pixel)
          .memory('v128Load32Splat')
          .get(this.#weight)
          .memory('v128Load', 16 * index);
        f.op('f32x4Mul', 'f32x4Add').set(part);
      }
      f.advance(this.#pixel, 4).advance(this.#weight, 4 * this.#shape.filters);
    });
  }

  /** What is summed lies together: four lanes. */
  #addRows(parts: readonly Local[]): void {
    const f = this.#f;
    const { channels } = this.#shape;
    f.repeat(channels / 4, () => {
      for (const [index, part] of parts.entries()) {
        f.get(part)
          .get(this.#pixel)
          .memory('v128Load')
          .get(this.#weight)
          .memory('v128Load', 4 * channels * index);
        f.op('f32x4Mul', 'f32x4Add').set(part);
      }
      f.advance(this.#pixel, 16).advance(this.#weight, 16);
    });
  }

  /** Pushes a vector of the sums of the lanes of each of four. */
  #pushSums([a, b, c, d]: readonly Local[]): void {
    const f = this.#f;
    const pairs = (one: Local, other: Local) => {
      f.get(one).get(other).shuffle32(0, 2, 4, 6);
      f.get(one).get(other).shuffle32(1, 3, 5, 7).op('f32x4Add');
    };
    const [first, second] = [f.local('v128'), f.local('v128')];
    pairs(a!, b!);
    f.set(first);
    pairs(c!, d!);
    f.set(second);
    pairs(first, second);
  }

  #vectors(count: number): Local[] {
    return Array.from({ length: count }, () => this.#f.local('v128'));
  }

  /** Pushes whether a pixel is one of an image; rows and columns are compared as unsigned numbers. */
  #isInside(row: Local, column: Local, [rows, columns]: readonly [number, number]): void {
    this.#f.get(row).i32(rows).op('i32LtU').get(column).i32(columns).op('i32LtU', 'i32And');
  }

  /** Pushes the address of a pixel. */
  #address(base: Local, row: Local, column: Local, columns: number, depth: number): void {
    this.#f
      .get(row)
      .i32(columns)
      .op('i32Mul')
      .get(column)
      .op('i32Add')
      .i32(4 * depth)
      .op('i32Mul')
      .get(base)
      .op('i32Add');
  }
}
