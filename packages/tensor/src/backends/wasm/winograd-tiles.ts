/**
 * One tile of Winograd's convolution: from the image, or from gradients of results, to the numbers that are multiplied, and from
 * those to results. Each is a function that all tiles of all convolutions of one shape share.
 */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { type ConvolutionSizes, convolutionSizes, winogradTile } from '../../ops/conv2d.ts';
import { type Lanes, type Matrix, maps, TileMapper, transposed } from './winograd-transforms.ts';
import { TileWatch } from './winograd-watch.ts';

/** Side of a tile of the image, and numbers of a mapped tile, by the side of the result's. */
export const sideOf = ({ tile }: Pick<TiledShape, 'tile'>): number => tile + 2;
export const pointsOf = (shape: Pick<TiledShape, 'tile'>): number => sideOf(shape) ** 2;
/** Rows of mapped tiles do not fall on the same lines of the cache with so many elements more. */
export const GAP = 16;
/** A convolution from an image of `channels` to results of `filters`; in an adjoint those are other tensors'. */
export interface TiledShape {
  readonly samples: number;
  readonly image: readonly [number, number];
  readonly places: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly channels: number;
  readonly filters: number;
  /** Side of a tile of the result. */
  readonly tile: 2 | 4;
  /** Tiles along rows and columns, and of all samples. */
  readonly tiles: readonly [number, number, number];
  /** Tiles of a block. */
  readonly block: number;
}

/** Bytes that a block of mapped tiles may take of the second-level cache. */
const CACHE = 768 * 1024;
/** Fewest and most tiles of a block. */
const LEAST = 60;
const MOST = 240;
/** Tiles of a block in the gradient of a window that is larger than the cache. */
const BY_WINDOW = 256;

/** The shape of a node of any of the three operations, as its kernel sees it. */
export function shapeOf(node: Node): TiledShape {
  const sizes: ConvolutionSizes = convolutionSizes(node);
  const tile = winogradTile(sizes)!;
  const turned = node.op === 'conv2dInputGradient';
  const [image, places] = turned ? [sizes.places, sizes.image] : [sizes.image, sizes.places];
  const [channels, filters] = turned ? [sizes.filters, sizes.channels] : [sizes.channels, sizes.filters];
  const padding = sizes.padding.map((own) => (turned ? 2 - own : own)) as [number, number];
  const [rows, columns] = places.map((extent) => Math.ceil(extent / tile)) as [number, number];
  const tiles = [rows, columns, sizes.samples * rows * columns] as const;
  const fitting = Math.floor(CACHE / (4 * pointsOf({ tile }) * (channels + filters)));
  const cached = Math.max(LEAST, Math.min(MOST, 20 * Math.floor(fitting / 20)));
  // The mapped window's gradient is read and written for every block.
  const long = node.op === 'conv2dWeightGradient' && channels * filters > 128 * 128;
  const block = Math.min(tiles[2], long ? BY_WINDOW : cached);
  return { samples: sizes.samples, image, places, padding, channels, filters, tile, tiles, block };
}

/** What can be done with a tile. */
export type TileAction = 'image' | 'watched' | 'result' | 'gradient';

/**
 * A function (base, row, column, mapped, spare, flag) of addresses and the tile's first row and column in the result.
 *   image: maps the image of the sample at `base` to `mapped`; spare: room for a tile
 *   watched: the same, and writes to `flag` whether the tile needs plain sums (`winograd-direct.ts`)
 *   result: maps `mapped` to the results of the sample at `base`; spare: room for a tile of them
 *   gradient: maps gradients of the sample's results at `base` to `mapped`; spare: room for a tile of them
 */
export function buildTile(action: TileAction, shape: TiledShape): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32', 'i32', 'i32']);
  new TileEmitter(f, shape)[action]();
  return f;
}

class TileEmitter {
  readonly #f: FunctionBuilder;
  readonly #shape: TiledShape;
  readonly #mapper: TileMapper;
  readonly #base: Local;
  readonly #row: Local;
  readonly #column: Local;
  readonly #to: Local;
  readonly #spare: Local;
  /** Where the tile's first pixel is, and bytes to the next row. */
  readonly #from: Local;
  readonly #fromRow: Local;

