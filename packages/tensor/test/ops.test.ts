import { describe, expect, it } from 'vitest';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import type { Node } from '../src/graph.ts';
import { dropoutMask, dropoutMaskOp, dropoutScale } from '../src/ops/dropout-mask.ts';
import { aliasOps, allOps, kernelOps, leafOps, opNamed } from '../src/ops/index.ts';
import { argmax, argmaxEquals, oneHot } from '../src/ops/labels.ts';
import { constant, input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { broadcast, reshape, transpose } from '../src/ops/movement.ts';
import { add, div, max, mul, pointwiseOps, select } from '../src/ops/pointwise.ts';
import { maxReduce, sum } from '../src/ops/reduce.ts';
import { philox4x32 } from '../src/random.ts';
import { sizeOf } from '../src/shape.ts';
import { opCases } from './support/cases.ts';

const f32 = (name: string, ...shape: number[]) => input(name, shape);
const i32 = (name: string, ...shape: number[]) => input(name, shape, 'i32');
const values = (node: Node, feeds: Record<string, number[]>) => [...evaluateGraph([node], feeds)[0]!];

describe('the list of operations', () => {
  it('names every declaration as its key', () => {
    for (const [key, op] of Object.entries({ ...leafOps, ...aliasOps, ...kernelOps, ...pointwiseOps })) {
      expect(op.name).toBe(key);
      expect(opNamed(key)).toBe(op);
    }
  });

  it('has a case for everything but fed leaves, and says why a gradient is missing', () => {
    const cases = new Set(opCases().map(({ op }) => op));
    for (const op of allOps) {
      if (op.name !== 'input' && op.name !== 'parameter') expect(cases).toContain(op.name);
      if ('none' in op.gradient) expect(op.gradient.none).not.toBe('');
    }
  });

  it('refuses an operation that is not there, naming those that are', () => {
    expect(() => opNamed('conv9d')).toThrow(/no operation 'conv9d'; available: parameter, /);
  });
});

describe('shapes and values agree', () => {
  it.each(opCases().map((each) => [each.label, each] as const))('%s', (_, { output, feeds }) => {
    const [result] = evaluateGraph([output], feeds);
    expect(result).toHaveLength(sizeOf(output.shape));
    expect(result!.every(Number.isFinite)).toBe(true);
  });
});

describe('values known by hand', () => {
  const a = f32('a', 2, 3);
  const feeds = { a: [1, 2, 3, 4, 5, 6], row: [10, 20, 30], column: [100, 200], b: [1, 0, 2, 1, 0, 3] };

  it.each([
    ['add a row', add(a, f32('row', 3)), [11, 22, 33, 14, 25, 36]],
    ['add a column', add(a, f32('column', 2, 1)), [101, 102, 103, 204, 205, 206]],
    ['outer maximum', max(f32('column', 2, 1), f32('row', 3)), [100, 100, 100, 200, 200, 200]],
    ['select', select(f32('b', 2, 3), a, constant(-1)), [1, -1, 3, 4, -1, 6]],
    ['divide by zero', div(f32('row', 3), constant(0)), [Infinity, Infinity, Infinity]],
    ['matmul', matmul(a, f32('b', 3, 2)), [5, 11, 14, 23]],
    ['matmul, B transposed', matmul(a, f32('b', 2, 3), false, true), [7, 10, 16, 22]],
    ['matmul, A transposed', matmul(a, f32('column', 2, 1), true), [900, 1200, 1500]],
    ['matmul, both transposed', matmul(a, f32('column', 1, 2), true, true), [900, 1200, 1500]],
    ['sum of rows', sum(a, [-1]), [6, 15]],
    ['sum of all', sum(a), [21]],
    ['maximum of columns', maxReduce(a, [0], true), [4, 5, 6]],
    ['largest of columns', argmax(mul(a, f32('b', 2, 3)), 0), [1, 0, 1]],
    ['largest of rows', argmax(mul(a, f32('b', 2, 3)), -1), [2, 2]],
    ['transpose', transpose(a), [1, 4, 2, 5, 3, 6]],
    ['broadcast', broadcast(f32('column', 2, 1), [2, 3]), [100, 100, 100, 200, 200, 200]],
    ['reshape', reshape(a, [3, 2]), [1, 2, 3, 4, 5, 6]],
  ] as const)('%s', (_, node, expected) => {
    expect(values(node, feeds)).toEqual(expected);
  });

  it('oneHot leaves a row of zeros for a label that is out of range', () => {
    expect(values(oneHot(i32('l', 4), 3), { l: [2, -1, 3, 0] })).toEqual([
      0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0,
    ]);
  });

  it('argmaxEquals takes the first of equal scores', () => {
    const node = argmaxEquals(f32('s', 2, 3), i32('l', 2));
    expect(values(node, { s: [1, 5, 5, 0, 0, 0], l: [1, 2] })).toEqual([1, 0]);
  });

  it('dropoutMask draws what the rule says, wherever the sample stands in the batch', () => {
    const [seedLow, seedHigh, epoch, layer, rate, size] = [77, 1, 4, 3, 0.3, 11];
    const mask = dropoutMask(i32('ids', 2), i32('key', 4), { layer, rate, shape: [size] });
    const feeds = { ids: [9, 0xffff_fff0], key: [seedLow, seedHigh, epoch, 0] };
    const expected = feeds.ids.flatMap((id) =>
      Array.from({ length: size }, (_, e) => {
        const word = philox4x32([e >> 2, id, epoch, layer], [seedLow, seedHigh])[e & 3]!;
        return (word >>> 8) * 2 ** -24 >= rate ? dropoutScale(rate) : 0;
      }),
    );
    expect(values(mask, feeds)).toEqual(expected);
    expect(values(mask, { ...feeds, ids: [...feeds.ids].reverse() })).toEqual([
      ...expected.slice(size),
      ...expected.slice(0, size),
    ]);
  });

  it('dropoutMask keeps an element whose draw is exactly the rate', () => {
    const rate = (philox4x32([0, 5, 0, 1], [9, 0])[0] >>> 8) * 2 ** -24;
    for (const [given, expected] of [
      [rate, dropoutScale(rate)],
      [rate + 2 ** -25, 0],
    ] as const) {
      const mask = dropoutMask(i32('ids', 1), i32('key', 4), { layer: 1, rate: given, shape: [1] });
      expect(values(mask, { ids: [5], key: [9, 0, 0, 0] })).toEqual([expected]);
    }
  });

  it('dropoutMask drops about the rate', () => {
    const mask = dropoutMask(i32('ids', 1), i32('key', 4), { layer: 0, rate: 0.2, shape: [10_000] });
    const dropped = values(mask, { ids: [1], key: [1, 0, 0, 0] }).filter((value) => value === 0).length;
    expect(Math.abs(dropped / 10_000 - 0.2)).toBeLessThan(0.02);
  });
});

describe('refusals say what came and what was wanted', () => {
  it.each([
    [
      () => matmul(f32('a', 2, 3), f32('b', 4, 2)),
      /matmul: got f32 \[2, 3\] and f32 \[4, 2\]; the inner sizes differ: 3/,
    ],
    [() => matmul(f32('a', 2), f32('b', 2, 2)), /expected two matrices/],
    [() => add(f32('a', 2, 3), f32('b', 2)), /add: got f32 \[2, 3\] and f32 \[2\]; shapes must broadcast/],
    [() => add(f32('a', 2), i32('b', 2)), /add: got f32 \[2\] and i32 \[2\]; expected 2 inputs: f32, f32/],
    [() => sum(f32('a', 2), [1]), /sum: .* axes \[1\] must be ascending axes/],
    [() => sum(f32('a', 2, 2), [0, 0]), /axes \[0, 0\]/],
    [() => maxReduce(f32('a', 0, 2), [0]), /no maximum/],
    [() => reshape(f32('a', 2, 3), [4]), /reshape: got f32 \[2, 3\]; cannot become \[4\]/],
    [() => broadcast(f32('a', 2), [3]), /broadcast: got f32 \[2\]; cannot be stretched to \[3\]/],
    [() => transpose(f32('a', 2, 3), [0, 0]), /permutation \[0, 0\] must name each axis once/],
    [() => oneHot(f32('a', 2), 3), /oneHot: got f32 \[2\]; expected 1 input: i32/],
    [() => oneHot(i32('a', 2), 0), /classes is 0/],
    [() => argmaxEquals(f32('a', 2, 3), i32('b', 3)), /one label/],
    [() => input('a', [-1]), /shape \[-1\] must consist of/],
    [
      () => dropoutMask(i32('a', 2), i32('k', 4), { layer: 0, rate: 1, shape: [2] }),
      /dropoutMask: .* rate is 1; expected 0 <= rate < 1/,
    ],
  ])('case %#', (make, message) => {
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ name: 'OpError' }));
  });

  it('names a leaf that was fed wrongly', () => {
    expect(() => evaluateGraph([f32('x', 2, 3)], { x: [1] })).toThrow(
      /input 'x': fed 1 numbers; expected f32 \[2, 3\]/,
    );
    expect(() => evaluateGraph([f32('x', 2)], {})).toThrow(/input 'x': fed nothing/);
  });

  it('the mask operation takes no other key', () => {
    expect(() =>
      dropoutMaskOp.signature([i32('a', 2), i32('k', 2)], { layer: 0, rate: 0, shape: [2] }),
    ).toThrow(/key/);
  });
});
