/**
 * Patches of images, copied block by block to where a matrix product reads them: the matrix of all patches, which is as many
 * times as large as the image as a window has elements, is nowhere in memory. A patch is the elements under the window at one
 * place; padding gives zeros.
 */

import type { FunctionBuilder, Local } from '../../assembler.ts';
import type { Pair } from '../../ops/conv2d.ts';

/** Which elements a patch consists of, and where patches are taken. Distances are in elements. */
export interface PatchShape {
  /** Rows and columns of the image. */
  readonly image: Pair;
  /** From one pixel to the next: all channels. */
  readonly pixel: number;
  /** Channels of a patch: from the first of a pixel on. */
  readonly channels: number;
  /** Rows and columns of places. */
  readonly places: Pair;
  /** From one place to the next. */
  readonly stride: Pair;
  /** From a place's pixel to those of the patch, ascending. */
  readonly rows: readonly number[];
  readonly columns: readonly number[];
}

/** A part of a patch: pixels of one row, from each so many channels. */
interface Segment {
  readonly row: number;
  readonly columns: readonly number[];
  readonly channel: number;
  readonly length: number;
}

/** A range of a patch's elements, in order. */
export interface PatchBlock {
  /** Index of its first element in the patch. */
  readonly first: number;
  /** Number of elements. */
  readonly depth: number;
  readonly segments: readonly Segment[];
}

/** Cuts a patch into blocks of at most `limit` elements, pixels and rows whole where that is possible. */
export function patchBlocks({ rows, columns, channels }: PatchShape, limit: number): PatchBlock[] {
  const blocks: PatchBlock[] = [];
  let first = 0;
  const push = (segments: readonly Segment[]) => {
    const depth = segments.reduce((sum, segment) => sum + segment.columns.length * segment.length, 0);
    blocks.push({ first, depth, segments });
    first += depth;
  };
  const taps = rows.flatMap((row) => columns.map((column) => ({ row, column })));
  if (channels > limit) {
    const pieces = Math.ceil(channels / limit);
    const each = 4 * Math.ceil(channels / pieces / 4);
    for (const { row, column } of taps) {
      for (let channel = 0; channel < channels; channel += each) {
        push([{ row, columns: [column], channel, length: Math.min(each, channels - channel) }]);
      }
    }
    return blocks;
  }
  const count = Math.ceil(taps.length / Math.floor(limit / channels));
  const each = Math.ceil(taps.length / count);
  for (let start = 0; start < taps.length; start += each) {
    const own = taps.slice(start, start + each);
    const ofRows = [...new Set(own.map(({ row }) => row))];
    push(
      ofRows.map((row) => ({
        row,
        columns: own.filter((tap) => tap.row === row).map(({ column }) => column),
        channel: 0,
        length: channels,
      })),
    );
  }
  return blocks;
}

/** Bytes that a copied patch may be written beyond its end. */
export const PATCH_SLACK = 16;

/** Walks over the places of all samples in order, and copies what lies there. */
export class PatchWalker {
  readonly #f: FunctionBuilder;
  readonly #shape: PatchShape;
  /** Address of the place's pixel, and its row and column in the image, before any offset: it may lie outside. */
  readonly #state: readonly [at: Local, top: Local, left: Local];
  readonly #saved: readonly [Local, Local, Local];
  readonly #from: Local;
  readonly #to: Local;

  constructor(f: FunctionBuilder, shape: PatchShape) {
    const three = () => [f.local('i32'), f.local('i32'), f.local('i32')] as const;
    this.#f = f;
    this.#shape = shape;
    this.#state = three();
    this.#saved = three();
    this.#from = f.local('i32');
    this.#to = f.local('i32');
  }

  /** Goes to the first place of the images at an address. */
  start(image: Local): void {
    const [at, top, left] = this.#state;
    this.#f.get(image).set(at).i32(0).set(top).i32(0).set(left);
  }

