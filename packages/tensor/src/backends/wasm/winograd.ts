/**
 * Winograd's convolution for windows of 3 x 3 at stride 1, and its adjoints: results are made in tiles of 2 x 2 with 16 products
 * a channel where the plain sum has 36. Tiles are taken a block at a time: their images are mapped (`winograd-transforms.ts`),
 * for each of the 16 numbers a matrix product sums over the channels, and what comes out is mapped to results. The gradient of
 * the image is the same with the window turned round; that of the window sums products of mapped images and mapped
 * gradients over the tiles, which the transposed map takes to the window.
 */
import type { Node } from '../../graph.ts';
import { type ConvolutionSizes, convolutionSizes } from '../../ops/conv2d.ts';
import { FunctionBuilder, type Local } from './assembler.ts';
import { type BlockCaller, blockCaller, type ConvolutionContext } from './convolution-block.ts';
import { type KernelName, kernelShapes } from './gemm.ts';
import { type Lanes, maps, TileMapper, transposed } from './winograd-transforms.ts';

/** Side of a tile of the image, and numbers of a mapped tile. */
const SIDE = 4;
const POINTS = SIDE * SIDE;
/** Rows of mapped tiles do not fall on the same lines of the cache with so many elements more. */
const GAP = 16;
/** Bytes that a block of mapped tiles may take of the second-level cache. */
const CACHE = 768 * 1024;
/** Fewest and most tiles of a block. */
const LEAST = 60;
const MOST = 240;
/** Tiles of a block in the gradient of a window that is larger than the cache. */
const BY_WINDOW = 256;

/** A convolution from an image of `channels` to results of `filters`; in an adjoint those are other tensors'. */
interface Shape {
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

function shapeOf(node: Node): Shape {
  const sizes: ConvolutionSizes = convolutionSizes(node);
  const turned = node.op === 'conv2dInputGradient';
  const [image, places] = turned ? [sizes.places, sizes.image] : [sizes.image, sizes.places];
  const [channels, filters] = turned ? [sizes.filters, sizes.channels] : [sizes.channels, sizes.filters];
  const padding = sizes.padding.map((own) => (turned ? 2 - own : own)) as [number, number];
  const [rows, columns] = places.map((extent) => Math.ceil(extent / 2)) as [number, number];
  const tiles = [rows, columns, sizes.samples * rows * columns] as const;
  const fitting = Math.floor(CACHE / (4 * POINTS * (channels + filters)));
  const cached = Math.max(LEAST, Math.min(MOST, 20 * Math.floor(fitting / 20)));
  // The mapped window's gradient is read and written for every block.
  const long = node.op === 'conv2dWeightGradient' && channels * filters > 128 * 128;
  const block = Math.min(tiles[2], long ? BY_WINDOW : cached);
  return { samples: sizes.samples, image, places, padding, channels, filters, tiles, block };
}

interface Workspace {
  /** Mapped tiles of the image, [points, block, channels + GAP]. */
  readonly image: number;
  /** Of the result, [points, block, filters + GAP]. */
  readonly result: number;
  /** The mapped window: panels of a matrix product, or in its gradient [points, channels, filters]. */
  readonly window: number;
  /** A tile of the image at an edge, zeros, and what nobody reads. */
  readonly edge: number;
  readonly zeros: number;
  readonly rubbish: number;
  readonly end: number;
}

function workspaceOf({ channels, filters, block }: Shape, kernel: KernelName, start: number): Workspace {
  const { columns } = kernelShapes[kernel];
  const image = start;
  const result = image + 4 * POINTS * block * (channels + GAP);
  const window = result + 4 * POINTS * block * (filters + GAP);
  const edge = window + 4 * POINTS * channels * columns * Math.ceil(filters / columns);
  const zeros = edge + 4 * POINTS * channels;
  const rubbish = zeros + 4 * filters;
  return { image, result, window, edge, zeros, rubbish, end: rubbish + 4 * filters };
}

export const winogradWorkspaceBytes = (node: Node, kernel: KernelName): number =>
  workspaceOf(shapeOf(node), kernel, 0).end;

/** A function that computes a convolution node. */
export function winogradKernel(
  node: Node,
  [first, second]: readonly number[],
  to: number,
  context: ConvolutionContext,
): FunctionBuilder {
  const f = new FunctionBuilder();
  const emitter = new WinogradEmitter(f, shapeOf(node), context);
  if (node.op === 'conv2dWeightGradient') emitter.windowGradient(first!, second!, to);
  else emitter.results(first!, second!, to, node.op === 'conv2dInputGradient');
  return f;
}

class WinogradEmitter {
  readonly #f: FunctionBuilder;
  readonly #shape: Shape;
  readonly #space: Workspace;
  readonly #kernel: KernelName;
  readonly #mapper: TileMapper;
  readonly #callBlock: BlockCaller;
  /** The tile at hand: address of its sample's image and result, its first row and column in the result. */
  readonly #image: Local;
  readonly #result: Local;
  readonly #row: Local;
  readonly #column: Local;
  readonly #from: Local;
  readonly #fromRow: Local;
  readonly #to: Local;
  readonly #corners: readonly Local[];