  constructor(f: FunctionBuilder, shape: TiledShape) {
    this.#f = f;
    this.#shape = shape;
    this.#mapper = new TileMapper(f);
    [this.#base, this.#row, this.#column, this.#to, this.#spare] = [0, 1, 2, 3, 4].map((i) =>
      f.parameter(i),
    ) as [Local, Local, Local, Local, Local];
    [this.#from, this.#fromRow] = [f.local('i32'), f.local('i32')];
  }

  /** Maps the image under the tile to the numbers at #to, and decides how the tile is computed. */
  watched(): void {
    const watch = new TileWatch(this.#f, sideOf(this.#shape));
    this.image(watch);
    watch.decide(this.#f.parameter(5));
  }

  /** Maps the image under the tile to the numbers at #to. */
  image(watch?: TileWatch): void {
    const f = this.#f;
    const { image, padding, channels, tile } = this.#shape;
    const [top, left] = [f.local('i32'), f.local('i32')];
    f.get(this.#row).i32(-padding[0]).op('i32Add').set(top);
    f.get(this.#column).i32(-padding[1]).op('i32Add').set(left);
    this.#find(top, left, image, channels);
    const side = sideOf(this.#shape);
    this.#whenBeyond(top, left, image, side, () => this.#copyEdge(top, left, image, side, channels));
    this.#mapPixels(maps[tile].image, side, channels, watch);
  }

  /** Maps gradients of the tile's results to the numbers at #to. */
  gradient(): void {
    const { places, filters, tile } = this.#shape;
    this.#find(this.#row, this.#column, places, filters);
    this.#whenBeyond(this.#row, this.#column, places, tile, () =>
      this.#copyEdge(this.#row, this.#column, places, tile, filters),
    );
    this.#mapPixels(transposed(maps[tile].result), tile, filters);
  }

  /** Maps the numbers at #to to results. */
  result(): void {
    const f = this.#f;
    const { places, filters, block, tile } = this.#shape;
    const side = sideOf(this.#shape);
    this.#find(this.#row, this.#column, places, filters);
    const place = f.local('i32');
    f.get(this.#from).set(place);
    this.#whenBeyond(this.#row, this.#column, places, tile, () => this.#useSpare(tile, filters));
    const rows = this.#rowPointers(tile);
    const point = 4 * block * (filters + GAP);
    const from = f.local('i32');
    f.get(this.#to).set(from);
    eachVectors(f, filters, [from, ...rows], (lanes) =>
      this.#mapper.map(
        maps[tile].result,
        lanes,
        (i, j, lane) => f.get(from).memory('v128Load', (i * side + j) * point + 16 * lane),
        (i, j, lane, push) => {
          f.get(rows[i]!);
          push();
          f.memory('v128Store', 4 * filters * j + 16 * lane);
        },
      ),
    );
    this.#whenBeyond(this.#row, this.#column, places, tile, () => {
      const spare = f.local('i32');
      f.get(this.#spare).set(spare);
      this.#eachPixel(this.#row, this.#column, places, tile, filters, place, (inside) => {
        if (inside) this.#copyPixel(spare, place, filters);
        else f.advance(place, 4 * filters).advance(spare, 4 * filters);
      });
    });
  }

  /** Leads #from to the pixel at `top` and `left` of the sample at #base. */
  #find(top: Local, left: Local, extents: readonly [number, number], channels: number): void {
    const f = this.#f;
    const row = 4 * channels * extents[1];
    f.get(top)
      .i32(row)
      .op('i32Mul')
      .get(left)
      .i32(4 * channels)
      .op('i32Mul', 'i32Add');
    f.get(this.#base).op('i32Add').set(this.#from);
    f.i32(row).set(this.#fromRow);
  }

  /** Runs `body` when a square of so many pixels from `top` and `left` on is not all within the extents. */
  #whenBeyond(
    top: Local,
    left: Local,
    extents: readonly [number, number],
    side: number,
    body: () => void,
  ): void {
    const f = this.#f;
    const [rows, columns] = [extents[0] - side + 1, extents[1] - side + 1];
    if (rows <= 0 || columns <= 0) {
      body();
      return;
    }
    f.get(top).i32(rows).op('i32LtU').get(left).i32(columns).op('i32LtU', 'i32And');
    f.either(() => {}, body);
  }

  /** #from and #fromRow lead to the spare tile. */
  #useSpare(side: number, channels: number): void {
    this.#f.get(this.#spare).set(this.#from);
    this.#f.i32(4 * side * channels).set(this.#fromRow);
  }

  /** Copies a tile that reaches beyond the extents, with zeros there; #from and #fromRow then lead to the copy. */
  #copyEdge(
    top: Local,
    left: Local,
    extents: readonly [number, number],
    side: number,
    channels: number,
  ): void {
    const f = this.#f;
    const to = f.local('i32');
    f.get(this.#spare).set(to);
    this.#eachPixel(top, left, extents, side, channels, this.#from, (inside) => {
      if (inside) {
        this.#copyPixel(this.#from, to, channels);
        return;
      }
      eachVectors(f, channels, [to], (lanes) => {
        for (let lane = 0; lane < lanes; lane++)
          f.get(to)
            .f32x4(0)
            .memory('v128Store', 16 * lane);
      });
      f.advance(this.#from, 4 * channels);
    });
    this.#useSpare(side, channels);
  }

  /** Runs `body` for the pixels of a tile, inside the extents or not; it leads `place` to the next pixel. */
  #eachPixel(
    top: Local,
    left: Local,
    extents: readonly [number, number],
    side: number,
    channels: number,
    place: Local,
    body: (inside: boolean) => void,
  ): void {
    const f = this.#f;
    const [y, x] = [f.local('i32'), f.local('i32')];
    f.get(top).set(y);
    f.repeat(side, () => {
      f.get(left).set(x);
      f.repeat(side, () => {
        f.get(y).i32(extents[0]).op('i32LtU').get(x).i32(extents[1]).op('i32LtU', 'i32And');
        f.either(
          () => body(true),
          () => body(false),
        );
        f.advance(x, 1);
      });
      f.advance(y, 1).advance(place, 4 * channels * (extents[1] - side));
    });
  }

  #copyPixel(from: Local, to: Local, channels: number): void {
    const f = this.#f;
    eachVectors(f, channels, [from, to], (lanes) => {
      for (let lane = 0; lane < lanes; lane++)
        f.get(to)
          .get(from)
          .memory('v128Load', 16 * lane)
          .memory('v128Store', 16 * lane);
    });
  }

