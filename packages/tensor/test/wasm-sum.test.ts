/** Sums have the bits that a plain loop gives in the order that `ops/summation.ts` defines. */
import { describe, expect, it } from 'vitest';
import { scatterAdd } from '../src/ops/gather.ts';
import { input } from '../src/ops/leaf.ts';
import { sum } from '../src/ops/reduce.ts';
import { sizeOf } from '../src/shape.ts';
import { runWasm } from './support/run-wasm.ts';
import { blockSum, sumOver } from './support/summation.ts';

/** Numbers of all sizes and signs, so that any other order gives other bits. */
function numbers(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state / 2 ** 31) * 2 ** ((state >>> 8) % 12);
  });
}

const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

describe('sums over axes', () => {
  const shapes: [shape: number[], axes: number[]][] = [
    ...[
      1, 3, 4, 5, 10, 31, 32, 33, 127, 128, 129, 131, 256, 300, 511, 512, 513, 640, 1023, 1300, 5000,
    ].flatMap((n): [number[], number[]][] => [
      [[n], [0]],
      [[13, n], [1]],
      [[n, 39], [0]],
    ]),
    [
      [3, 5, 7],
      [0, 2],
    ],
    [
      [3, 1, 7],
      [0, 2],
    ],
    [
      [150, 5, 140],
      [0, 2],
    ],
    [
      [140, 6, 260],
      [0, 2],
    ],
    [
      [2, 9, 37, 36],
      [1, 2],
    ],
    [
      [130, 3, 2, 37],
      [0, 2],
    ],
    [
      [5, 2, 3, 4, 140],
      [0, 2, 4],
    ],
    [[4, 3, 1], [0]],
    [[1, 5], [0]],
    [[70000], [0]],
    [[5], []],
    [[0, 3], [0]],
    [[2, 0], [1]],
  ];

  it.each(shapes)('%j over %j', async (shape, axes) => {
    const x = numbers(sizeOf(shape), sizeOf(shape) + 1);
    const [found] = await runWasm([sum(input('x', shape), axes)], { x });
    const wanted = axes.length > 0 ? sumOver(x, shape, axes) : x;
    expect(bytes(found!).equals(bytes(wanted)), `${found} where the loop gives ${wanted}`).toBe(true);
  });

  it('lose nothing of 2^25 ones', async () => {
    const x = new Float32Array(2 ** 25).fill(1);
    const program = await runWasm([sum(input('x', [x.length]))], { x });
    expect(program[0]![0]).toBe(2 ** 25);
  }, 60_000);
});

describe('rows summed by index', () => {
  it.each([
    [40, 3, 5],
    [1000, 2, 37],
    [3000, 7, 4],
    [5, 9, 1],
    [2, 3, 70],
    [0, 3, 2],
  ])('%d rows into %d of %d numbers', async (count, rows, row) => {
    const x = numbers(count * row, count + row);
    // The last row gets none.
    const index = Int32Array.from({ length: count }, (_, i) => ((i * 7919) % 1009) % Math.max(1, rows - 1));
    const node = scatterAdd(input('x', [count, row]), input('index', [count], 'i32'), rows);
    const [found] = await runWasm([node], { x, index });
    const wanted = Float32Array.from({ length: rows * row }, (_, e) => {
      const own = [...index.keys()].filter((i) => index[i] === Math.floor(e / row));
      const serial = own.map((i) => x[i * row + (e % row)]!);
      return blockSum(serial, (block) => block.reduce((sum, value) => Math.fround(sum + value), 0));
    });
    expect(bytes(found!).equals(bytes(wanted))).toBe(true);
  });
});
