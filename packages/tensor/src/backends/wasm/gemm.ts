/**
 * Matrix product. Code is made for each product of a plan, with all sizes and strides constant.
 *
 * Every exact kernel computes c = fround(c + fround(a * b)) over ascending k for each element of C, starting from 0:
 * blocking splits m and n only, and the partial sum is carried in C from one block of k to the next. So all of them, and the
 * plain scalar loop, give the same bits. A fused kernel lets the CPU leave out the inner rounding: faster, slightly more
 * accurate, and the same bits only among CPUs that do it alike.
 *
 * C is made in tiles of MR rows by NR columns, held in registers. B is read in panels of NR columns; a panel is first
 * copied to a buffer that stays in the first-level cache where its rows are not contiguous, not full, or far apart. A is
 * read where it lies, unless it is large and B has many panels: then a block of it is copied, tile by tile, to a buffer
 * that stays in the second-level cache.
 */
import { FunctionBuilder, type Local } from './assembler.ts';

/** Tile of C in registers: rows by columns. 16 columns need an engine that pairs 128-bit operations into 256-bit ones. */
export const kernelShapes = {
  '4x8': { rows: 4, columns: 8, fused: false },
  '6x8': { rows: 6, columns: 8, fused: false },
  '4x16': { rows: 4, columns: 16, fused: false },
  '5x16': { rows: 5, columns: 16, fused: false },
  '6x16': { rows: 6, columns: 16, fused: false },
  '6x8 fused': { rows: 6, columns: 8, fused: true },
  '6x16 fused': { rows: 6, columns: 16, fused: true },
} as const;
export type KernelName = keyof typeof kernelShapes;
export const kernelNames = Object.keys(kernelShapes) as KernelName[];

/** Length of a block of k: a panel of 16 columns takes 16 KiB of the first-level cache. */
const K_BLOCK = 256;
/** Steps of k that are written out one after another. */
const UNROLL = 4;
/** Rows of B that lie further apart than this many bytes are copied even when they are contiguous. */
const FAR_APART = 1024;
/** Rows of A that are copied at a time, a multiple of every MR: with a block of k they take 240 KiB. */
const M_BLOCK = 240;
/** Elements left free after each copied row of A, so that rows do not fall on the same lines of the cache. */
const ROW_GAP = 16;
/** A is copied when it is read by at least so many panels of B, and is of at least so many elements. */
const PACK_PANELS = 16;
const PACK_ELEMENTS = 256 * 512;

export interface Gemm {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** Bytes of scratch memory that a product needs. */
export function gemmScratchBytes(kernel: KernelName): number {
  const { rows, columns } = kernelShapes[kernel];
  return ((K_BLOCK + rows) * columns + M_BLOCK * (K_BLOCK + ROW_GAP)) * 4;
}

/** A function (a, b, c, scratch: addresses) that writes the product of row-major matrices to C. */
export function buildGemm(gemm: Gemm, kernel: KernelName): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32']);
  const { m, n, k } = gemm;
  if (m === 0 || n === 0) return f;
  if (k === 0) {
    const c = f.parameter(2);
    f.repeat(m * n, () => f.get(c).f32(0).memory('f32Store').advance(c, 4));
    return f;
  }
  new GemmEmitter(f, gemm, kernel).emit();
  return f;
}

/** Rows of A as the kernel reads them: address of the first element, and distances in bytes. */
interface RowsOfA {
  readonly base: Local;
  readonly row: number;
  readonly column: number;
  /** From one tile of MR rows to the next. */
  readonly tile: number;
}

class GemmEmitter {
  readonly #f: FunctionBuilder;
  readonly #gemm: Gemm;
  readonly #rows: number;
  readonly #columns: number;
  readonly #fused: boolean;
  /** Bytes from one element of A to the one in the next row, and in the next column. */
  readonly #aRow: number;
  readonly #aColumn: number;
  readonly #a: Local;
  readonly #b: Local;
  readonly #c: Local;
  readonly #scratch: Local;
  readonly #aTile: Local;
  readonly #cTile: Local;
  readonly #pa: Local;
  readonly #pb: Local;
  readonly #accumulators: Local[];
  readonly #bLanes: Local[];
  readonly #aLane: Local;

  constructor(f: FunctionBuilder, gemm: Gemm, kernel: KernelName) {
    const { rows, columns, fused } = kernelShapes[kernel];
    this.#f = f;
    this.#fused = fused;
    this.#gemm = gemm;
    this.#rows = rows;
    this.#columns = columns;
    this.#aRow = gemm.transposeA ? 4 : 4 * gemm.k;
    this.#aColumn = gemm.transposeA ? 4 * gemm.m : 4;
    [this.#a, this.#b, this.#c, this.#scratch] = [0, 1, 2, 3].map((i) => f.parameter(i)) as [
      Local,
      Local,
      Local,
      Local,
    ];
    [this.#aTile, this.#cTile, this.#pa, this.#pb] = [0, 1, 2, 3].map(() => f.local('i32')) as [
      Local,
      Local,
      Local,
      Local,
    ];
    this.#accumulators = Array.from({ length: (rows * columns) / 4 }, () => f.local('v128'));
    this.#bLanes = Array.from({ length: columns / 4 }, () => f.local('v128'));
    this.#aLane = f.local('v128');
  }

