/** Scalar expressions as SIMD: error bounds over the whole range of float32, special values, and equal bits in tails. */
import { describe, expect, it } from 'vitest';
import { FunctionBuilder, ModuleBuilder } from '../src/assembler.ts';
import { emitPointwise } from '../src/backends/wasm/emit-loops.ts';
import { evaluateScalar } from '../src/scalar/evaluate.ts';
import * as s from '../src/scalar/expression.ts';

/** Runs an expression over elements, which lie `stride` elements apart: any stride but 1 takes them one by one. */
function runWasm(expression: s.Expression, inputs: readonly Float32Array[], stride = 1): Float32Array {
  const count = inputs[0]!.length;
  const bytes = 4 * count * stride + 64;
  const pages = Math.ceil((bytes * (inputs.length + 1)) / 65536);
  const f = new FunctionBuilder();
  const places = inputs.map((_, i) => i * bytes);
  emitPointwise(
    f,
    [count],
    [expression],
    places,
    inputs.map(() => [stride]),
    [inputs.length * bytes],
  );
  const module = new ModuleBuilder({ pages, shared: false });
  module.add(f, 'run');
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  for (const [i, values] of inputs.entries()) {
    const view = new Float32Array(memory.buffer, places[i], count * stride);
    values.forEach((value, e) => {
      view[e * stride] = value;
    });
  }
  (instance.exports.run as () => void)();
  return new Float32Array(memory.buffer, inputs.length * bytes, count).slice();
}

/** Every 4,001st bit pattern of float32: both signs, all exponents, infinities' neighbours and NaNs. */
const sweep = Float32Array.from(
  new Float32Array(Uint32Array.from({ length: Math.floor(2 ** 32 / 4001) }, (_, i) => i * 4001).buffer),
);
/** Numbers from `from` to `to`, evenly. */
const range = (from: number, to: number) =>
  Float32Array.from({ length: 400_001 }, (_, i) => from + ((to - from) * i) / 400_000);

/** Distance of a float32 from the exact result, in units in the last place of the exact result's float32. */
function ulps(found: number, exact: number): number {
  if (Number.isNaN(exact)) return Number.isNaN(found) ? 0 : Number.POSITIVE_INFINITY;
  const nearest = Math.fround(exact);
  if (Object.is(found, nearest)) return 0;
  if (!Number.isFinite(nearest) || !Number.isFinite(found)) {
    // Overflow may set in one unit early or late.
    const largest = (2 - 2 ** -23) * 2 ** 127;
    return Math.abs(found) >= largest && Math.abs(exact) >= largest * (1 - 2 ** -22)
      ? 1
      : Number.POSITIVE_INFINITY;
  }
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(exact))));
  return Math.abs(found - exact) / 2 ** (exponent - 23);
}

function worst(expression: s.Expression, inputs: Float32Array): { error: number; at: number } {
  const found = runWasm(expression, [inputs]);
  let result = { error: 0, at: 0 };
  for (let i = 0; i < inputs.length; i++) {
    const error = ulps(found[i]!, evaluateScalar(expression, [inputs[i]!]));
    if (error > result.error) result = { error, at: inputs[i]! };
  }
  return result;
}

const x = s.input(0);
const y = s.input(1);

