/** The tree that shards are added along: its definition, and groups of it that are added elsewhere. */
import { describe, expect, it } from 'vitest';
import { treePasses } from '../src/backends/wasm/tree-passes.ts';
import { addAlongTree, isNode } from '../src/ops/shard-tree.ts';

const shape = (shards: readonly string[]) => addAlongTree(shards, (a, b) => `(${a} ${b})`);
const names = (count: number) => Array.from({ length: count }, (_, shard) => String(shard));

describe('addAlongTree', () => {
  it.each([
    [1, '0'],
    [2, '(0 1)'],
    [3, '((0 1) 2)'],
    [4, '((0 1) (2 3))'],
    [5, '(((0 1) (2 3)) 4)'],
    [7, '(((0 1) (2 3)) ((4 5) 6))'],
    [11, '((((0 1) (2 3)) ((4 5) (6 7))) ((8 9) 10))'],
  ])('adds %d shards so', (count, wanted) => {
    expect(shape(names(count))).toBe(wanted);
  });

  it('gives the same whichever nodes have been added before', () => {
    const join = (a: string, b: string) => `(${a} ${b})`;
    for (let shards = 1; shards <= 33; shards++) {
      const all = names(shards);
      const whole = shape(all);
      for (let seed = 0; seed < 20; seed++) {
        // Cuts the shards into nodes, of sizes that differ from seed to seed.
        const groups: { first: number; count: number }[] = [];
        for (let first = 0; first < shards; ) {
          const spans = [16, 8, 4, 2, 1].filter((span) => first % span === 0);
          const span = spans[(seed * 7 + first * 3) % spans.length]!;
          const count = Math.min(span, shards - first);
          expect(isNode({ first, count }, shards)).toBe(true);
          groups.push({ first, count });
          first += count;
        }
        const sums = groups.map(({ first, count }) => shape(all.slice(first, first + count)));
        const counts = groups.map(({ count }) => count);
        expect(addAlongTree(sums, join, counts)).toBe(whole);
      }
    }
  });
});

it.each([
  [{ first: 0, count: 4 }, 8, true],
  [{ first: 4, count: 3 }, 7, true],
  [{ first: 4, count: 3 }, 8, false],
  [{ first: 2, count: 4 }, 8, false],
  [{ first: 0, count: 3 }, 3, true],
  [{ first: 6, count: 2 }, 7, false],
  [{ first: 3, count: 0 }, 7, false],
])('knows whether %j of %d shards is a node', (group, shards, wanted) => {
  expect(isNode(group, shards)).toBe(wanted);
});

it.each([1, 8, 9, 12, 16, 64, 100, 1000, 4097])(
  'adds %d parts in few passes with few sums that wait',
  (count) => {
    const passes = treePasses(new Array(count).fill(1), 8);
    expect(passes.length).toBeLessThan(count / 3 + 4);
    expect(Math.max(...passes.map(({ operands }) => operands.length))).toBeLessThanOrEqual(8);
    expect(Math.max(0, ...passes.map(({ into = 0 }) => into))).toBeLessThan(24);
    expect(passes.flatMap(({ into }) => (into === undefined ? [0] : []))).toHaveLength(1);
    const parts = passes.flatMap(({ operands }) =>
      operands.flatMap((operand) => ('part' in operand ? [operand.part] : [])),
    );
    expect(parts).toEqual(Array.from({ length: count }, (_, part) => part));
  },
);
