/** Along what a matrix product is cut for several threads. */
import { type Cut, cutOf, type Sharing, threadsForProducts } from './cut.ts';
import { type KernelName, kernelShapes } from './gemm.ts';
import { type Products, productsWorkspaceBytes } from './products.ts';

/** What copying an element of B to a panel costs, in multiplications and additions of as many. */
const COPY = 3;

export interface ProductsCut {
  readonly along: 'batch' | 'rows' | 'columns';
  readonly cut: Cut;
  /** Bytes of each thread's own workspace. */
  readonly workspaceBytes: number;
}

/**
 * Whole products where there are enough; otherwise rows, whose threads each copy all of B, or columns, by what takes the slowest
 * thread less. Undefined where one thread computes it alone.
 */
export function cutProducts(
  products: Products,
  sharing: Sharing,
  kernel: KernelName,
): ProductsCut | undefined {
  const { batch, m, n, k } = products;
  const threads = threadsForProducts(sharing, batch * m * n * k);
  if (threads === 1) return undefined;
  const tile = kernelShapes[kernel];
  const up = (count: number, step: number) => Math.ceil(count / step) * step;
  const time = (results: number, rows: number, columns: number) =>
    results * (up(rows, tile.rows) + COPY) * up(columns, tile.columns);
  const choices = [
    { along: 'batch', cut: cutOf(batch, threads) },
    { along: 'rows', cut: cutOf(m, threads, tile.rows) },
    { along: 'columns', cut: cutOf(n, threads, tile.columns) },
  ] as const;
  const times = choices.map(({ along, cut: { each } }) =>
    time(along === 'batch' ? each : batch, along === 'rows' ? each : m, along === 'columns' ? each : n),
  );
  const least = Math.min(...times);
  const { along, cut } = choices[times.findIndex((own) => own <= 1.02 * least)]!;
  const workspaceBytes = productsWorkspaceBytes(products, along === 'rows' ? cut.each : m);
  return { along, cut, workspaceBytes };
}
