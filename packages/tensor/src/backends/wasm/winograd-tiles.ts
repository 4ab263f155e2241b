/**
 * One tile of Winograd's convolution: from the image, or from gradients of results, to the numbers that are multiplied, and from
 * those to results. Each is a function that all tiles of all convolutions of one shape share.
 */
import { FunctionBuilder, type Local } from './assembler.ts';
import { type Lanes, maps, TileMapper, transposed } from './winograd-transforms.ts';

/** Side of a tile of the image, and numbers of a mapped tile. */
export const SIDE = 4;
export const POINTS = SIDE * SIDE;
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
  /** Tiles along rows and columns, and of all samples. */
  readonly tiles: readonly [number, number, number];
  /** Tiles of a block. */
  readonly block: number;
}

/** What can be done with a tile. */
export type TileAction = 'image' | 'result' | 'gradient';

/**
 * A function (base, row, column, mapped, spare) of addresses and the tile's first row and column in the result.
 *   image: maps the image of the sample at `base` to `mapped`; spare: room for a tile
 *   result: maps `mapped` to the results of the sample at `base`; spare: room for a pixel
 *   gradient: maps gradients of the sample's results at `base` to `mapped`; spare: a pixel of zeros
 */
export function buildTile(action: TileAction, shape: TiledShape): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32', 'i32']);
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
  readonly #from: Local;
  readonly #fromRow: Local;
  readonly #corners: readonly Local[];

  constructor(f: FunctionBuilder, shape: TiledShape) {
    this.#f = f;
    this.#shape = shape;
    this.#mapper = new TileMapper(f);
    [this.#base, this.#row, this.#column, this.#to, this.#spare] = [0, 1, 2, 3, 4].map((i) =>
      f.parameter(i),
    ) as [Local, Local, Local, Local, Local];
    [this.#from, this.#fromRow] = [f.local('i32'), f.local('i32')];
    this.#corners = Array.from({ length: 4 }, () => f.local('i32'));
  }

  /** Maps the image under the tile to the numbers at #to. */
  image(): void {
    const f = this.#f;
    const { image, padding, channels, block } = this.#shape;
    const pixel = 4 * channels;
    const row = image[1] * pixel;
    const [top, left] = [f.local('i32'), f.local('i32')];
    f.get(this.#row).i32(-padding[0]).op('i32Add').set(top);
    f.get(this.#column).i32(-padding[1]).op('i32Add').set(left);
    f.get(top).i32(row).op('i32Mul').get(left).i32(pixel).op('i32Mul', 'i32Add');
    f.get(this.#base).op('i32Add').set(this.#from);
    f.i32(row).set(this.#fromRow);
    const room = [image[0] - SIDE + 1, image[1] - SIDE + 1] as const;
    const atEdge = () => this.#copyEdge(top, left);
    if (room[0] <= 0 || room[1] <= 0) atEdge();
    else {
      f.get(top).i32(room[0]).op('i32LtU').get(left).i32(room[1]).op('i32LtU', 'i32And');
      f.either(() => {}, atEdge);
    }
    const rows = Array.from({ length: SIDE }, () => f.local('i32'));
    f.get(this.#from).set(rows[0]!);
    for (let i = 1; i < SIDE; i++)
      f.get(rows[i - 1]!)
        .get(this.#fromRow)
        .op('i32Add')
        .set(rows[i]!);
    const to = f.local('i32');
    f.get(this.#to).set(to);
    const point = 4 * block * (channels + GAP);
    eachVectors(f, channels, [...rows, to], (lanes) =>
      this.#mapper.map(
        maps.image,
        lanes,
        (i, j, lane) => f.get(rows[i]!).memory('v128Load', j * pixel + 16 * lane),
        (i, j, lane, push) => {
          f.get(to);
          push();
          f.memory('v128Store', (i * SIDE + j) * point + 16 * lane);
        },
      ),
    );
  }

  /** Copies a tile that reaches beyond the image, with zeros there; #from and #fromRow then lead to the copy. */
  #copyEdge(top: Local, left: Local): void {
    const f = this.#f;
    const { image, channels } = this.#shape;
    const pixel = 4 * channels;
    const [y, x, to, from] = [f.local('i32'), f.local('i32'), f.local('i32'), f.local('i32')];
    f.get(this.#spare).set(to).get(top).set(y);
    f.repeat(SIDE, () => {
      f.get(left).set(x).get(this.#from).set(from);
      f.repeat(SIDE, () => {
        f.get(y).i32(image[0]).op('i32LtU').get(x).i32(image[1]).op('i32LtU', 'i32And');
        f.either(
          () =>
            eachVectors(f, channels, [from, to], (lanes) => {
              for (let lane = 0; lane < lanes; lane++)
                f.get(to)
                  .get(from)
                  .memory('v128Load', 16 * lane)
                  .memory('v128Store', 16 * lane);
            }),
          () => {
            eachVectors(f, channels, [to], (lanes) => {
              for (let lane = 0; lane < lanes; lane++)
                f.get(to)
                  .f32x4(0)
                  .memory('v128Store', 16 * lane);
            });
            f.advance(from, pixel);
          },
        );
        f.advance(x, 1);
      });
      f.advance(y, 1);
      f.get(this.#from).get(this.#fromRow).op('i32Add').set(this.#from);
    });
    f.get(this.#spare).set(this.#from);
    f.i32(SIDE * pixel).set(this.#fromRow);
  }

  /** Leaves the addresses of the tile's four results in #corners; those outside are #spare. */
  #findCorners(): void {
    const f = this.#f;
    const { places, filters } = this.#shape;
    const pixel = 4 * filters;
    const [first, right, below, across] = this.#corners as [Local, Local, Local, Local];
    f.get(this.#row)
      .i32(places[1] * pixel)
      .op('i32Mul')
      .get(this.#column)
      .i32(pixel)
      .op('i32Mul', 'i32Add');
    f.get(this.#base).op('i32Add').tee(first);
    f.i32(pixel).op('i32Add').set(right);
    f.get(first)
      .i32(places[1] * pixel)
      .op('i32Add')
      .tee(below);
    f.i32(pixel).op('i32Add').set(across);
    const beyond = (at: Local, extent: number, locals: readonly Local[]) => {
      if (extent % 2 === 0) return;
      f.get(at)
        .i32(extent - 1)
        .op('i32Eq');
      f.when(() => {
        for (const local of locals) f.get(this.#spare).set(local);
      });
    };
    beyond(this.#row, places[0], [below, across]);
    beyond(this.#column, places[1], [right, across]);
  }

  /** Maps the numbers at #to to results. */
  result(): void {
    const f = this.#f;
    const { filters, block } = this.#shape;
    this.#findCorners();
    const point = 4 * block * (filters + GAP);
    const from = f.local('i32');
    f.get(this.#to).set(from);
    eachVectors(f, filters, [from, ...this.#corners], (lanes) =>
      this.#mapper.map(
        maps.result,
        lanes,
        (i, j, lane) => f.get(from).memory('v128Load', (i * SIDE + j) * point + 16 * lane),
        (i, j, lane, push) => {
          f.get(this.#corners[2 * i + j]!);
          push();
          f.memory('v128Store', 16 * lane);
        },
      ),
    );
  }

  /** Maps gradients of the tile's results to the numbers at #to. */
  gradient(): void {
    const f = this.#f;
    const { filters, block } = this.#shape;
    this.#findCorners();
    const point = 4 * block * (filters + GAP);
    const to = f.local('i32');
    f.get(this.#to).set(to);
    eachVectors(f, filters, [to, ...this.#corners], (lanes) =>
      this.#mapper.map(
        transposed(maps.result),
        lanes,
        (i, j, lane) => f.get(this.#corners[2 * i + j]!).memory('v128Load', 16 * lane),
        (i, j, lane, push) => {
          f.get(to);
          push();
          f.memory('v128Store', (i * SIDE + j) * point + 16 * lane);
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
