/**
 * The part of a matrix product that is computed at one go: rows of A times columns of B over one block of k, tile by tile. A
 * tile of C is held in registers; a panel of B, as wide as a tile, is read by all tiles of its columns. What is one block, and
 * what was copied where before, `gemm.ts` and `convolution.ts` decide.
 */
import type { FunctionBuilder, Local } from '../../assembler.ts';

/** Tile of C in registers: rows by columns; fused lets the CPU leave out the rounding between product and sum. */
export interface TileShape {
  readonly rows: number;
  readonly columns: number;
  readonly fused: boolean;
}

/** Length of a block of k, which is a run of the sum (`ops/summation.ts`): a panel of 16 columns takes 16 KiB of the first-level cache. */
export const K_BLOCK = 256;
/** Steps of k that are written out one after another. */
const UNROLL = 4;
/** Rows of B that lie further apart than this many bytes are copied even when they are contiguous. */
const FAR_APART = 1024;

/** Rows of A as the kernel reads them: address of the first element, and distances in bytes. */
export interface RowsOfA {
  readonly base: Local;
  readonly row: number;
  readonly column: number;
  /** From one tile of MR rows to the next. */
  readonly tile: number;
}

/** Where B is: as it lies in memory, with distances in bytes, or as whole panels that follow one another. */
export type ColumnsOfB =
  | { readonly base: Local; readonly row: number; readonly column: number }
  | { readonly base: Local; readonly panel: number };

export interface Block {
  readonly m: number;
  readonly n: number;
  /** Steps of k; at most K_BLOCK unless B lies in panels. */
  readonly depth: number;
  readonly a: RowsOfA;
  readonly b: ColumnsOfB;
  /** Address of C, and bytes from one row of it to the next. */
  readonly c: Local;
  readonly cRow: number;
  /** True: C is written; false: the products are added to it. */
  readonly fresh: boolean;
}

/** Bytes of scratch memory that blocks of this tile need: a panel of B and a tile of C. */
export const blockScratchBytes = ({ rows, columns }: TileShape): number => (K_BLOCK + rows) * columns * 4;

export class BlockEmitter {
  readonly #f: FunctionBuilder;
  readonly #tile: TileShape;
  readonly #scratch: Local;
  readonly #aTile: Local;
  readonly #cTile: Local;
  readonly #pa: Local;
  readonly #pb: Local;
  readonly #accumulators: Local[];
  readonly #bLanes: Local[];
  readonly #aLane: Local;

  constructor(f: FunctionBuilder, tile: TileShape, scratch: Local) {
    this.#f = f;
    this.#tile = tile;
    this.#scratch = scratch;
    [this.#aTile, this.#cTile, this.#pa, this.#pb] = [0, 1, 2, 3].map(() => f.local('i32')) as [
      Local,
      Local,
      Local,
      Local,
    ];
    this.#accumulators = Array.from({ length: (tile.rows * tile.columns) / 4 }, () => f.local('v128'));
    this.#bLanes = Array.from({ length: tile.columns / 4 }, () => f.local('v128'));
    this.#aLane = f.local('v128');
  }