  /** One pointer for each row of the tile at #from. */
  #rowPointers(count: number): Local[] {
    const f = this.#f;
    const rows = Array.from({ length: count }, () => f.local('i32'));
    f.get(this.#from).set(rows[0]!);
    for (let i = 1; i < count; i++)
      f.get(rows[i - 1]!)
        .get(this.#fromRow)
        .op('i32Add')
        .set(rows[i]!);
    return rows;
  }

  /** Maps a square of pixels at #from to the numbers at #to. */
  #mapPixels(matrix: Matrix, side: number, channels: number, watch?: TileWatch): void {
    const f = this.#f;
    const rows = this.#rowPointers(side);
    const to = f.local('i32');
    f.get(this.#to).set(to);
    const point = 4 * this.#shape.block * (channels + GAP);
    eachVectors(f, channels, [...rows, to], (lanes) =>
      this.#mapper.map(
        matrix,
        lanes,
        (i, j, lane) => {
          f.get(rows[i]!).memory('v128Load', 4 * channels * j + 16 * lane);
          watch?.see(i, j);
        },
        (i, j, lane, push) => {
          f.get(to);
          push();
          f.memory('v128Store', (i * sideOf(this.#shape) + j) * point + 16 * lane);
        },
      ),
    );
  }
}

/** Runs `body` for all vectors of `count` elements, two at a time; the pointers move on. */
export function eachVectors(
  f: FunctionBuilder,
  count: number,
  pointers: readonly Local[],
  body: (lanes: Lanes) => void,
): void {
  const pairs = Math.floor(count / 8);
  const move = (bytes: number) => {
    for (const pointer of pointers) f.advance(pointer, bytes);
  };
  f.repeat(pairs, () => {
    body(2);
    move(32);
  });
  if (count > 8 * pairs) {
    body(1);
    move(16);
  }
}
