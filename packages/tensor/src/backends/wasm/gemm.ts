/**
 * Matrix product. Code is made for each product of a plan, with all sizes and strides constant.
 *
 * Every exact kernel computes a block of k as sum = fround(sum + fround(a * b)) over ascending k for each element of C, starting
 * from 0, and adds it to C; `ops/summation.ts` has the order in which blocks are added. Tiles split m and n only. So all of them,
 * and the plain scalar loop, give the same bits. A fused kernel lets the CPU leave out the inner rounding: faster, slightly more
 * accurate, and the same bits only among CPUs that do it alike.
 *
 * C is made in tiles of MR rows by NR columns, held in registers. B is read in panels of NR columns; a panel is first
 * copied to a buffer that stays in the first-level cache where its rows are not contiguous, not full, or far apart. A is
 * read where it lies, unless it is large and B has many panels: then a block of it is copied, tile by tile, to a buffer
 * that stays in the second-level cache.
 */
import { FunctionBuilder, type Local } from '../../assembler.ts';
import { BlockEmitter, blockScratchBytes, K_BLOCK, type RowsOfA } from './gemm-block.ts';

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

/** Rows of A that are copied at a time, a multiple of every MR: with a block of k they take 240 KiB. */
const M_BLOCK = 240;
/** Elements left free after each copied row of A, so that rows do not fall on the same lines of the cache. */
const ROW_GAP = 16;
/**
 * A is copied when it is read by at least so many panels of B, and is of at least so many elements. Transposed, each step of k is
 * on another line of the cache, of few sets where m is a power of two, and on another page where m is large: then fewer readers
 * make a copy worth it. Measured on Zen 5, CPU time with a copy against without one: 0.64 for (m, n, k) = (4096, 128, 512), 0.79
 * for (2304, 512, 128), 0.88 for (512, 128, 2048), 0.97 for (512, 64, 2048); 1.34 for (512, 32, 2048), 1.06 for (512, 128, 256).
 */
const PACKED = {
  plain: { panels: 16, elements: 2 ** 17 },
  transposed: { panels: 4, elements: 2 ** 18 },
} as const;

export interface Gemm {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** Bytes of scratch memory that a product needs. */
export function gemmScratchBytes(kernel: KernelName): number {
  return blockScratchBytes(kernelShapes[kernel]) + M_BLOCK * (K_BLOCK + ROW_GAP) * 4;
}

/** So many rows, columns and steps of k of a product, whose matrices lie in memory as the whole product has them. */
export interface GemmBlock extends Gemm {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** True: C is written; false: the products are added to it. */
  readonly fresh: boolean;
}

/** A function (a, b, c, scratch: addresses) that computes a block of k of a product of row-major matrices. */
export function buildGemm(block: GemmBlock, kernel: KernelName): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32']);
  const { rows, columns, n, depth } = block;
  if (rows === 0 || columns === 0) return f;
  if (depth === 0) {
    const c = f.parameter(2);
    f.repeat(rows, () => {
      f.repeat(columns, () => f.get(c).f32(0).memory('f32Store').advance(c, 4));
      f.advance(c, 4 * (n - columns));
    });
    return f;
  }
  new GemmEmitter(f, block, kernel).emit();
  return f;
}

class GemmEmitter {
  readonly #f: FunctionBuilder;
  readonly #gemm: GemmBlock;
  readonly #kernel: KernelName;
  readonly #rows: number;
  readonly #columns: number;
  /** Bytes from one element of A to the one in the next row, and in the next column. */
  readonly #aRow: number;
  readonly #aColumn: number;
  readonly #a: Local;
  readonly #b: Local;
  readonly #c: Local;
  readonly #scratch: Local;
  readonly #blocks: BlockEmitter;

  constructor(f: FunctionBuilder, gemm: GemmBlock, kernel: KernelName) {
    const { rows, columns } = kernelShapes[kernel];
    this.#f = f;
    this.#gemm = gemm;
    this.#kernel = kernel;
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
    this.#blocks = new BlockEmitter(f, kernelShapes[kernel], this.#scratch);
  }

  emit(): void {
    const f = this.#f;
    const { rows: m, columns, n, k, depth, fresh, transposeA, transposeB } = this.#gemm;
    const [row, column] = [this.#aRow, this.#aColumn];
    // Within one block of k the rows of A follow one another as they are.
    const near = k <= K_BLOCK && !transposeA;
    const b = { base: this.#b, row: transposeB ? 4 : 4 * n, column: transposeB ? 4 * k : 4 };
    const rows = (count: number, from: RowsOfA, c: Local) =>
      this.#blocks.emit({ m: count, n: columns, depth, a: from, b, c, cRow: 4 * n, fresh });
    if (near || !this.#isWorthCopying()) {
      rows(m, { base: this.#a, row, column, tile: this.#rows * row }, this.#c);
      return;
    }
    const [a, c, base] = [f.local('i32'), f.local('i32'), f.local('i32')];
    f.get(this.#a).set(a).get(this.#c).set(c);
    f.get(this.#scratch).i32(blockScratchBytes(kernelShapes[this.#kernel])).op('i32Add').set(base);
    // What lies together in A stays together, so that it is copied four elements at a time.
    const height = this.#rows;
    const copiedRow = 4 * (depth + ROW_GAP);
    const packed = transposeA
      ? { base, row: 4, column: 4 * height, tile: 4 * height * depth }
      : { base, row: copiedRow, column: 4, tile: height * copiedRow };
    const part = (count: number) => {
      this.#copyRows(a, count, packed, depth);
      rows(count, packed, c);
      f.advance(a, count * row).advance(c, count * 4 * n);
    };
    const parts = Math.floor(m / M_BLOCK);
    f.repeat(parts, () => part(M_BLOCK));
    if (m > parts * M_BLOCK) part(m - parts * M_BLOCK);
  }

  #isWorthCopying(): boolean {
    const { rows, columns, k, transposeA } = this.#gemm;
    const rules = transposeA ? [PACKED.plain, PACKED.transposed] : [PACKED.plain];
    return rules.some(({ panels, elements }) => columns >= panels * this.#columns && rows * k >= elements);
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
}
