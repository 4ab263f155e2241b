/**
 * Winograd's convolution for windows of 3 x 3 at stride 1, and its adjoints: results are made in tiles of 4 x 4 with 36 products
 * a channel where the plain sum has 144, or of 2 x 2 with 16 in the place of 36. Tiles are taken a block at a time: their images are mapped (`winograd-transforms.ts`),
 * for each of these numbers a matrix product sums over the channels, and what comes out is mapped to results. The gradient of
 * the image is the same with the window turned round; that of the window sums products of mapped images and mapped
 * gradients over the tiles, which the transposed map takes to the window.
 */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { levelsOf } from '../../ops/summation.ts';
import { type BlockCaller, blockCaller, type ConvolutionContext } from './convolution-block.ts';
import { emitAddition, emitRuns } from './emit-runs.ts';
import { type KernelName, kernelShapes } from './gemm.ts';
import { K_BLOCK } from './gemm-block.ts';
import { buildDirectTile } from './winograd-direct.ts';
import {
  buildTile,
  eachVectors,
  GAP,
  pointsOf,
  shapeOf,
  sideOf,
  type TileAction,
  type TiledShape,
} from './winograd-tiles.ts';
import { maps, TileMapper, transposed } from './winograd-transforms.ts';

interface Workspace {
  /** Mapped tiles of the image, [points, block, channels + GAP]. */
  readonly image: number;
  /** Of the result, [points, block, filters + GAP]. */
  readonly result: number;
  /** The mapped window: panels of a matrix product, or in its gradient [points, channels, filters], and behind it the sums that wait. */
  readonly window: number;
  /** Room for a tile of the image, and for one of the result, that reach beyond the edge. */
  readonly edge: number;
  readonly spare: number;
  /** Whether each tile of a block is computed as a plain sum. */
  readonly flags: number;
  readonly end: number;
}

/** Bytes of a mapped window from one of its points to the next: those of one element do not fall on the same lines of the cache. */
function bytesOfPoint({ channels, filters }: TiledShape, kernel: KernelName): number {
  const { columns } = kernelShapes[kernel];
  return 4 * (channels * columns * Math.ceil(filters / columns) + GAP);
}

/** @param waiting sums over tiles that wait in a window's gradient */
function workspaceOf(shape: TiledShape, kernel: KernelName, start: number, waiting: number): Workspace {
  const { channels, filters, block, tile } = shape;
  const points = pointsOf(shape);
  const image = start;
  const result = image + 4 * points * block * (channels + GAP);
  const window = result + 4 * points * block * (filters + GAP);
  const edge = window + (1 + waiting) * points * bytesOfPoint(shape, kernel);
  const spare = edge + 4 * points * channels;
  const flags = spare + 4 * tile * tile * filters;
  return { image, result, window, edge, spare, flags, end: flags + 4 * block };
}

function waitingOf(node: Node): number {
  const { tiles, block } = shapeOf(node);
  return node.op === 'conv2dWeightGradient' ? levelsOf(tiles[2], block) : 0;
}

export const winogradWorkspaceBytes = (node: Node, kernel: KernelName): number =>
  workspaceOf(shapeOf(node), kernel, 0, waitingOf(node)).end;

/** A function that computes a convolution node. */
export function winogradKernel(
  node: Node,
  [first, second]: readonly number[],
  to: number,
  context: ConvolutionContext,
): FunctionBuilder {
  const f = new FunctionBuilder();
  const emitter = new WinogradEmitter(f, shapeOf(node), waitingOf(node), context);
  if (node.op === 'conv2dWeightGradient') emitter.windowGradient(first!, second!, to);
  else emitter.results(first!, second!, to, node.op === 'conv2dInputGradient');
  return f;
}

/** Where the window is, and whether it is turned round. */
interface Direct {
  readonly window: number;
  readonly turned: boolean;
}

/** Does something with each tile of a block; with `direct`, as a plain sum where the tile's image asks for it. */
type Again = (action: TileAction, mapped: number, spare: number, direct?: Direct) => void;

class WinogradEmitter {
  readonly #f: FunctionBuilder;
  readonly #shape: TiledShape;
  readonly #space: Workspace;
  readonly #kernel: KernelName;
  readonly #mapper: TileMapper;
  readonly #callBlock: BlockCaller;
  readonly #shared: ConvolutionContext['shared'];
  /** The tile at hand: address of its sample's image and result, its first row and column in the result. */
  readonly #image: Local;
  readonly #result: Local;
  readonly #row: Local;
  readonly #column: Local;
  readonly #to: Local;
  readonly #flag: Local;
  readonly #lines: readonly Local[];

