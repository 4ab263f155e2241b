/** Rows of a table by number, and the sum into rows that is its gradient. */
import type { Node } from '../graph.ts';
import { formatShape, sameShape } from '../shape.ts';
import { apply, attributesOf, expectInputs, fail, type Op } from './op.ts';

type RowsAttribute = { readonly rows: number };
type None = Readonly<Record<string, never>>;

/** A number that names no row. Thrown while a program runs, by every backend. */
export class IndexError extends RangeError {
  override readonly name = 'IndexError';

  constructor(index: number, rows: number) {
    super(`gather: index ${index} is out of range; the table has ${rows} rows, 0 to ${rows - 1}`);
  }
}

/** f32 [rows, ...row] and i32 [...] to f32 [..., ...row]. Running it throws IndexError for an index out of range. */
export const gatherOp: Op<None> = {
  name: 'gather',
  signature: (inputs) => {
    expectInputs('gather', inputs, ['f32', 'i32']);
    const [table, indices] = inputs as readonly [Node, Node];
    if (table.shape.length === 0) fail('gather', inputs, 'expected a table [rows, ...]');
    return { shape: [...indices.shape, ...table.shape.slice(1)], dtype: 'f32' };
  },
  gradient: (node, g) => {
    const [table, indices] = node.inputs as readonly [Node, Node];
    return [scatterAdd(g, indices, table.shape[0]!), null];
  },
  cases: [
    {
      label: 'rows of a matrix, some twice',
      inputs: [{ shape: [5, 3] }, { shape: [7], dtype: 'i32', domain: [0, 5] }],
      attributes: {},
    },
    {
      label: 'a matrix of indices',
      inputs: [{ shape: [4, 8] }, { shape: [2, 3], dtype: 'i32', domain: [0, 4] }],
      attributes: {},
    },
    {
      label: 'single numbers',
      inputs: [{ shape: [6] }, { shape: [4], dtype: 'i32', domain: [0, 6] }],
      attributes: {},
    },
    { label: 'no index', inputs: [{ shape: [3, 2] }, { shape: [0], dtype: 'i32' }], attributes: {} },
  ],
};

/** f32 [..., ...row] and i32 [...] to f32 [rows, ...row]: adds each row where its index says; those of one index in their order, as `summation.ts` says. */
export const scatterAddOp: Op<RowsAttribute> = {
  name: 'scatterAdd',
  signature: (inputs, { rows }) => {
    expectInputs('scatterAdd', inputs, ['f32', 'i32']);
    const [values, indices] = inputs as readonly [Node, Node];
    if (!sameShape(values.shape.slice(0, indices.shape.length), indices.shape)) {
      fail('scatterAdd', inputs, `expected values [..., ...row] for indices ${formatShape(indices.shape)}`);
    }
    return { shape: [rows, ...values.shape.slice(indices.shape.length)], dtype: 'f32' };
  },
  gradient: (node, g) => [gather(g, node.inputs[1]!), null],
  cases: [
    {
      label: 'some rows twice, some never',
      inputs: [{ shape: [7, 3] }, { shape: [7], dtype: 'i32', domain: [0, 5] }],
      attributes: { rows: 6 },
    },
    {
      label: 'wide rows',
      inputs: [{ shape: [2, 3, 9] }, { shape: [2, 3], dtype: 'i32', domain: [0, 4] }],
      attributes: { rows: 4 },
    },
  ],
};

/** f32 to i32: whole numbers as they are, anything else (fractions, NaN, beyond 2^31) as -1, which no table has. */
export const toIndexOp: Op<None> = {
  name: 'toIndex',
  signature: (inputs) => {
    expectInputs('toIndex', inputs, ['f32']);
    return { shape: inputs[0]!.shape, dtype: 'i32' };
  },
  gradient: { none: 'indices are integers' },
  cases: [
    { label: 'whole numbers', inputs: [{ shape: [9], domain: [0, 70], whole: true }], attributes: {} },
    { label: 'others', inputs: [{ shape: [5], values: [0.5, -3, 3e9, 16777216, 1] }], attributes: {} },
  ],
};

export const gather = (table: Node, indices: Node): Node => apply(gatherOp, [table, indices], {});
export const scatterAdd = (values: Node, indices: Node, rows: number): Node =>
  apply(scatterAddOp, [values, indices], { rows });
export const toIndex = (x: Node): Node => apply(toIndexOp, [x], {});
/** Rows of the table of a gather node, or those that a scatterAdd node makes. */
export const rowsOf = (node: Node): number =>
  node.op === 'gather' ? node.inputs[0]!.shape[0]! : attributesOf(scatterAddOp, node).rows;
