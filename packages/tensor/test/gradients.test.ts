/** Gradients of every operation in the list, and theirs, against central differences along a random direction. */
import { describe, expect, it, vi } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import type { Node } from '../src/graph.ts';
import { argmaxEquals } from '../src/ops/labels.ts';
import { input } from '../src/ops/leaf.ts';
import { matmul, matmulOp } from '../src/ops/matmul.ts';
import { detach } from '../src/ops/movement.ts';
import type { GradientRule } from '../src/ops/op.ts';
import { add, exp, max, min, mul } from '../src/ops/pointwise.ts';
import { maxReduce, sum } from '../src/ops/reduce.ts';
import { sizeOf } from '../src/shape.ts';
import { directions, opCases } from './support/cases.ts';

type Arrays = Record<string, ArrayLike<number>>;
const STEP = 1e-5;

/** Compares the gradient of a scalar node with its slope along one direction through all of `wrt`. */
function checkSlope(scalar: Node, wrt: readonly Node[], feeds: Arrays): void {
  const nameOf = (node: Node) => node.attributes.name as string;
  const along = wrt.map((node, i) => directions(sizeOf(node.shape), 900 + i));
  const at = (offset: number) => {
    const moved = { ...feeds };
    wrt.forEach((node, i) => {
      moved[nameOf(node)] = Float64Array.from(feeds[nameOf(node)]!, (v, e) => v + offset * along[i]![e]!);
    });
    return evaluateGraph([scalar], moved)[0]![0]!;
  };
  const slope = (at(STEP) - at(-STEP)) / (2 * STEP);
  const found = evaluateGraph(gradients(scalar, wrt), feeds);
  const expected = found.reduce(
    (total, g, i) => g.reduce((part, v, e) => part + v * along[i]![e]!, total),
    0,
  );
  expect(Math.abs(slope - expected)).toBeLessThan(1e-7 * Math.max(1, Math.abs(expected)) * 10);
}

/** A scalar in which each element of the node has a weight of its own. */
function weighted(node: Node, name: string, feeds: Arrays, stream: number): Node {
  feeds[name] = directions(sizeOf(node.shape), stream);
  return sum(mul(node, input(name, node.shape)));
}

describe('gradient rules agree with central differences', () => {
  const differentiable = opCases().filter((each) => each.differentiable);

  it.each(differentiable.map((each) => [each.label, each] as const))('%s', (_, { inputs, output, feeds }) => {
    const all: Arrays = { ...feeds };
    // A condition is piecewise constant, and its whole numbers sit on the edge.
    const wrt = inputs.filter((node, i) => node.dtype === 'f32' && !(output.op === 'select' && i === 0));
    const scalar = weighted(output, 'weights', all, 800);
    checkSlope(scalar, wrt, all);

    const second = gradients(scalar, wrt)
      .map((node, i) => weighted(node, `weights${i}`, all, 801 + i))
      .reduce(add);
    checkSlope(second, wrt, all);
  });
});

describe('gradients', () => {
  const x = input('x', [3]);

  it('adds up what comes by several ways', () => {
    const node = add(mul(x, x), mul(x, exp(x)));
    const [g] = evaluateGraph(gradients(node, [x]), { x: [0, 1, 2] });
    const expected = [0, 1, 2].map((v) => 2 * v + Math.exp(v) + v * Math.exp(v));
    expected.forEach((value, i) => {
      expect(g![i]).toBeCloseTo(value, 12);
    });
  });

  it('is zero with the right shape where nothing depends on it', () => {
    const [g] = gradients(exp(x), [input('y', [2, 2])]);
    expect(g!.shape).toEqual([2, 2]);
    expect([...evaluateGraph([g!], {})[0]!]).toEqual([0, 0, 0, 0]);
  });

  it('stops at detach and at comparisons of scores', () => {
    const scores = input('s', [2, 2]);
    const node = add(detach(sum(scores)), sum(argmaxEquals(scores, input('l', [2], 'i32'))));
    expect(gradients(node, [scores])[0]!.op).toBe('constant');
  });

  it('halves the gradient of a tie, as PyTorch does', () => {
    const y = input('y', [3]);
    for (const op of [max, min]) {
      const [a, b] = evaluateGraph(gradients(op(x, y), [x, y]), { x: [1, 2, Number.NaN], y: [1, 3, 2] });
      expect([...a!]).toEqual([0.5, op === max ? 0 : 1, 1]);
      expect([...b!]).toEqual([0.5, op === max ? 1 : 0, 1]);
    }
  });

  it('shares the gradient of a reduction among equal maxima', () => {
    const m = maxReduce(input('m', [2, 3]), [1]);
    const [g] = evaluateGraph(gradients(m, m.inputs), { m: [5, 1, 5, 2, 3, 1] });
    expect([...g!]).toEqual([0.5, 0, 0.5, 0, 1, 0]);
  });

  it('of the output itself is one', () => {
    expect([...evaluateGraph(gradients(x, [x]), {})[0]!]).toEqual([1, 1, 1]);
  });

  it('refuses integers', () => {
    expect(() => gradients(x, [input('i', [1], 'i32')])).toThrow(/it is i32/);
  });

  it('names operation and input when a rule returns a wrong shape or number', () => {
    const [a, b] = [input('a', [2, 3]), input('b', [3, 4])];
    const product = matmul(a, b);
    const rule = vi.spyOn(matmulOp as { gradient: GradientRule }, 'gradient');
    try {
      rule.mockReturnValue([a, a]);
      expect(() => gradients(product, [a, b])).toThrow(
        /rule of 'matmul', input 1: returned f32 \[2, 3\], expected f32 \[3, 4\]/,
      );
      rule.mockReturnValue([a]);
      expect(() => gradients(product, [a, b])).toThrow(/rule of 'matmul' returned 1 gradients for 2 inputs/);
    } finally {
      rule.mockRestore();
    }
  });
});