describe('transcendentals in wasm', () => {
  // Of whole operations `accuracy.test.ts` tests the bounds; these are of their parts.
  it.each([
    ['exp', s.exp(x), 1.5, range(-104, 89)],
    ['log', s.log(x), 1.5, range(0.25, 4)],
    ['tanh', s.tanh(x), 2, range(-10, 10)],
    ['erf', s.erf(x), 8, range(-5, 5)],
  ] as const)('%s keeps its bound everywhere', (name, expression, bound, dense) => {
    for (const inputs of [sweep, dense]) {
      const { error, at } = worst(expression, inputs);
      expect(error, `${name}(${at})`).toBeLessThanOrEqual(bound);
    }
  });

  it.each([
    ['sin', s.sin(x), Math.sin],
    ['cos', s.cos(x), Math.cos],
  ] as const)('%s keeps its bound up to 8192', (_, expression, exact) => {
    for (const inputs of [range(-8192, 8192), range(-10, 10)]) {
      const found = runWasm(expression, [inputs]);
      for (let i = 0; i < inputs.length; i++) {
        const error = Math.abs(found[i]! - exact(inputs[i]!));
        if (error > 2e-7) expect.fail(`${inputs[i]}: ${found[i]} where ${exact(inputs[i]!)} is right`);
      }
    }
  });

  it.each([
    [
      'exp',
      s.exp(x),
      [
        [Infinity, Infinity],
        [-Infinity, 0],
        [NaN, NaN],
        [0, 1],
        [-0, 1],
        [1e30, Infinity],
        [-1e30, 0],
        [88, 1.6516363e38],
        [-103, 1.4e-45],
      ],
    ],
    [
      'log',
      s.log(x),
      [
        [Infinity, Infinity],
        [-Infinity, NaN],
        [NaN, NaN],
        [0, -Infinity],
        [-0, -Infinity],
        [1, 0],
        [-1, NaN],
        [-1e-45, NaN],
        [1e-45, -103.278931],
      ],
    ],
    [
      'tanh',
      s.tanh(x),
      [
        [Infinity, 1],
        [-Infinity, -1],
        [NaN, NaN],
        [0, 0],
        [-0, -0],
        [1e30, 1],
        [-1e30, -1],
      ],
    ],
  ] as const)('%s of special values', (_, expression, table) => {
    const found = runWasm(expression, [Float32Array.from(table, ([value]) => value)]);
    table.forEach(([, wanted], i) => {
      if (Math.abs(wanted) < Infinity && wanted !== 0)
        expect(found[i]! / Math.fround(wanted)).toBeCloseTo(1, 3);
      else expect(found[i]).toBe(wanted);
    });
  });
});

describe('exact operations in wasm', () => {
  const special = [0, -0, 1, -1, 0.5, -2.5, 3e38, -3e38, 1e-45, -1e-45, 1e-38, Infinity, -Infinity, NaN];
  const left = Float32Array.from(special.flatMap((a) => special.map(() => a)));
  const right = Float32Array.from(special.flatMap(() => special));

  it.each([
    ['neg', s.neg(x)],
    ['abs', s.abs(x)],
    ['sqrt', s.sqrt(x)],
    ['floor', s.floor(x)],
    ['add', s.add(x, y)],
    ['sub', s.sub(x, y)],
    ['mul', s.mul(x, y)],
    ['div', s.div(x, y)],
    ['max', s.max(x, y)],
    ['min', s.min(x, y)],
    ['lt', s.lt(x, y)],
    ['le', s.le(x, y)],
    ['gt', s.gt(x, y)],
    ['ge', s.ge(x, y)],
    ['eq', s.eq(x, y)],
    ['ne', s.ne(x, y)],
    ['select by a comparison', s.select(s.lt(x, y), x, y)],
    ['select by a number', s.select(x, y, s.neg(y))],
  ] as const)(
    '%s is the float64 result rounded once, for infinities, NaN, -0 and subnormals too',
    (_, expression) => {
      const found = runWasm(expression, [left, right]);
      found.forEach((value, i) => {
        const wanted = Math.fround(evaluateScalar(expression, [left[i]!, right[i]!]));
        expect(value, `of ${left[i]} and ${right[i]}`).toBe(wanted);
      });
    },
  );
});

describe('vectors and single elements', () => {
  const everything = s.add(
    s.mul(s.exp(s.neg(s.abs(x))), s.tanh(y)),
    s.select(
      s.gt(x, s.constant(0)),
      s.log(s.add(s.abs(x), s.constant(1))),
      s.div(x, s.add(s.abs(y), s.constant(2))),
    ),
  );
  const left = range(-30, 30).subarray(0, 4001);
  const right = Float32Array.from(left, (value, i) => value * Math.fround(Math.sin(i)));

  it('give the same bits, at every length of a tail', () => {
    for (const length of [1, 2, 3, 4, 5, 4001]) {
      const inputs = [left.slice(0, length), right.slice(0, length)];
      const vectors = Buffer.from(runWasm(everything, inputs).buffer);
      expect(vectors.equals(Buffer.from(runWasm(everything, inputs, 2).buffer)), `${length} elements`).toBe(
        true,
      );
    }
  });
});
