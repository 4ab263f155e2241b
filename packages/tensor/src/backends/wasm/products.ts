/** Matrix products as calls of functions that `gemm.ts` makes: of many matrices one after another, of tall ones a few rows at a time. */

import type { FunctionBuilder, Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { matmulOp, matmulSizes } from '../../ops/matmul.ts';
import { attributesOf } from '../../ops/op.ts';
import { levelsOf } from '../../ops/summation.ts';
import { type Address, behind, pushAddress, setAddress } from './address.ts';
import { emitAddition, emitRuns } from './emit-runs.ts';
import type { Gemm, GemmBlock } from './gemm.ts';
import { K_BLOCK } from './gemm-block.ts';

/**
 * Bytes of A's rows that are multiplied with all of B before the next ones are. Every panel of B goes through all rows, so what does
 * not stay in the second-level cache comes from behind it again and again. Rows are cut here and not in the product's own code, which
 * becomes slower for it. Measured on Zen 3, GFLOP/s with and without, in turns: 60 and 49 for (m, n, k) = (2048, 512, 128), 64 and 57
 * for (2048, 128, 128), 61 and 44 for (8192, 512, 128). On Zen 2, where more than one block of k is: 71 and 66 for (2048, 128, 512), 70
 * and 61 for the square of 1024, 67 and 57 for (512, 128, 2048) with A transposed.
 */
const ROWS_BYTES = 1 << 18;
/** Rows are cut at a multiple of every tile's height. */
const ROWS_STEP = 60;

export interface Products extends Gemm {
  /** Products of matrices that follow one another in memory. */
  readonly batch: number;
}

/** What a matmul node computes. */
export const productsOf = (node: Node): Products => ({
  ...matmulSizes(node),
  ...attributesOf(matmulOp, node),
});

/** What is computed of products: so many rows and columns of so many results. */
export interface ProductsPart {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
}

/** Rows of A to take at a time, of so many. */
function rowsAtOnce(m: number, k: number): number {
  const rows = Math.floor(ROWS_BYTES / (4 * Math.min(k, K_BLOCK)) / ROWS_STEP) * ROWS_STEP;
  return m < 2 * rows ? m : rows;
}

/** Bytes of one result that waits, and of all: a product has such where its sums are long. */
const waitingBytes = (rows: number, { n, k }: Gemm) =>
  64 * Math.ceil((4 * rowsAtOnce(rows, k) * n + 64) / 64);
/** @param rows of those that are computed with one workspace */
export const productsWorkspaceBytes = (gemm: Gemm, rows = gemm.m): number =>
  levelsOf(gemm.k, K_BLOCK) * waitingBytes(rows, gemm);

/** Where the first elements are of what is computed. */
interface Places {
  readonly a: Address;
  readonly b: Address;
  readonly c: Address;
  readonly scratch: Address;
  /** Of the product's own workspace. */
  readonly workspace: Address;
}

/**
 * Writes the products of row-major matrices from byte `a` and byte `b` on to byte `c` and on. Blocks of k are calls of their own: with
 * two of them in one function the engine makes code of both that takes 1.15 times as long (Zen 2; 75 and 64 GFLOP/s for (60, 128, 272)).
 * @param made index of the function that computes a block of k of such matrices
 */
export function emitProducts(
  f: FunctionBuilder,
  { batch, ...gemm }: Products,
  { a, b, c, scratch, workspace }: Places,
  made: (block: GemmBlock) => number,
  part: ProductsPart = { batch, rows: gemm.m, columns: gemm.n },
): FunctionBuilder {
  const { m, n, k, transposeA, transposeB } = gemm;
  const { columns } = part;
  const rows = rowsAtOnce(part.rows, k);
  const [left, right, to]: readonly Local[] = [a, b, c].map((address) => {
    const local = f.local('i32');
    setAddress(f, local, address);
    return local;
  });
  const waiting = (level: number) => behind(workspace, (level - 1) * waitingBytes(part.rows, gemm));
  const block = (count: number, depth: number, level: number, fresh: boolean) => {
    f.get(left!).get(right!);
    if (level === 0) f.get(to!);
    else pushAddress(f, waiting(level));
    pushAddress(f, scratch).call(made({ ...gemm, rows: count, columns, depth, fresh }));
    f.advance(left!, 4 * depth * (transposeA ? m : 1)).advance(right!, 4 * depth * (transposeB ? 1 : n));
  };
  const result = { at: 0, by: 'result', push: () => f.get(to!) };
  const take = (count: number) => {
    emitRuns(f, k, K_BLOCK, {
      run: (depth, level, fresh) => block(count, depth, level, fresh),
      join: (level) =>
        emitAddition(
          f,
          [count, columns],
          { at: waiting(level), row: n },
          { at: level === 1 ? result : waiting(level - 1), row: n },
        ),
    });
    // Back to the first step of k, and on to the next rows.
    f.advance(left!, 4 * (transposeA ? count - k * m : count * k - k)).advance(
      right!,
      -4 * k * (transposeB ? 1 : n),
    );
    f.advance(to!, 4 * count * n);
  };
  const parts = rows === 0 ? 0 : Math.floor(part.rows / rows);
  const others = m - part.rows;
  return f.repeat(part.batch, () => {
    f.repeat(parts, () => take(rows));
    if (part.rows > parts * rows) take(part.rows - parts * rows);
    f.advance(left!, transposeA ? 4 * (k * m - part.rows) : 4 * others * k);
    f.advance(right!, 4 * k * n).advance(to!, 4 * others * n);
  });
}
