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
  const [image, result, top, left, window] = [0, 1, 2, 3, 4].map((i) => f.parameter(i)) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const { image: extents, places, padding, channels, filters, tile } = shape;
  const [row, column, y, x, pixel, to, weight] = Array.from({ length: 7 }, () => f.local('i32')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const isInside = (r: Local, c: Local, [rows, columns]: readonly [number, number]) =>
    f.get(r).i32(rows).op('i32LtU').get(c).i32(columns).op('i32LtU', 'i32And');
  /** Pushes the address of a pixel. */
  const at = (base: Local, r: Local, c: Local, columns: number, depth: number) =>
    f
      .get(r)
      .i32(columns)
      .op('i32Mul')
      .get(c)
      .op('i32Add')
      .i32(4 * depth)
      .op('i32Mul')
      .get(base)
      .op('i32Add');
  const tap = 4 * channels * filters;
  const offset = f.local('i32');
  /** Sums of `count` vectors of results from `offset` on, all taps. */
  const sums = (count: number) => {
    const totals = Array.from({ length: count }, () => f.local('v128'));
    const parts = Array.from({ length: turned ? 4 * count : count }, () => f.local('v128'));
    for (const total of totals) f.f32x4(0).set(total);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        f.get(row)
          .i32(i - padding[0])
          .op('i32Add')
          .set(y);
        f.get(column)
          .i32(j - padding[1])
          .op('i32Add')
          .set(x);
        isInside(y, x, extents);
        f.when(() => {
          at(image, y, x, extents[1], channels);
          f.set(pixel);
          const element = turned ? 8 - (3 * i + j) : 3 * i + j;
          f.get(window)
            .i32(element * tap)
            .op('i32Add');
          f.get(offset)
            .i32(turned ? channels : 1)
            .op('i32Mul', 'i32Add')
            .set(weight);
          for (const part of parts) f.f32x4(0).set(part);
          if (turned) addRows(parts);
          else addColumns(parts);
          for (const [index, total] of totals.entries()) {
            f.get(total);
            if (turned) pushSums(parts.slice(4 * index, 4 * index + 4));
            else f.get(parts[index]!);
            f.op('f32x4Add').set(total);
          }
        });
      }
    }
    for (const [index, total] of totals.entries())
      f.get(to)
        .get(offset)
        .op('i32Add')
        .get(total)
        .memory('v128Store', 16 * index);
    f.advance(offset, 16 * count);
  };
  /** The filters of one channel lie together. */
  const addColumns = (parts: readonly Local[]) =>
    f.repeat(channels, () => {
      for (const [index, part] of parts.entries()) {
        f.get(part)
          .get(pixel)
          .memory('v128Load32Splat')
          .get(weight)
          .memory('v128Load', 16 * index);
        f.op('f32x4Mul', 'f32x4Add').set(part);
      }
      f.advance(pixel, 4).advance(weight, 4 * filters);
    });
  /** What is summed lies together: four lanes. */
  const addRows = (parts: readonly Local[]) =>
    f.repeat(channels / 4, () => {
      for (const [index, part] of parts.entries()) {
        f.get(part)
          .get(pixel)
          .memory('v128Load')
          .get(weight)
          .memory('v128Load', 4 * channels * index);
        f.op('f32x4Mul', 'f32x4Add').set(part);
      }
      f.advance(pixel, 16).advance(weight, 16);
    });
  const pushSums = ([a, b, c, d]: readonly Local[]) => {
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
  };
  f.get(top).set(row);
  f.repeat(tile, () => {
    f.get(left).set(column);
    f.repeat(tile, () => {
      isInside(row, column, places);
      f.when(() => {
        at(result, row, column, places[1], filters);
        f.set(to).i32(0).set(offset);
        const vectors = filters / 4;
        f.repeat(Math.floor(vectors / TOGETHER), () => sums(TOGETHER));
        if (vectors % TOGETHER > 0) sums(vectors % TOGETHER);
      });
      f.advance(column, 1);
    });
    f.advance(row, 1);
  });
  return f;
}