  emit(block: Block): void {
    const f = this.#f;
    const { n, depth, b } = block;
    const { columns } = this.#tile;
    const panels = Math.floor(n / columns);
    const rest = n - panels * columns;
    const from = f.local('i32');
    const c = f.local('i32');
    f.get(b.base).set(from).get(block.c).set(c);
    if ('panel' in b) {
      f.repeat(panels, () => {
        this.#panel(block, from, 4 * columns, c);
        f.advance(from, b.panel).advance(c, 4 * columns);
      });
      if (rest > 0) this.#edgePanel(block, from, c, rest);
      return;
    }
    const { row, column } = b;
    const copied = column !== 4 || row > FAR_APART;
    f.repeat(panels, () => {
      if (copied) this.copyPanel(from, b, depth, columns, this.#scratch);
      this.#panel(block, copied ? this.#scratch : from, copied ? 4 * columns : row, c);
      f.advance(from, columns * column).advance(c, 4 * columns);
    });
    if (rest > 0) {
      this.copyPanel(from, b, depth, rest, this.#scratch);
      this.#edgePanel(block, this.#scratch, c, rest);
    }
  }

  /** Copies `width` columns of B, as rows of a whole panel filled up with zeros. */
  copyPanel(
    b: Local,
    { row, column }: { readonly row: number; readonly column: number },
    depth: number,
    width: number,
    target: Local,
  ): void {
    const f = this.#f;
    const { columns } = this.#tile;
    const [from, to] = [f.local('i32'), f.local('i32')];
    if (row === 4 && column !== 4 && width === columns) {
      this.#turnPanel(b, column, depth, target);
      return;
    }
    f.get(b).set(from).get(target).set(to);
    f.repeat(depth, () => {
      for (let j = 0; j < columns; j++) {
        if (column === 4 && j % 4 === 0 && j + 4 <= width) {
          f.get(to)
            .get(from)
            .memory('v128Load', 4 * j)
            .memory('v128Store', 4 * j);
          j += 3;
          continue;
        }
        f.get(to);
        if (j < width) f.get(from).memory('f32Load', j * column);
        else f.f32(0);
        f.memory('f32Store', 4 * j);
      }
      f.advance(from, row).advance(to, 4 * columns);
    });
  }

  /**
   * Copies a panel whose columns follow one another in memory: squares of four columns by four steps are turned, four columns from
   * end to end before the next, since sixteen columns a power of two apart would drive one another out of the cache.
   */
  #turnPanel(b: Local, column: number, depth: number, target: Local): void {
    const f = this.#f;
    const { columns } = this.#tile;
    const [from, to] = [f.local('i32'), f.local('i32')];
    const square = Array.from({ length: 4 }, () => f.local('v128'));
    const pairs = Array.from({ length: 4 }, () => f.local('v128'));
    const steps = Math.floor(depth / 4);
    for (let first = 0; first < columns; first += 4) {
      f.get(b)
        .i32(first * column)
        .op('i32Add')
        .set(from);
      f.get(target)
        .i32(4 * first)
        .op('i32Add')
        .set(to);
      f.repeat(steps, () => {
        for (const [i, own] of square.entries())
          f.get(from)
            .memory('v128Load', i * column)
            .set(own);
        const [a0, a1, a2, a3] = square as [Local, Local, Local, Local];
        const [low01, high01, low23, high23] = pairs as [Local, Local, Local, Local];
        f.get(a0).get(a1).shuffle32(0, 4, 1, 5).set(low01);
        f.get(a0).get(a1).shuffle32(2, 6, 3, 7).set(high01);
        f.get(a2).get(a3).shuffle32(0, 4, 1, 5).set(low23);
        f.get(a2).get(a3).shuffle32(2, 6, 3, 7).set(high23);
        for (const [step, [left, right, at]] of (
          [
            [low01, low23, 0],
            [low01, low23, 2],
            [high01, high23, 0],
            [high01, high23, 2],
          ] as const
        ).entries()) {
          f.get(to)
            .get(left)
            .get(right)
            .shuffle32(at, at + 1, at + 4, at + 5)
            .memory('v128Store', 4 * columns * step);
        }
        f.advance(from, 16).advance(to, 16 * columns);
      });
      f.repeat(depth - 4 * steps, () => {
        for (let i = 0; i < 4; i++)
          f.get(to)
            .get(from)
            .memory('f32Load', i * column)
            .memory('f32Store', 4 * i);
        f.advance(from, 4).advance(to, 4 * columns);
      });
    }
  }

  /** One full panel of C, from the top down. */
  #panel({ m, a, cRow, depth, fresh }: Block, b: Local, bRow: number, c: Local): void {
    const f = this.#f;
    const { rows } = this.#tile;
    const tiles = Math.floor(m / rows);
    f.get(a.base).set(this.#aTile).get(c).set(this.#cTile);
    f.repeat(tiles, () => {
      this.#emitTile(rows, a, b, bRow, this.#cTile, cRow, depth, fresh);
      f.advance(this.#aTile, a.tile).advance(this.#cTile, rows * cRow);
    });
    const rest = m - tiles * rows;
    if (rest > 0) this.#emitTile(rest, a, b, bRow, this.#cTile, cRow, depth, fresh);
  }

  /** The last panel, narrower than a tile: each tile is made in scratch memory and the columns that count are copied. */
  #edgePanel({ m, a, cRow, depth, fresh }: Block, b: Local, c: Local, width: number): void {
    const f = this.#f;
    const { rows, columns } = this.#tile;
    const tile = f.local('i32');
    f.get(this.#scratch)
      .i32(K_BLOCK * columns * 4)
      .op('i32Add')
      .set(tile);
    f.get(a.base).set(this.#aTile).get(c).set(this.#cTile);
    const copy = (count: number, from: Local, fromRow: number, to: Local, toRow: number) => {
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < width; j++) {
          f.get(to)
            .get(from)
            .memory('f32Load', i * fromRow + 4 * j)
            .memory('f32Store', i * toRow + 4 * j);
        }
      }
    };
    const oneTile = (count: number) => {
      if (!fresh) copy(count, this.#cTile, cRow, tile, 4 * columns);
      this.#emitTile(count, a, b, 4 * columns, tile, 4 * columns, depth, fresh);
      copy(count, tile, 4 * columns, this.#cTile, cRow);
    };
    const tiles = Math.floor(m / rows);
    f.repeat(tiles, () => {
      oneTile(rows);
      f.advance(this.#aTile, a.tile).advance(this.#cTile, rows * cRow);
    });
    const rest = m - tiles * rows;
    if (rest > 0) oneTile(rest);
  }

  /** The kernel proper: `rows` by NR elements of C in registers, `depth` steps of k from 0, which C then is or has added to it. */
  #emitTile(
    rows: number,
    a: RowsOfA,
    b: Local,
    bRow: number,
    c: Local,
    cRow: number,
    depth: number,
    fresh: boolean,
  ): void {
    const f = this.#f;
    const vectors = this.#tile.columns / 4;
    const at = (i: number, j: number) => this.#accumulators[i * vectors + j]!;
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < vectors; j++) {
        f.f32x4(0).set(at(i, j));
      }
    }
    f.get(this.#aTile).set(this.#pa).get(b).set(this.#pb);
    const step = (u: number) => {
      for (let j = 0; j < vectors; j++)
        f.get(this.#pb)
          .memory('v128Load', u * bRow + 16 * j)
          .set(this.#bLanes[j]!);
      for (let i = 0; i < rows; i++) {
        f.get(this.#pa)
          .memory('v128Load32Splat', i * a.row + u * a.column)
          .set(this.#aLane);
        for (let j = 0; j < vectors; j++) {
          if (this.#tile.fused) f.get(this.#aLane).get(this.#bLanes[j]!).get(at(i, j)).op('f32x4RelaxedMadd');
          else f.get(at(i, j)).get(this.#aLane).get(this.#bLanes[j]!).op('f32x4Mul', 'f32x4Add');
          f.set(at(i, j));
        }
      }
    };
    const unrolled = Math.floor(depth / UNROLL);
    f.repeat(unrolled, () => {
      for (let u = 0; u < UNROLL; u++) step(u);
      f.advance(this.#pa, UNROLL * a.column).advance(this.#pb, UNROLL * bRow);
    });
    for (let u = 0; u < depth - unrolled * UNROLL; u++) step(u);
    // All is read before anything is written: the engine pairs neighbouring operations only where no others come between.
    for (let i = 0; i < rows && !fresh; i++) {
      for (let j = 0; j < vectors; j++)
        f.get(c)
          .memory('v128Load', i * cRow + 16 * j)
          .get(at(i, j))
          .op('f32x4Add')
          .set(at(i, j));
    }
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < vectors; j++)
        f.get(c)
          .get(at(i, j))
          .memory('v128Store', i * cRow + 16 * j);
    }
  }
}