  /** Goes to a place that is counted over all images. */
  startAt(image: Local, place: Local): void {
    const f = this.#f;
    const { image: extents, pixel, places, stride } = this.#shape;
    const [at, top, left] = this.#state;
    const ofSample = f.local('i32');
    f.get(place)
      .i32(places[0] * places[1])
      .op('i32RemU')
      .set(ofSample);
    f.get(ofSample).i32(places[1]).op('i32DivU').i32(stride[0]).op('i32Mul').set(top);
    f.get(ofSample).i32(places[1]).op('i32RemU').i32(stride[1]).op('i32Mul').set(left);
    f.get(place)
      .i32(places[0] * places[1])
      .op('i32DivU')
      .i32(extents[0])
      .op('i32Mul')
      .get(top)
      .op('i32Add')
      .i32(extents[1])
      .op('i32Mul');
    f.get(left)
      .op('i32Add')
      .i32(4 * pixel)
      .op('i32Mul')
      .get(image)
      .op('i32Add')
      .set(at);
  }

  save(): void {
    for (const [i, local] of this.#state.entries()) this.#f.get(local).set(this.#saved[i]!);
  }

  /** Goes back to the place where `save` was called. */
  restore(): void {
    for (const [i, local] of this.#saved.entries()) this.#f.get(local).set(this.#state[i]!);
  }

  /** Copies a block of the patches of `count` places to rows that lie `row` bytes apart. */
  copyRows(count: number, block: PatchBlock, base: Local, row: number): void {
    const f = this.#f;
    f.get(base).set(this.#to);
    f.repeat(count, () => {
      // What is written beyond the end of a run is written again by the next, or lies in the gap between rows.
      this.#eachRun(
        block,
        (index, length) => this.#copyVectors(4 * index, length),
        (index, length) => {
          for (let i = 0; i < length; i += 4) {
            f.get(this.#to)
              .f32x4(0)
              .memory('v128Store', 4 * (index + i));
          }
        },
      );
      f.advance(this.#to, row);
      this.#next();
    });
  }

  /**
   * Copies a block of the patches of `count` places as columns: four elements of a patch lie together, behind them the same four
   * of the next place; `count` of these make a tile, and tiles lie `tile` bytes apart.
   */
  copyColumns(count: number, block: PatchBlock, base: Local, tile: number): void {
    const f = this.#f;
    f.get(base).set(this.#to);
    const place = (element: number) => tile * (element >> 2) + 4 * (element & 3);
    const vectors = block.segments.every(({ length }) => length % 4 === 0);
    const each = (index: number, length: number, put: (from: number, to: number) => void) => {
      for (let i = 0; i < length; i += vectors ? 4 : 1) put(4 * i, place(index + i));
    };
    f.repeat(count, () => {
      this.#eachRun(
        block,
        (index, length) =>
          each(index, length, (from, to) => {
            const [load, store] = vectors
              ? (['v128Load', 'v128Store'] as const)
              : (['f32Load', 'f32Store'] as const);
            f.get(this.#to).get(this.#from).memory(load, from).memory(store, to);
          }),
        (index, length) =>
          each(index, length, (_, to) => {
            f.get(this.#to);
            if (vectors) f.f32x4(0).memory('v128Store', to);
            else f.f32(0).memory('f32Store', to);
          }),
      );
      f.advance(this.#to, 16);
      this.#next();
    });
  }

  /** Copies the other way: `count` rows, `row` bytes apart, to the pixels at the places. */
  scatterRows(count: number, base: Local, row: number): void {
    const f = this.#f;
    const { channels } = this.#shape;
    const from = this.#from;
    f.get(base).set(from);
    f.repeat(count, () => {
      const whole = Math.floor(channels / 4);
      const [at] = this.#state;
      f.get(at).set(this.#to);
      f.repeat(whole, () => {
        f.get(this.#to)
          .get(from)
          .memory('v128Load')
          .memory('v128Store')
          .advance(from, 16)
          .advance(this.#to, 16);
      });
      for (let i = 0; i < channels - 4 * whole; i++) {
        f.get(this.#to)
          .get(from)
          .memory('f32Load', 4 * i)
          .memory('f32Store', 4 * i);
      }
      f.advance(from, row - 16 * whole);
      this.#next();
    });
  }

  /** Calls `copy` for what follows one another in the image, its address in #from, and `clear` for what lies outside. */
  #eachRun(
    block: PatchBlock,
    copy: (index: number, length: number) => void,
    clear: (index: number, length: number) => void,
  ): void {
    const f = this.#f;
    const { image, pixel, places, stride } = this.#shape;
    const [at, top, left] = this.#state;
    let index = 0;
    for (const { row, columns, channel, length } of block.segments) {
      const start = index;
      const total = columns.length * length;
      const [first, last] = [columns[0]!, columns.at(-1)!];
      const at0 = (column: number) =>
        f
          .get(at)
          .i32(4 * ((row * image[1] + column) * pixel + channel))
          .op('i32Add')
          .set(this.#from);
      const together =
        columns.every((column, i) => column === first + i) && (columns.length === 1 || pixel === length);
      const inside = () => {
        if (together) {
          at0(first);
          copy(start, total);
          return;
        }
        for (const [i, column] of columns.entries()) {
          at0(column);
          copy(start + i * length, length);
        }
      };
      const oneByOne = () => {
        for (const [i, column] of columns.entries()) {
          f.get(left).i32(column).op('i32Add').i32(image[1]).op('i32LtU');
          f.either(
            () => {
              at0(column);
              copy(start + i * length, length);
            },
            () => clear(start + i * length, length),
          );
        }
      };
      const alongRow = () => {
        const always = first >= 0 && (places[1] - 1) * stride[1] + last < image[1];
        const room = image[1] - (last - first);
        if (always) inside();
        else if (columns.length === 1 || room <= 0) oneByOne();
        else f.get(left).i32(first).op('i32Add').i32(room).op('i32LtU').either(inside, oneByOne);
      };
      if (row >= 0 && (places[0] - 1) * stride[0] + row < image[0]) alongRow();
      else {
        f.get(top).i32(row).op('i32Add').i32(image[0]).op('i32LtU');
        f.either(alongRow, () => clear(start, total));
      }
      index += total;
    }
  }

  /** Copies `length` elements from #from to so many bytes behind #to; in whole vectors. */
  #copyVectors(to: number, length: number): void {
    const f = this.#f;
    const vectors = Math.ceil(length / 4);
    const together = 8;
    const put = (i: number, offset: number) =>
      f
        .get(this.#to)
        .get(this.#from)
        .memory('v128Load', 16 * i)
        .memory('v128Store', offset + 16 * i);
    if (vectors <= 2 * together) {
      for (let i = 0; i < vectors; i++) put(i, to);
      return;
    }
    const rounds = Math.floor(vectors / together);
    f.repeat(rounds, () => {
      for (let i = 0; i < together; i++) put(i, to);
      f.advance(this.#from, 16 * together).advance(this.#to, 16 * together);
    });
    f.advance(this.#to, -16 * together * rounds);
    const done = 16 * together * rounds;
    for (let i = 0; i < vectors - together * rounds; i++) put(i, to + done);
  }

  /** To the next place: of the row, of the image, of the next image. */
  #next(): void {
    const f = this.#f;
    const { image, pixel, places, stride } = this.#shape;
    const [at, top, left] = this.#state;
    const bytes = 4 * pixel;
    f.advance(at, stride[1] * bytes).advance(left, stride[1]);
    f.get(left)
      .i32(places[1] * stride[1])
      .op('i32Eq');
    f.when(() => {
      f.i32(0).set(left);
      f.advance(at, (stride[0] * image[1] - places[1] * stride[1]) * bytes).advance(top, stride[0]);
      f.get(top)
        .i32(places[0] * stride[0])
        .op('i32Eq');
      f.when(() => {
        f.i32(0).set(top);
        f.advance(at, (image[0] - places[0] * stride[0]) * image[1] * bytes);
      });
    });
  }
}
