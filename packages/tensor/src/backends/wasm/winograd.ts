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
import { behind, type OwnAddress, ownAddress, pushAddress } from './address.ts';
import { type BlockCaller, blockCaller, type ConvolutionContext } from './convolution-block.ts';
import {
  type Cut,
  cutOf,
  eachOfPart,
  emitParts,
  moveToPart,
  ofPart,
  onThread,
  pushFirst,
  type Team,
} from './cut.ts';
import { emitAddition, emitRuns } from './emit-runs.ts';
import { type KernelName, kernelShapes } from './gemm.ts';
import { K_BLOCK } from './gemm-block.ts';
import { buildDirectTile } from './winograd-direct.ts';
import { buildTile, GAP, pointsOf, shapeOf, type TileAction, type TiledShape } from './winograd-tiles.ts';
import { bytesOfPoint, WindowEmitter } from './winograd-window.ts';

interface Workspace {
  /** Mapped tiles of the image, [points, block, channels + GAP]. */
  readonly image: OwnAddress;
  /** Of the result, [points, block, filters + GAP]. */
  readonly result: OwnAddress;
  /** The mapped window: panels of a matrix product, or in its gradient [points, channels, filters], and behind it the sums that wait. */
  readonly window: number;
  /** Room for a tile of the image, and for one of the result, that reach beyond the edge. */
  readonly edge: OwnAddress;
  readonly spare: OwnAddress;
  /** Whether each tile of a block is computed as a plain sum. */
  readonly flags: OwnAddress;
  readonly end: number;
}

/** A mapped window of more bytes fits into no core's own cache: its points are divided among threads then, and otherwise the tiles. */
const LARGE_WINDOW = 2 ** 20;

/** Whether threads have the points of a block, and map its tiles together; otherwise each has tiles, and blocks of its own. */
const byPoints = (node: Node, kernel: KernelName): boolean =>
  node.op === 'conv2dWeightGradient' ||
  pointsOf(shapeOf(node)) * bytesOfPoint(shapeOf(node), kernel) > LARGE_WINDOW;

/** How a node's workspace is laid out, for so many threads. */
function workspaceOf(node: Node, kernel: KernelName, start: number, threads: number): Workspace {
  const shape = shapeOf(node);
  const { channels, filters, block, tile } = shape;
  const points = pointsOf(shape);
  const window = start;
  const image = window + (1 + waitingOf(node)) * points * bytesOfPoint(shape, kernel);
  const result = image + 4 * points * block * (channels + GAP);
  const flags = result + 4 * points * block * (filters + GAP);
  const edge = flags + 64 * Math.ceil(block / 16);
  const spare = edge + 4 * points * channels;
  const end = 64 * Math.ceil((spare + 4 * tile * tile * filters - start) / 64) + start;
  const ofTiles = threads === 1 || byPoints(node, kernel) ? 0 : end - image;
  const ofEdge = threads === 1 ? 0 : ofTiles || end - edge;
  const own = (at: number, apart: number) => ({ at, apart });
  return {
    ...{ image: own(image, ofTiles), result: own(result, ofTiles), flags: own(flags, ofTiles) },
    ...{ edge: own(edge, ofEdge), spare: own(spare, ofEdge) },
    window,
    end: end + (threads - 1) * ofEdge,
  };
}

function waitingOf(node: Node): number {
  const { tiles, block } = shapeOf(node);
  return node.op === 'conv2dWeightGradient' ? levelsOf(tiles[2], block) : 0;
}

export const winogradWorkspaceBytes = (node: Node, kernel: KernelName, threads: number): number =>
  workspaceOf(node, kernel, 0, threads).end;