  constructor(f: FunctionBuilder, shape: Shape, context: ConvolutionContext) {
    this.#f = f;
    this.#shape = shape;
    this.#kernel = context.kernel;
    this.#space = workspaceOf(shape, context.kernel, context.workspace);
    this.#mapper = new TileMapper(f);
    this.#callBlock = blockCaller(f, context);
    [this.#image, this.#result, this.#row, this.#column, this.#from, this.#fromRow, this.#to] = Array.from(
      { length: 7 },
      () => f.local('i32'),
    ) as [Local, Local, Local, Local, Local, Local, Local];
    this.#corners = Array.from({ length: 4 }, () => f.local('i32'));
  }

  /** Results of images and a window; turned: the window is turned round, and its channels and filters change places. */
  results(image: number, window: number, to: number, turned: boolean): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const space = this.#space;
    const tile = kernelShapes[this.#kernel];
    const panels = Math.ceil(filters / tile.columns);
    this.#mapWindow(window, turned);
    this.#eachBlock(image, to, (count, again) => {
      again(() => this.#mapImage(), space.image);
      const aRow = 4 * (channels + GAP);
      const cRow = 4 * (filters + GAP);
      for (let point = 0; point < POINTS; point++) {
        const block = {
          m: count,
          n: filters,
          depth: channels,
          a: { row: aRow, column: 4, tile: tile.rows * aRow },
          b: { panel: 4 * tile.columns * channels },
          cRow,
          fresh: true,
        };
        this.#callBlock(tile, block, () =>
          f
            .i32(space.image + point * this.#shape.block * aRow)
            .i32(space.window + 4 * point * panels * channels * tile.columns)
            .i32(space.result + point * this.#shape.block * cRow),
        );
      }
      again(() => this.#mapResult(), space.result);
    });
  }

  /** The window's gradient, from images and gradients of results. */
  windowGradient(image: number, gradient: number, to: number): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const space = this.#space;
    const tile = kernelShapes[this.#kernel];
    this.#clear(space.zeros, filters);
    let fresh = true;
    this.#eachBlock(image, gradient, (count, again) => {
      again(() => this.#mapImage(), space.image);
      again(() => this.#mapGradient(), space.result);
      const aRow = 4 * (channels + GAP);
      const bRow = 4 * (filters + GAP);
      for (let point = 0; point < POINTS; point++) {
        const block = {
          m: channels,
          n: filters,
          depth: count,
          a: { row: 4, column: aRow, tile: 4 * tile.rows },
          b: { row: bRow, column: 4 },
          cRow: 4 * filters,
          fresh,
        };
        this.#callBlock(tile, block, () =>
          f
            .i32(space.image + point * this.#shape.block * aRow)
            .i32(space.result + point * this.#shape.block * bRow)
            .i32(space.window + 4 * point * channels * filters),
        );
      }
      fresh = false;
    });
    this.#unmapWindow(to);
  }

  /** Runs `body` for each block of tiles; in it `again` runs something for each tile, whose row of mapped numbers is at #to. */
  #eachBlock(
    image: number,
    result: number,
    body: (count: number, again: (each: () => void, mapped: number) => void) => void,
  ): void {
    const f = this.#f;
    const { tiles, block } = this.#shape;
    const state = [this.#image, this.#result, this.#row, this.#column];
    const saved = state.map(() => f.local('i32'));
    f.i32(image)
      .set(this.#image)
      .i32(result)
      .set(this.#result)
      .i32(0)
      .set(this.#row)
      .i32(0)
      .set(this.#column);
    const one = (count: number) => {
      for (const [i, local] of state.entries()) f.get(local).set(saved[i]!);
      body(count, (each, mapped) => {
        for (const [i, local] of saved.entries()) f.get(local).set(state[i]!);
        f.i32(mapped).set(this.#to);
        f.repeat(count, () => {
          each();
          this.#nextTile();
        });
      });
    };
    // The first by itself: a window's gradient starts there.
    one(block);
    const rest = tiles[2] - block;
    f.repeat(Math.floor(rest / block), () => one(block));
    if (rest % block > 0) one(rest % block);
  }

  #nextTile(): void {
    const f = this.#f;
    const { image, places, tiles, channels, filters } = this.#shape;
    f.advance(this.#column, 2);
    f.get(this.#column)
      .i32(2 * tiles[1])
      .op('i32Eq');
    f.when(() => {
      f.i32(0).set(this.#column).advance(this.#row, 2);
      f.get(this.#row)
        .i32(2 * tiles[0])
        .op('i32Eq');
      f.when(() => {
        f.i32(0).set(this.#row);
        f.advance(this.#image, 4 * image[0] * image[1] * channels);
        f.advance(this.#result, 4 * places[0] * places[1] * filters);
      });
    });
  }

  /** Maps the image under the tile to the numbers at #to. */
  #mapImage(): void {
    const f = this.#f;
    const { image, padding, channels, block } = this.#shape;
    const pixel = 4 * channels;
    const row = image[1] * pixel;
    const [top, left] = [f.local('i32'), f.local('i32')];
    f.get(this.#row).i32(-padding[0]).op('i32Add').set(top);
    f.get(this.#column).i32(-padding[1]).op('i32Add').set(left);
    f.get(top).i32(row).op('i32Mul').get(left).i32(pixel).op('i32Mul', 'i32Add');
    f.get(this.#image).op('i32Add').set(this.#from);
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
    this.#vectors(channels, [...rows, to], (lanes) =>
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
    f.advance(this.#to, 4 * (channels + GAP));
  }

  /** Copies a tile that reaches beyond the image, with zeros there; #from and #fromRow then lead to the copy. */
  #copyEdge(top: Local, left: Local): void {
    const f = this.#f;
    const { image, channels } = this.#shape;
    const pixel = 4 * channels;
    const [y, x, to, from] = [f.local('i32'), f.local('i32'), f.local('i32'), f.local('i32')];
    f.i32(this.#space.edge).set(to).get(top).set(y);
    f.repeat(SIDE, () => {
      f.get(left).set(x).get(this.#from).set(from);
      f.repeat(SIDE, () => {
        f.get(y).i32(image[0]).op('i32LtU').get(x).i32(image[1]).op('i32LtU', 'i32And');
        f.either(
          () =>
            this.#vectors(channels, [from, to], (lanes) => {
              for (let lane = 0; lane < lanes; lane++)
                f.get(to)
                  .get(from)
                  .memory('v128Load', 16 * lane)
                  .memory('v128Store', 16 * lane);
            }),
          () => {
            this.#vectors(channels, [to], (lanes) => {
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
    f.i32(this.#space.edge).set(this.#from);
    f.i32(SIDE * pixel).set(this.#fromRow);
  }

  /** Leaves the addresses of the tile's four results in #corners; those outside are `outside`. */
  #findCorners(outside: number): void {
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
    f.get(this.#result).op('i32Add').tee(first);
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
        for (const local of locals) f.i32(outside).set(local);
      });
    };
    beyond(this.#row, places[0], [below, across]);
    beyond(this.#column, places[1], [right, across]);
  }

  /** Maps the numbers at #to to results. */
  #mapResult(): void {
    const f = this.#f;
    const { filters, block } = this.#shape;
    this.#findCorners(this.#space.rubbish);
    const point = 4 * block * (filters + GAP);
    const from = f.local('i32');
    f.get(this.#to).set(from);
    this.#vectors(filters, [from, ...this.#corners], (lanes) =>
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
    f.advance(this.#to, 4 * (filters + GAP));
  }

  /** Maps gradients of the tile's results to the numbers at #to. */
  #mapGradient(): void {
    const f = this.#f;
    const { filters, block } = this.#shape;
    this.#findCorners(this.#space.zeros);
    const point = 4 * block * (filters + GAP);
    const to = f.local('i32');
    f.get(this.#to).set(to);
    this.#vectors(filters, [to, ...this.#corners], (lanes) =>
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
    f.advance(this.#to, 4 * (filters + GAP));
  }

  /** Maps the window to panels of a matrix product, [points, panels, channels, columns of a panel]. */
  #mapWindow(window: number, turned: boolean): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const { columns } = kernelShapes[this.#kernel];
    const panels = Math.ceil(filters / columns);
    const tap = 4 * channels * filters;
    const point = 4 * panels * channels * columns;
    const [from, to] = [f.local('i32'), f.local('i32')];
    /** Bytes from a channel to the next, and from a filter to the next. */
    const [channel, filter] = turned ? [4, 4 * channels] : [4 * filters, 4];
    const load = (i: number, j: number) => {
      const at = tap * (turned ? 8 - (3 * i + j) : 3 * i + j);
      if (!turned) {
        f.get(from).memory('v128Load', at);
        return;
      }
      // Four filters that do not lie together.
      const one = (lane: number) => f.get(from).memory('v128Load32Zero', at + lane * filter);
      one(0);
      one(1);
      f.shuffle32(0, 4, 1, 5);
      one(2);
      one(3);
      f.shuffle32(0, 4, 1, 5).shuffle32(0, 1, 4, 5);
    };
    const group = (panel: number) => {
      const width = Math.min(columns, filters - panel * columns);
      for (let lane = 0; lane < width; lane += 4) {
        f.i32(window + (panel * columns + lane) * filter).set(from);
        f.i32(this.#space.window + 4 * (panel * channels * columns + lane)).set(to);
        f.repeat(channels, () => {
          this.#mapper.map(maps.window, 1, load, (i, j, _, push) => {
            f.get(to);
            push();
            f.memory('v128Store', (i * SIDE + j) * point);
          });
          f.advance(from, channel).advance(to, 4 * columns);
        });
      }
    };
    for (let panel = 0; panel < panels; panel++) group(panel);
  }

  /** From the gradient of the mapped window, [points, channels, filters], to that of the window. */
  #unmapWindow(to: number): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const tap = 4 * channels * filters;
    const [from, into] = [f.local('i32'), f.local('i32')];
    f.i32(this.#space.window).set(from).i32(to).set(into);
    this.#vectors(channels * filters, [from, into], (lanes) =>
      this.#mapper.map(
        transposed(maps.window),
        lanes,
        (i, j, lane) => f.get(from).memory('v128Load', (i * SIDE + j) * tap + 16 * lane),
        (i, j, lane, push) => {
          f.get(into);
          push();
          f.memory('v128Store', (3 * i + j) * tap + 16 * lane);
        },
      ),
    );
  }

  #clear(address: number, count: number): void {
    const f = this.#f;
    const to = f.local('i32');
    f.i32(address).set(to);
    f.repeat(count / 4, () => f.get(to).f32x4(0).memory('v128Store').advance(to, 16));
  }

  /** Runs `body` for all vectors of `count` elements, two at a time; the pointers move on. */
  #vectors(count: number, pointers: readonly Local[], body: (lanes: Lanes) => void): void {
    const f = this.#f;
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
}