  constructor(f: FunctionBuilder, shape: TiledShape, waiting: number, context: ConvolutionContext) {
    this.#f = f;
    this.#shape = shape;
    this.#kernel = context.kernel;
    this.#space = workspaceOf(shape, context.kernel, context.workspace, waiting);
    this.#mapper = new TileMapper(f);
    this.#callBlock = blockCaller(f, context);
    [this.#image, this.#result, this.#row, this.#column, this.#to] = Array.from({ length: 5 }, () =>
      f.local('i32'),
    ) as [Local, Local, Local, Local, Local];
    this.#flag = f.local('i32');
    this.#shared = context.shared;
    this.#lines = Array.from({ length: 4 }, () => f.local('v128'));
  }

  /** Results of images and a window; turned: the window is turned round, and its channels and filters change places. */
  results(image: number, window: number, to: number, turned: boolean): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const space = this.#space;
    const tile = kernelShapes[this.#kernel];
    const ofPoint = bytesOfPoint(this.#shape, this.#kernel);
    this.#mapWindow(window, turned);
    const { tiles, block: together } = this.#shape;
    const run = this.#openBlocks(image, to, (count, again) => {
      again('watched', space.image, space.edge);
      const aRow = 4 * (channels + GAP);
      const cRow = 4 * (filters + GAP);
      for (let point = 0; point < pointsOf(this.#shape); point++) {
        for (let first = 0; first < channels; first += K_BLOCK) {
          const block = {
            m: count,
            n: filters,
            depth: Math.min(K_BLOCK, channels - first),
            a: { row: aRow, column: 4, tile: tile.rows * aRow },
            b: { panel: 4 * tile.columns * channels },
            cRow,
            fresh: first === 0,
          };
          this.#callBlock(tile, block, () =>
            f
              .i32(space.image + point * this.#shape.block * aRow + 4 * first)
              .i32(space.window + point * ofPoint + 4 * tile.columns * first)
              .i32(space.result + point * this.#shape.block * cRow),
          );
        }
      }
      again('result', space.result, space.spare, { window, turned });
    });
    f.repeat(Math.floor(tiles[2] / together), () => run(together, 0, true));
    if (tiles[2] % together > 0) run(tiles[2] % together, 0, true);
  }

  /** The window's gradient, from images and gradients of results. */
  windowGradient(image: number, gradient: number, to: number): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const space = this.#space;
    const tile = kernelShapes[this.#kernel];
    const ofPoint = bytesOfPoint(this.#shape, this.#kernel);
    const points = pointsOf(this.#shape);
    const target = (level: number) => ({
      at: space.window + level * points * ofPoint,
      row: ofPoint / 4,
    });
    const run = this.#openBlocks(image, gradient, (count, again, level, fresh) => {
      again('image', space.image, space.edge);
      again('gradient', space.result, space.spare);
      const aRow = 4 * (channels + GAP);
      const bRow = 4 * (filters + GAP);
      for (let point = 0; point < points; point++) {
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
            .i32(target(level).at + point * ofPoint),
        );
      }
    });
    emitRuns(f, this.#shape.tiles[2], this.#shape.block, {
      run,
      join: (level) => emitAddition(f, [points, channels * filters], target(level), target(level - 1)),
    });
    this.#unmapWindow(to);
  }

  /** Starts with the first tile. Returns what takes the next so many of them: runs `body`, in which `again` does something with each. */
  #openBlocks(
    image: number,
    result: number,
    body: (count: number, again: Again, level: number, fresh: boolean) => void,
  ): (count: number, level: number, fresh: boolean) => void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
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
    return (count, level, fresh) => {
      for (const [i, local] of state.entries()) f.get(local).set(saved[i]!);
      const again: Again = (action, mapped, spare, direct) => {
        const index = this.#shared(`winograd ${action} ${JSON.stringify(this.#shape)}`, () =>
          buildTile(action, this.#shape),
        );
        const isImage = action === 'image' || action === 'watched';
        const base = isImage ? this.#image : this.#result;
        for (const [i, local] of saved.entries()) f.get(local).set(state[i]!);
        f.i32(mapped).set(this.#to).i32(this.#space.flags).set(this.#flag);
        f.repeat(count, () => {
          const mapTile = () =>
            f.get(base).get(this.#row).get(this.#column).get(this.#to).i32(spare).get(this.#flag).call(index);
          if (!direct) mapTile();
          else
            f.get(this.#flag)
              .memory('i32Load')
              .either(() => this.#direct(direct), mapTile);
          f.advance(this.#to, 4 * ((isImage ? channels : filters) + GAP)).advance(this.#flag, 4);
          this.#nextTile();
        });
      };
      body(count, again, level, fresh);
    };
  }

  /** Computes the tile at hand as a plain sum. */
  #direct({ window, turned }: Direct): void {
    const index = this.#shared(`winograd direct ${turned} ${JSON.stringify(this.#shape)}`, () =>
      buildDirectTile(this.#shape, turned),
    );
    const f = this.#f;
    f.get(this.#image).get(this.#result).get(this.#row).get(this.#column).i32(window).call(index);
  }

  #nextTile(): void {
    const f = this.#f;
    const { image, places, tile, tiles, channels, filters } = this.#shape;
    f.advance(this.#column, tile);
    f.get(this.#column)
      .i32(tile * tiles[1])
      .op('i32Eq');
    f.when(() => {
      f.i32(0).set(this.#column).advance(this.#row, tile);
      f.get(this.#row)
        .i32(tile * tiles[0])
        .op('i32Eq');
      f.when(() => {
        f.i32(0).set(this.#row);
        f.advance(this.#image, 4 * image[0] * image[1] * channels);
        f.advance(this.#result, 4 * places[0] * places[1] * filters);
      });
    });
  }

  /** Maps the window to panels of a matrix product, [points, panels, channels, columns of a panel]. */
  #mapWindow(window: number, turned: boolean): void {
    const f = this.#f;
    const { channels, filters, tile } = this.#shape;
    const { columns } = kernelShapes[this.#kernel];
    const point = bytesOfPoint(this.#shape, this.#kernel);
    const tap = 4 * channels * filters;
    const [panel, from, first, to] = [0, 1, 2, 3].map(() => f.local('i32')) as [Local, Local, Local, Local];
    const mapOne = (load: (i: number, j: number) => void, at: number) =>
      this.#mapper.map(maps[tile].window, 1, load, (i, j, _, push) => {
        f.get(to);
        push();
        f.memory('v128Store', (i * sideOf(this.#shape) + j) * point + at);
      });
    /** Four filters of one channel, which lie together. */
    const straight = (width: number) => {
      f.repeat(channels, () => {
        f.repeat(width / 4, () => {
          mapOne((i, j) => f.get(from).memory('v128Load', (3 * i + j) * tap), 0);
          f.advance(from, 16).advance(to, 16);
        });
        f.advance(from, 4 * (filters - width)).advance(to, 4 * (columns - width));
      });
      f.advance(first, 4 * width);
    };
    /** Four filters of four channels: squares, in which the channels lie together, are turned first. */
    const turnedRound = (width: number) => {
      f.repeat(channels / 4, () => {
        f.repeat(width / 4, () => {
          this.#turnSquares(from, tap, 4 * channels, this.#space.edge);
          for (let channel = 0; channel < 4; channel++) {
            const at = (i: number, j: number) => this.#space.edge + 16 * (4 * (8 - (3 * i + j)) + channel);
            mapOne((i, j) => f.i32(at(i, j)).memory('v128Load'), 4 * columns * channel);
          }
          f.advance(from, 16 * channels).advance(to, 16);
        });
        f.advance(from, 16 - 4 * channels * width).advance(to, 4 * (4 * columns - width));
      });
      f.advance(first, 4 * channels * width);
    };
    f.i32(window).set(first).i32(this.#space.window).set(panel);
    const ofPanel = (width: number) => {
      f.get(first).set(from).get(panel).set(to);
      if (turned) turnedRound(width);
      else straight(width);
      f.advance(panel, 4 * channels * columns);
    };
    const whole = Math.floor(filters / columns);
    f.repeat(whole, () => ofPanel(columns));
    if (filters > whole * columns) ofPanel(filters - whole * columns);
  }

  /** Copies a square of 4 x 4 of each of the nine elements of the window, rows and columns exchanged. */
  #turnSquares(from: Local, tap: number, row: number, to: number): void {
    const f = this.#f;
    const lines = this.#lines;
    const [a, b, c, d] = lines as [Local, Local, Local, Local];
    for (let element = 0; element < 9; element++) {
      for (const [i, line] of lines.entries())
        f.get(from)
          .memory('v128Load', element * tap + i * row)
          .set(line);
      for (let column = 0; column < 4; column++) {
        const high = column - (column % 2);
        const pair = 2 * (column % 2);
        f.i32(to + 16 * (4 * element + column));
        f.get(a)
          .get(b)
          .shuffle32(high, 4 + high, 1 + high, 5 + high);
        f.get(c)
          .get(d)
          .shuffle32(high, 4 + high, 1 + high, 5 + high);
        f.shuffle32(pair, 1 + pair, 4 + pair, 5 + pair).memory('v128Store');
      }
    }
  }

  /** From the gradient of the mapped window, [points, channels, filters], to that of the window. */
  #unmapWindow(to: number): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const tap = 4 * channels * filters;
    const point = bytesOfPoint(this.#shape, this.#kernel);
    const [from, into] = [f.local('i32'), f.local('i32')];
    f.i32(this.#space.window).set(from).i32(to).set(into);
    eachVectors(f, channels * filters, [from, into], (lanes) =>
      this.#mapper.map(
        transposed(maps[this.#shape.tile].window),
        lanes,
        (i, j, lane) => f.get(from).memory('v128Load', (i * sideOf(this.#shape) + j) * point + 16 * lane),
        (i, j, lane, push) => {
          f.get(into);
          push();
          f.memory('v128Store', (3 * i + j) * tap + 16 * lane);
        },
      ),
    );
  }
}