/** A function that computes a convolution node. */
export function winogradKernel(
  node: Node,
  [first, second]: readonly number[],
  to: number,
  context: ConvolutionContext,
): FunctionBuilder {
  const f = new FunctionBuilder();
  const emitter = new WinogradEmitter(f, node, context);
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
type Again = (action: TileAction, mapped: OwnAddress, spare: OwnAddress, direct?: Direct) => void;

class WinogradEmitter {
  readonly #f: FunctionBuilder;
  readonly #shape: TiledShape;
  readonly #space: Workspace;
  readonly #kernel: KernelName;
  readonly #window: WindowEmitter;
  readonly #callBlock: BlockCaller;
  readonly #shared: ConvolutionContext['shared'];
  /** The tile at hand: address of its sample's image and result, its first row and column in the result. */
  readonly #image: Local;
  readonly #result: Local;
  readonly #row: Local;
  readonly #column: Local;
  readonly #to: Local;
  readonly #flag: Local;
  readonly #team: Team | undefined;
  readonly #byPoints: boolean;

  constructor(f: FunctionBuilder, node: Node, context: ConvolutionContext) {
    this.#f = f;
    this.#shape = shapeOf(node);
    this.#kernel = context.kernel;
    this.#team = context.team;
    this.#byPoints = context.team !== undefined && byPoints(node, context.kernel);
    this.#space = workspaceOf(node, context.kernel, context.workspace, context.team?.threads ?? 1);
    this.#callBlock = blockCaller(f, context);
    [this.#image, this.#result, this.#row, this.#column, this.#to] = Array.from({ length: 5 }, () =>
      f.local('i32'),
    ) as [Local, Local, Local, Local, Local];
    this.#flag = f.local('i32');
    this.#shared = context.shared;
    const { window, edge } = this.#space;
    this.#window = new WindowEmitter(f, this.#shape, {
      kernel: context.kernel,
      window,
      edge,
      team: this.#team,
    });
  }

  /** Results of images and a window; turned: the window is turned round, and its channels and filters change places. */
  results(image: number, window: number, to: number, turned: boolean): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const space = this.#space;
    const tile = kernelShapes[this.#kernel];
    const ofPoint = bytesOfPoint(this.#shape, this.#kernel);
    this.#window.map(window, turned);
    this.#wait();
    const { tiles, block: together } = this.#shape;
    const run = this.#openBlocks(image, to, (count, again) => {
      again('watched', space.image, space.edge);
      this.#waitForTiles();
      const aRow = 4 * (channels + GAP);
      const cRow = 4 * (filters + GAP);
      this.#eachPoint((point) => {
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
          this.#callBlock(tile, block, () => {
            this.#push(space.image, point * this.#shape.block * aRow + 4 * first);
            f.i32(space.window + point * ofPoint + 4 * tile.columns * first);
            this.#push(space.result, point * this.#shape.block * cRow);
          });
        }
      });
      this.#waitForTiles();
      again('result', space.result, space.spare, { window, turned });
      this.#waitForTiles();
    });
    const all = (count: number, most: number) => {
      f.repeat(Math.floor(count / most), () => run(most, 0, true));
      if (count % most > 0) run(count % most, 0, true);
    };
    const cut = this.#tilesCut();
    if (cut) emitParts(f, cut, this.#team!.threads, (count) => all(count, Math.min(count, together)));
    else all(tiles[2], together);
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
      this.#wait();
      const aRow = 4 * (channels + GAP);
      const bRow = 4 * (filters + GAP);
      this.#eachPoint((point) => {
        const block = {
          m: channels,
          n: filters,
          depth: count,
          a: { row: 4, column: aRow, tile: 4 * tile.rows },
          b: { row: bRow, column: 4 },
          cRow: 4 * filters,
          fresh,
        };
        this.#callBlock(tile, block, () => {
          this.#push(space.image, point * this.#shape.block * aRow);
          this.#push(space.result, point * this.#shape.block * bRow);
          f.i32(target(level).at + point * ofPoint);
        });
      });
      this.#wait();
    });
    emitRuns(f, this.#shape.tiles[2], this.#shape.block, {
      run,
      join: (level) => this.#join(target(level), target(level - 1), ofPoint),
    });
    this.#wait();
    this.#window.unmap(to);
  }

  /** Adds the sums of all points to others. */
  #join(from: { at: number; row: number }, into: { at: number; row: number }, ofPoint: number): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const points = pointsOf(this.#shape);
    const add = (count: number, cut?: Cut) => {
      const [a, b] = [from, into].map(({ at, row }) => ({ at: cut ? ofPart(f, cut, at, ofPoint) : at, row }));
      emitAddition(f, [count, channels * filters], a!, b!);
    };
    if (!this.#team) {
      add(points);
      return;
    }
    const cut = cutOf(points, this.#team.threads);
    emitParts(f, cut, this.#team.threads, (count) => add(count, cut));
  }

  #push(own: OwnAddress, bytes: number): FunctionBuilder {
    return pushAddress(this.#f, behind(ownAddress(this.#f, own), bytes));
  }

  #wait(): void {
    if (this.#team) this.#f.call(this.#team.barrier);
  }

  /** Where threads share the tiles of a block. */
  #waitForTiles(): void {
    if (this.#byPoints) this.#wait();
  }

  /** How tiles are cut where each thread has blocks of its own. */
  #tilesCut(): Cut | undefined {
    if (!this.#team || this.#byPoints) return undefined;
    return cutOf(this.#shape.tiles[2], this.#team.threads);
  }

  /** Runs `body` for each point: of threads that share a block each has some. */
  #eachPoint(body: (point: number) => void): void {
    const points = pointsOf(this.#shape);
    const each = this.#byPoints ? cutOf(points, this.#team!.threads).each : points;
    for (let first = 0; first < points; first += each) {
      const own = () => {
        for (let point = first; point < Math.min(points, first + each); point++) body(point);
      };
      if (this.#byPoints) onThread(this.#f, first / each, own);
      else own();
    }
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
    const [block, at] = [f.local('i32'), f.local('i32')];
    const ofThread = this.#tilesCut();
    if (ofThread) pushFirst(f, ofThread).set(block);
    f.i32(image)
      .set(this.#image)
      .i32(result)
      .set(this.#result)
      .i32(0)
      .set(this.#row)
      .i32(0)
      .set(this.#column);
    return (count, level, fresh) => {
      if (!this.#team) for (const [i, local] of state.entries()) f.get(local).set(saved[i]!);
      const again: Again = (action, mapped, spare, direct) => {
        const index = this.#shared(`winograd ${action} ${JSON.stringify(this.#shape)}`, () =>
          buildTile(action, this.#shape),
        );
        const isImage = action === 'image' || action === 'watched';
        const base = isImage ? this.#image : this.#result;
        const row = 4 * ((isImage ? channels : filters) + GAP);
        this.#push(mapped, 0).set(this.#to);
        this.#push(this.#space.flags, 0).set(this.#flag);
        const mapTile = () => {
          f.get(base).get(this.#row).get(this.#column).get(this.#to);
          this.#push(spare, 0).get(this.#flag).call(index);
        };
        const takeOne = () => {
          if (!direct) mapTile();
          else
            f.get(this.#flag)
              .memory('i32Load')
              .either(() => this.#direct(direct), mapTile);
          f.advance(this.#to, row).advance(this.#flag, 4);
          this.#nextTile();
        };
        if (!this.#team) {
          for (const [i, local] of saved.entries()) f.get(local).set(state[i]!);
          f.repeat(count, takeOne);
        } else if (this.#byPoints) {
          const cut = cutOf(count, this.#team.threads);
          pushFirst(f, cut).get(block).op('i32Add').set(at);
          this.#seek(at, image, result);
          moveToPart(f, cut, this.#to, row);
          moveToPart(f, cut, this.#flag, 4);
          eachOfPart(f, cut, takeOne);
        } else {
          this.#seek(block, image, result);
          f.repeat(count, takeOne);
        }
      };
      body(count, again, level, fresh);
      f.advance(block, count);
    };
  }

  /** Goes to a tile that is counted over all images. */
  #seek(tile: Local, image: number, result: number): void {
    const f = this.#f;
    const { image: extents, places, tile: side, tiles, channels, filters } = this.#shape;
    const ofSample = tiles[0] * tiles[1];
    const inSample = () => f.get(tile).i32(ofSample).op('i32RemU').i32(tiles[1]);
    inSample().op('i32DivU').i32(side).op('i32Mul').set(this.#row);
    inSample().op('i32RemU').i32(side).op('i32Mul').set(this.#column);
    const sample = (bytes: number, base: number) =>
      f.get(tile).i32(ofSample).op('i32DivU').i32(bytes).op('i32Mul').i32(base).op('i32Add');
    sample(4 * extents[0] * extents[1] * channels, image).set(this.#image);
    sample(4 * places[0] * places[1] * filters, result).set(this.#result);
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
}
