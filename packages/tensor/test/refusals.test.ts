/** What a program cannot take is one clear error on every backend; what arithmetic has no number for is NaN on every backend. */
import { afterAll, describe, expect, it } from 'vitest';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import { compileGpuProgram } from '../src/backends/webgpu/program.ts';
import type { Node } from '../src/graph.ts';
import { embedding } from '../src/nn/embedding.ts';
import { softmax } from '../src/nn/losses.ts';
import { argmax } from '../src/ops/labels.ts';
import { input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { transpose } from '../src/ops/movement.ts';
import { concat, pad } from '../src/ops/parts.ts';
import { add, exp, gelu, log, max, mul, sigmoid, sqrt, tanh } from '../src/ops/pointwise.ts';
import { maxReduce, mean, minReduce, sum } from '../src/ops/reduce.ts';
import { window } from '../src/ops/window.ts';
import { onDevice, openDevice } from './support/gpu.ts';
import { runWasm } from './support/run-wasm.ts';

const device = await openDevice();
afterAll(() => device?.destroy());

type Feeds = Record<string, Float32Array>;
const backends: Record<string, (outputs: Node[], feeds: Feeds) => Promise<ArrayLike<number>[]>> = {
  reference: async (outputs, feeds) => evaluateGraph(outputs, feeds),
  wasm: (outputs, feeds) => runWasm(outputs, feeds),
  webgpu: async (outputs, feeds) => {
    const program = await compileGpuProgram(device!, outputs);
    for (const [name, values] of Object.entries(feeds)) program.write(name, values);
    try {
      return await program.run();
    } finally {
      program.destroy();
    }
  },
};
const names = Object.keys(backends);

describe('shapes and axes are checked when the graph is made, before any backend', () => {
  const x = input('x', [2, 3]);
  it.each([
    [
      'a bad shape',
      () => matmul(x, input('y', [2, 3])),
      /matmul: got f32 \[2, 3\] and f32 \[2, 3\]; the inner sizes/,
    ],
    ['axis 2 of a sum', () => sum(x, [2]), /sum: got f32 \[2, 3\]; axes \[2\] must be/],
    ['axis -3 of a mean', () => mean(x, [-3]), /axes \[-1\]|axis/],
    ['axis 2 of a maximum', () => maxReduce(x, [2]), /maxReduce: got f32 \[2, 3\]/],
    ['axis 2 of a concatenation', () => concat([x, x], 2), /concat: got f32 \[2, 3\]/],
    ['axis 2 of windows', () => window(x, 2, 1), /window: got f32 \[2, 3\]; axis 2 does not exist/],
    ['an axis of a transposition', () => transpose(x, [0, 2]), /transpose: got f32 \[2, 3\]/],
    ['as many numbers of a padding', () => pad(x, [1], [1]), /pad: got f32 \[2, 3\]/],
    [
      'an axis to look for the largest',
      () => argmax(x, 2),
      /argmax: got f32 \[2, 3\]; axis 2 does not exist/,
    ],
  ] as const)('%s', (_, make, message) => {
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ name: 'OpError' }));
  });
});

const testsOn = (backend: (typeof names)[number]) => {
  const run = backends[backend]!;

  it.each([7, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('an embedding has no row %d', async (token) => {
    const table = input('table', [7, 2]);
    const context = { options: { tokens: 7, units: 2 }, parameters: [table] };
    const output = embedding.forward(input('x', [1, 2]), context as never);
    const feeds = { table: new Float32Array(14).fill(1), x: Float32Array.of(3, token) };
    await expect(run([output], feeds)).rejects.toThrow(
      /index -?\d+ is out of range; the table has 7 rows, 0 to 6/,
    );
  });

  it('NaN comes out of what NaN goes into, and only there', async () => {
    const [x, y] = [input('x', [3]), input('y', [3])];
    const elementwise = [
      add(x, y),
      mul(x, y),
      max(x, y),
      exp(x),
      log(x),
      sqrt(x),
      tanh(x),
      sigmoid(x),
      gelu(x),
    ];
    const whole = [sum(x), mean(x), maxReduce(x), minReduce(x), softmax(x)];
    const feeds = { x: Float32Array.of(1, Number.NaN, 2), y: Float32Array.of(0, 1, 2) };
    const found = await run([...elementwise, ...whole], feeds);
    for (const [index, values] of found.entries()) {
      const isNumber = Array.from(values, (value) => !Number.isNaN(value));
      expect(isNumber, `output ${index}`).toEqual(
        index < elementwise.length ? [true, false, true] : isNumber.map(() => false),
      );
    }
  });

  it('infinity is as IEEE says', async () => {
    const x = input('x', [4]);
    const feeds = { x: Float32Array.of(Infinity, -Infinity, 0, -1) };
    const [squares, powers, roots, logarithms, bounded] = await run(
      [mul(x, x), exp(x), sqrt(x), log(x), tanh(x)],
      feeds,
    );
    expect(Array.from(squares!)).toEqual([Infinity, Infinity, 0, 1]);
    expect(Array.from(powers!).slice(0, 3)).toEqual([Infinity, 0, 1]);
    expect(Array.from(roots!)).toEqual([Infinity, Number.NaN, 0, Number.NaN]);
    expect(Array.from(logarithms!)).toEqual([Infinity, Number.NaN, -Infinity, Number.NaN]);
    expect(Array.from(bounded!).slice(0, 3)).toEqual([1, -1, 0]);
  });
};
for (const backend of names)
  describe(`on ${backend}`, backend === 'webgpu' ? onDevice(device) : {}, () => testsOn(backend));
