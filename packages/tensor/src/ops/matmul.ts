/** The matrix product, each side transposed or not; axes in front of the last two are a batch of products. */
import type { Node } from '../graph.ts';
import { broadcastShapes, sameShape, sizeOf } from '../shape.ts';
import { broadcast, reshape } from './movement.ts';
import { apply, attributesOf, expectInputs, fail, type Op, type OpCase } from './op.ts';

type MatmulAttributes = { readonly transposeA: boolean; readonly transposeB: boolean };

export interface MatmulSizes {
  /** Number of products. */
  readonly batch: number;
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
    const batch = inputs[0]!.shape.slice(0, -2);
    if (inputs.some((node) => node.shape.length < 2) || !sameShape(batch, inputs[1]!.shape.slice(0, -2))) {
      fail('matmul', inputs, 'expected two matrices, or two batches of equal size');
    }
    const [a, b] = inputs.map((node) => node.shape.slice(-2) as unknown as readonly [number, number]) as [
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
    return { shape: [...batch, m, n], dtype: 'f32' };
  },
  gradient: (node, g) => {
    const [a, b] = node.inputs as readonly [Node, Node];
    const { transposeA, transposeB } = attributesOf(matmulOp, node);
    return [
      transposeA ? product(b, g, transposeB, true) : product(g, b, false, !transposeB),
      transposeB ? product(g, a, true, transposeA) : product(a, g, !transposeA, false),
    ];
  },
  cases: [
    ...casesFor('odd sizes', 5, 7, 3),
    ...casesFor('one row', 1, 9, 4),
    ...casesFor('one column', 6, 1, 5),
    ...casesFor('one product', 3, 4, 1),
    ...casesFor('full tiles and edges', 21, 35, 18),
    ...casesFor('more than a tile on every side', 67, 70, 41),
    { label: 'a long sum', inputs: [{ shape: [3, 2100] }, { shape: [2100, 2] }], attributes: plain() },
    {
      label: 'batch',
      inputs: [{ shape: [3, 4, 5] }, { shape: [3, 5, 2] }],
      attributes: plain(),
    },
    {
      label: 'batch of two axes, both transposed',
      inputs: [{ shape: [2, 3, 5, 4] }, { shape: [2, 3, 6, 5] }],
      attributes: { transposeA: true, transposeB: true },
    },
    { label: 'empty batch', inputs: [{ shape: [0, 2, 3] }, { shape: [0, 3, 1] }], attributes: plain() },
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

const product = (a: Node, b: Node, transposeA: boolean, transposeB: boolean): Node =>
  apply(matmulOp, [a, b], { transposeA, transposeB });

/**
 * A B, with A and B transposed first where asked. Axes in front of the last two are stretched to each other's as NumPy does;
 * a batch of A times one matrix is computed as one product.
 */
export function matmul(a: Node, b: Node, transposeA = false, transposeB = false): Node {
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  if (sameShape(batchA, batchB) || a.shape.length < 2 || b.shape.length < 2) {
    return product(a, b, transposeA, transposeB);
  }
  if (batchB.length === 0 && !transposeA) {
    const [rows, inner] = a.shape.slice(-2) as [number, number];
    const whole = product(reshape(a, [sizeOf(batchA) * rows, inner]), b, false, transposeB);
    return reshape(whole, [...batchA, rows, whole.shape[1]!]);
  }
  const batch = broadcastShapes([batchA, batchB]);
  if (!batch) return fail('matmul', [a, b], 'the axes in front of the matrices must broadcast');
  const stretched = [a, b].map((node) => broadcast(node, [...batch, ...node.shape.slice(-2)])) as [
    Node,
    Node,
  ];
  return product(...stretched, transposeA, transposeB);
}

/** Sizes of the product that a matmul node computes. */
export function matmulSizes(node: Node): MatmulSizes {
  const { transposeA } = attributesOf(matmulOp, node);
  const [m, n] = node.shape.slice(-2) as [number, number];
  const k = node.inputs[0]!.shape.at(transposeA ? -2 : -1)!;
  return { batch: sizeOf(node.shape.slice(0, -2)), m, n, k };
}
