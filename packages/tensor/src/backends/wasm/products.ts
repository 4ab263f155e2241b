/** Matrix products as calls of functions that `gemm.ts` makes: of many matrices one after another, of tall ones a few rows at a time. */

import type { FunctionBuilder, Local } from '../../assembler.ts';
import { levelsOf } from '../../ops/summation.ts';
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

/** Rows of A to take at a time. */
function rowsAtOnce({ m, k }: Gemm): number {
  const rows = Math.floor(ROWS_BYTES / (4 * Math.min(k, K_BLOCK)) / ROWS_STEP) * ROWS_STEP;
  return m < 2 * rows ? m : rows;
}

/** Bytes of one result that waits, and of all: a product has such where its sums are long. */
const waitingBytes = (gemm: Gemm) => 64 * Math.ceil((4 * rowsAtOnce(gemm) * gemm.n + 64) / 64);
export const productsWorkspaceBytes = (gemm: Gemm): number => levelsOf(gemm.k, K_BLOCK) * waitingBytes(gemm);

/** Addresses. */
interface Places {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly scratch: number;
  /** Of the product's own workspace. */
  readonly workspace: number;
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
): FunctionBuilder {
  const { m, n, k, transposeA, transposeB } = gemm;
  const rows = rowsAtOnce(gemm);
  const [left, right, to]: readonly Local[] = [a, b, c].map((address) => {
    const local = f.local('i32');
    f.i32(address).set(local);
    return local;
  });
  const waiting = (level: number) => workspace + (level - 1) * waitingBytes(gemm);
  const block = (count: number, depth: number, level: number, fresh: boolean) => {
    f.get(left!).get(right!);
    if (level === 0) f.get(to!);
    else f.i32(waiting(level));
    f.i32(scratch).call(made({ ...gemm, rows: count, depth, fresh }));
    f.advance(left!, 4 * depth * (transposeA ? m : 1)).advance(right!, 4 * depth * (transposeB ? 1 : n));
  };
  const result = { at: 0, by: 'result', push: () => f.get(to!) };
  const part = (count: number) => {
    emitRuns(f, k, K_BLOCK, {
      run: (depth, level, fresh) => block(count, depth, level, fresh),
      join: (level) =>
        emitAddition(
          f,
          [count, n],
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
  const parts = rows === 0 ? 0 : Math.floor(m / rows);
  return f.repeat(batch, () => {
    f.repeat(parts, () => part(rows));
    if (m > parts * rows) part(m - parts * rows);
    if (transposeA) f.advance(left!, 4 * (k * m - m));
    f.advance(right!, 4 * k * n);
  });
}