  emit(): void {
    const { k } = this.#gemm;
    const first = Math.min(K_BLOCK, k);
    this.#block(first, true);
    if (k === first) return;
    const between = Math.floor((k - first) / K_BLOCK);
    this.#moveOn(K_BLOCK);
    this.#f.repeat(between, () => {
      this.#block(K_BLOCK, false);
      this.#moveOn(K_BLOCK);
    });
    const rest = k - first - between * K_BLOCK;
    if (rest > 0) this.#block(rest, false);
  }

  /** A and B to the next block of k. */
  #moveOn(depth: number): void {
    const { n, transposeB } = this.#gemm;
    this.#f.advance(this.#a, depth * this.#aColumn);
    this.#f.advance(this.#b, depth * (transposeB ? 4 : 4 * n));
  }

  /** Adds the products of `depth` steps of k to all of C. */
  #block(depth: number, fresh: boolean): void {
    const f = this.#f;
    const { m, n, k, transposeA } = this.#gemm;
    const [row, column] = [this.#aRow, this.#aColumn];
    // Within one block of k the rows of A follow one another as they are.
    const near = k <= K_BLOCK && !transposeA;
    if (near || n < PACK_PANELS * this.#columns || m * k < PACK_ELEMENTS) {
      this.#rowBlock(m, { base: this.#a, row, column, tile: this.#rows * row }, this.#c, depth, fresh);
      return;
    }
    const [a, c, base] = [f.local('i32'), f.local('i32'), f.local('i32')];
    f.get(this.#a).set(a).get(this.#c).set(c);
    f.get(this.#scratch)
      .i32((K_BLOCK + this.#rows) * this.#columns * 4)
      .op('i32Add')
      .set(base);
    // What lies together in A stays together, so that it is copied four elements at a time.
    const height = this.#rows;
    const copiedRow = 4 * (depth + ROW_GAP);
    const packed = transposeA
      ? { base, row: 4, column: 4 * height, tile: 4 * height * depth }
      : { base, row: copiedRow, column: 4, tile: height * copiedRow };
    const part = (rows: number) => {
      this.#copyRows(a, rows, packed, depth);
      this.#rowBlock(rows, packed, c, depth, fresh);
      f.advance(a, rows * row).advance(c, rows * 4 * n);
    };
    const parts = Math.floor(m / M_BLOCK);
    f.repeat(parts, () => part(M_BLOCK));
    if (m > parts * M_BLOCK) part(m - parts * M_BLOCK);
  }

  /** Copies `rows` rows of A, `depth` columns of them, tile by tile. */
  #copyRows(a: Local, rows: number, to: RowsOfA, depth: number): void {
    const f = this.#f;
    const [from, next, into] = [f.local('i32'), f.local('i32'), f.local('i32')];
    if (!this.#gemm.transposeA) {
      f.get(a).set(next).get(to.base).set(into);
      f.repeat(rows, () => {
        f.get(next).set(from);
        this.#copyRun(from, into, depth);
        f.advance(next, this.#aRow).advance(into, to.row - 16 * Math.floor(depth / 4));
      });
      return;
    }
    f.get(a).set(next).get(to.base).set(into);
    const oneTile = (height: number) => {
      f.get(next).set(from);
      f.repeat(depth, () => {
        this.#copyElements(from, into, height);
        f.advance(from, this.#aColumn).advance(into, to.column);
      });
      f.advance(next, this.#rows * this.#aRow);
    };
    const tiles = Math.floor(rows / this.#rows);
    f.repeat(tiles, () => oneTile(this.#rows));
    if (rows > tiles * this.#rows) oneTile(rows - tiles * this.#rows);
  }

  /** Copies `count` elements that follow one another, in a loop; both pointers move on by whole vectors. */
  #copyRun(from: Local, to: Local, count: number): void {
    const f = this.#f;
    const vectors = Math.floor(count / 4);
    f.repeat(vectors, () => {
      this.#copyElements(from, to, 4);
      f.advance(from, 16).advance(to, 16);
    });
    this.#copyElements(from, to, count - 4 * vectors);
  }

  /** Copies `count` elements that follow one another, written out. */
  #copyElements(from: Local, to: Local, count: number): void {
    const f = this.#f;
    for (let i = 0; i < count; i += i + 4 <= count ? 4 : 1) {
      const [load, store] =
        i + 4 <= count ? (['v128Load', 'v128Store'] as const) : (['f32Load', 'f32Store'] as const);
      f.get(to)
        .get(from)
        .memory(load, 4 * i)
        .memory(store, 4 * i);
    }
  }

  /** The same for `m` rows of A and C. */
  #rowBlock(m: number, a: RowsOfA, firstOfC: Local, depth: number, fresh: boolean): void {
    const f = this.#f;
    const { n, k, transposeB } = this.#gemm;
    const columns = this.#columns;
    const panels = Math.floor(n / columns);
    const b = f.local('i32');
    const c = f.local('i32');
    f.get(this.#b).set(b).get(firstOfC).set(c);
    const copied = transposeB || 4 * n > FAR_APART;
    f.repeat(panels, () => {
      if (copied) this.#copyPanel(b, depth, columns);
      this.#panel(m, a, copied ? this.#scratch : b, copied ? 4 * columns : 4 * n, c, depth, fresh);
      f.advance(b, transposeB ? 4 * columns * k : 4 * columns).advance(c, 4 * columns);
    });
    const rest = n - panels * columns;
    if (rest > 0) {
      this.#copyPanel(b, depth, rest);
      this.#edgePanel(m, a, c, rest, depth, fresh);
    }
  }

  /** Copies `width` columns of B to the scratch buffer, as rows of a whole panel filled up with zeros. */
  #copyPanel(b: Local, depth: number, width: number): void {
    const f = this.#f;
    const { n, k, transposeB } = this.#gemm;
    const columns = this.#columns;
    const [from, to] = [f.local('i32'), f.local('i32')];
    f.get(b).set(from).get(this.#scratch).set(to);
    const across = transposeB ? 4 * k : 4;
    const zero = () => f.f32(0);
    f.repeat(depth, () => {
      for (let j = 0; j < columns; j++) {
        if (!transposeB && j % 4 === 0 && j + 4 <= width) {
          f.get(to)
            .get(from)
            .memory('v128Load', 4 * j)
            .memory('v128Store', 4 * j);
          j += 3;
          continue;
        }
        f.get(to);
        if (j < width) f.get(from).memory('f32Load', j * across);
        else zero();
        f.memory('f32Store', 4 * j);
      }
      f.advance(from, transposeB ? 4 : 4 * n).advance(to, 4 * columns);
    });
  }

  /** One full panel of C, from the top down. */
  #panel(m: number, a: RowsOfA, b: Local, bRow: number, c: Local, depth: number, fresh: boolean): void {
    const f = this.#f;
    const cRow = 4 * this.#gemm.n;
    const tiles = Math.floor(m / this.#rows);
    f.get(a.base).set(this.#aTile).get(c).set(this.#cTile);
    f.repeat(tiles, () => {
      this.#tile(this.#rows, a, b, bRow, this.#cTile, cRow, depth, fresh);
      f.advance(this.#aTile, a.tile).advance(this.#cTile, this.#rows * cRow);
    });
    const rest = m - tiles * this.#rows;
    if (rest > 0) this.#tile(rest, a, b, bRow, this.#cTile, cRow, depth, fresh);
  }

  /** The last panel, narrower than a tile: each tile is made in scratch memory and the columns that count are copied. */
  #edgePanel(m: number, a: RowsOfA, c: Local, width: number, depth: number, fresh: boolean): void {
    const f = this.#f;
    const { n } = this.#gemm;
    const tile = f.local('i32');
    f.get(this.#scratch)
      .i32(K_BLOCK * this.#columns * 4)
      .op('i32Add')
      .set(tile);
    f.get(a.base).set(this.#aTile).get(c).set(this.#cTile);
    const copy = (rows: number, from: Local, fromRow: number, to: Local, toRow: number) => {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < width; j++) {
          f.get(to)
            .get(from)
            .memory('f32Load', i * fromRow + 4 * j)
            .memory('f32Store', i * toRow + 4 * j);
        }
      }
    };
    const oneTile = (rows: number) => {
      if (!fresh) copy(rows, this.#cTile, 4 * n, tile, 4 * this.#columns);
      this.#tile(rows, a, this.#scratch, 4 * this.#columns, tile, 4 * this.#columns, depth, fresh);
      copy(rows, tile, 4 * this.#columns, this.#cTile, 4 * n);
    };
    const tiles = Math.floor(m / this.#rows);
    f.repeat(tiles, () => {
      oneTile(this.#rows);
      f.advance(this.#aTile, a.tile).advance(this.#cTile, this.#rows * 4 * n);
    });
    const rest = m - tiles * this.#rows;
    if (rest > 0) oneTile(rest);
  }

  /** The kernel proper: `rows` by NR elements of C in registers, `depth` steps of k. */
  #tile(
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
    const vectors = this.#columns / 4;
    const at = (i: number, j: number) => this.#accumulators[i * vectors + j]!;
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < vectors; j++) {
        if (fresh) f.f32x4(0).set(at(i, j));
        else
          f.get(c)
            .memory('v128Load', i * cRow + 16 * j)
            .set(at(i, j));
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
          if (this.#fused) f.get(this.#aLane).get(this.#bLanes[j]!).get(at(i, j)).op('f32x4RelaxedMadd');
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
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < vectors; j++)
        f.get(c)
          .get(at(i, j))
          .memory('v128Store', i * cRow + 16 * j);
    }
  }
}
