/** The matrix product, each side transposed or not. Two-dimensional for now; batch axes would come in front. */
import type { Node } from '../graph.ts';
import { apply, attributesOf, expectInputs, fail, type Op, type OpCase } from './op.ts';

type MatmulAttributes = { readonly transposeA: boolean; readonly transposeB: boolean };

export interface MatmulSizes {
  /** Rows of the result. */
  readonly m: number;
  /** Columns of the result. */
  readonly n: number;
  /** Length of the sums. */
  readonly k: number;
}

/** c[i, j] = sum over ascending p of A[i, p] * B[p, j], where A and B are the inputs after transposition. */
export const matmulOp: Op<MatmulAttributes> = {
  name: 'matmul',
  signature: (inputs, attributes) => {
    expectInputs('matmul', inputs, ['f32', 'f32']);
    if (inputs.some((node) => node.shape.length !== 2)) fail('matmul', inputs, 'expected two matrices');
    const [a, b] = inputs.map((node) => node.shape as readonly [number, number]) as [
      readonly [number, number],
      readonly [number, number],
    ];
    const [m, k] = attributes.transposeA ? [a[1], a[0]] : a;
    const [kOfB, n] = attributes.transposeB ? [b[1], b[0]] : b;
    if (k !== kOfB) {
      const say = (transposed: boolean) => (transposed ? ' transposed' : '');
      fail(
        'matmul',
        inputs,
        `the inner sizes differ: ${k} (first${say(attributes.transposeA)}) and ${kOfB} (second${say(attributes.transposeB)})`,
      );
    }
    return { shape: [m, n], dtype: 'f32' };
  },
  gradient: (node, g) => {
    const [a, b] = node.inputs as readonly [Node, Node];
    const { transposeA, transposeB } = attributesOf(matmulOp, node);
    return [
      transposeA ? matmul(b, g, transposeB, true) : matmul(g, b, false, !transposeB),
      transposeB ? matmul(g, a, true, transposeA) : matmul(a, g, !transposeA, false),
    ];
  },
  cases: [
    ...casesFor('odd sizes', 5, 7, 3),
    ...casesFor('one row', 1, 9, 4),
    ...casesFor('one column', 6, 1, 5),
    ...casesFor('one product', 3, 4, 1),
    ...casesFor('full tiles and edges', 21, 35, 18),
    { label: 'nothing to sum', inputs: [{ shape: [2, 0] }, { shape: [0, 3] }], attributes: plain() },
  ],
};

function plain(): MatmulAttributes {
  return { transposeA: false, transposeB: false };
}

function casesFor(label: string, m: number, n: number, k: number): OpCase<MatmulAttributes>[] {
  return [0, 1, 2, 3].map((bits) => {
    const attributes = { transposeA: bits % 2 === 1, transposeB: bits >= 2 };
    return {
      label: `${label}${attributes.transposeA ? ', A transposed' : ''}${attributes.transposeB ? ', B transposed' : ''}`,
      inputs: [
        { shape: attributes.transposeA ? [k, m] : [m, k] },
        { shape: attributes.transposeB ? [n, k] : [k, n] },
      ],
      attributes,
    };
  });
}

/** A B, with A and B transposed first where asked. */
export function matmul(a: Node, b: Node, transposeA = false, transposeB = false): Node {
  return apply(matmulOp, [a, b], { transposeA, transposeB });
}

/** Sizes of the product that a matmul node computes. */
export function matmulSizes(node: Node): MatmulSizes {
  const { transposeA } = attributesOf(matmulOp, node);
  const [m, n] = node.shape as readonly [number, number];
  return { m, n, k: node.inputs[0]!.shape[transposeA ? 0 : 1]! };
}
