/**
 * How far sums and products are from the exact ones, over their length and what is summed, on every backend that runs here. The bound
 * is in units of the last place of float32, of the sum of the terms' magnitudes, and grows with the logarithm of the length.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { compileGpuProgram } from '../src/backends/webgpu/program.ts';
import type { Node } from '../src/graph.ts';
import { batchNorm, layerNormalization, moments } from '../src/nn/norm.ts';
import { conv2dWeightGradientOp } from '../src/ops/conv2d.ts';
import { scatterAdd } from '../src/ops/gather.ts';
import { constant, input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { apply } from '../src/ops/op.ts';
import { add, mul, neg } from '../src/ops/pointwise.ts';
import { mean, sum } from '../src/ops/reduce.ts';
import { onDevice, openDevice } from './support/gpu.ts';
import { runWasm } from './support/run-wasm.ts';

type Feeds = Record<string, Float32Array | Int32Array>;

const device = await openDevice();
afterAll(() => device?.destroy());

async function runGpu([output]: readonly Node[], feeds: Feeds): Promise<Float32Array[]> {
  const program = await compileGpuProgram(device!, [output!]);
  for (const [name, values] of Object.entries(feeds)) program.write(name, values as Float32Array);
  const found = (await program.run()).map((values) => Float32Array.from(values));
  program.destroy();
  return found;
}

/** Terms of a sum, by place. */
const distributions: Readonly<Record<string, (uniform: number, index: number) => number>> = {
  ones: () => 1,
  tenths: () => 0.1,
  'one binade': (u) => 1 + u,
  relu: (u) => Math.max(0, 2 * u - 1),
  'around 1e4': (u) => 1e4 + u,
  alternating: (u, i) => (i % 2 === 0 ? 1 : -1) * (1 + u),
};

function draw(name: string, count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, (_, index) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return distributions[name]!((state >>> 0) / 2 ** 32, index);
  });
}

interface Long {
  readonly output: Node;
  readonly feeds: Feeds;
  /** Term i of the first element of the output. */
  readonly term: (i: number) => number;
}

/** Every operation that sums: its output, and what the first element of it is the sum of. */
const sums: Readonly<Record<string, { run: number; make: (n: number, name: string) => Long }>> = {
  'sum of all': {
    run: 32,
    make: (n, name) => {
      const x = draw(name, n, 1);
      return { output: sum(input('x', [n])), feeds: { x }, term: (i) => x[i]! };
    },
  },
  'sums of rows': {
    run: 32,
    make: (n, name) => {
      const x = draw(name, 5 * n, 2);
      return { output: sum(input('x', [5, n]), [1]), feeds: { x }, term: (i) => x[i]! };
    },
  },
  'sums of columns': {
    run: 32,
    make: (n, name) => {
      const x = draw(name, 5 * n, 3);
      return { output: sum(input('x', [n, 5]), [0]), feeds: { x }, term: (i) => x[5 * i]! };
    },
  },
  'rows of one index': {
    run: 128,
    make: (n, name) => {
      const x = draw(name, n, 4);
      const index = new Int32Array(n);
      const output = scatterAdd(input('x', [n, 1]), input('index', [n], 'i32'), 2);
      return { output, feeds: { x, index }, term: (i) => x[i]! };
    },
  },
  product: {
    run: 256,
    make: (n, name) => {
      const [a, b] = [draw(name, n, 5), draw(name, n, 6)];
      const output = matmul(input('a', [1, n]), input('b', [n, 1]));
      return { output, feeds: { a, b }, term: (i) => a[i]! * b[i]! };
    },
  },
  'product of some rows and columns': {
    run: 256,
    make: (n, name) => {
      const [a, b] = [draw(name, 3 * n, 7), draw(name, 2 * n, 8)];
      const output = matmul(input('a', [n, 3]), input('b', [n, 2]), true);
      return { output, feeds: { a, b }, term: (i) => a[3 * i]! * b[2 * i]! };
    },
  },
  "a window's gradient": {
    run: 256,
    make: (n, name) => {
      const [x, g] = [draw(name, n, 9), draw(name, n, 10)];
      const rows = n % 10 === 0 ? n / 10 : n;
      const shape = [1, rows, n / rows, 1];
      const output = windowGradient(input('x', shape), input('g', shape), [1, 1], 1);
      return { output, feeds: { x, g }, term: (i) => x[i]! * g[i]! };
    },
  },
  'that of each channel for itself': {
    run: 256,
    make: (n, name) => {
      const [x, g] = [draw(name, 2 * n, 11), draw(name, 2 * n, 12)];
      const shape = [n, 1, 1, 2];
      const output = windowGradient(input('x', shape), input('g', shape), [1, 1], 2);
      return { output, feeds: { x, g }, term: (i) => x[2 * i]! * g[2 * i]! };
    },
  },
};

function windowGradient(x: Node, g: Node, window: readonly number[], groups: number): Node {
  const geometry = { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups, window };
  return apply(conv2dWeightGradientOp, [x, g], geometry);
}

/** The error that the order of a sum allows at most: that of its longest run, and one for each level of runs or of the tree. */
const worst = (n: number, run: number) => Math.min(n, run) + 4 + 31 * Math.max(1, Math.log2(n / run) / 5);
/** What was found is less: most, of equal numbers, whose roundings all go the same way within a run; of others 2 + log2(n). */
const found = (n: number, name: string) => (name === 'tenths' ? 10 : 2) + Math.log2(n);

function errorOf(value: number, n: number, term: (i: number) => number): number {
  let [exact, size] = [0, 0];
  for (let i = 0; i < n; i++) {
    exact += term(i);
    size += Math.abs(term(i));
  }
  return value === exact ? 0 : Math.abs(value - exact) / (size * 2 ** -24);
}

const cases = (lengths: readonly number[]) =>
  Object.entries(sums).flatMap(([what, { run, make }]) =>
    Object.keys(distributions).flatMap((name) =>
      lengths
        .filter((n) => n < 1_000_000 || name === 'relu' || name === 'tenths')
        .map((n) => ({ what, run, make, name, n })),
    ),
  );

describe('sums and products lose few digits on wasm', { timeout: 60_000 }, () => {
  it.each(cases([1, 3, 100, 1000, 30_000, 1_000_000]))(
    '$what: $n of $name',
    async ({ run, make, name, n }) => {
      const { output, feeds, term } = make(n, name);
      const [values] = await runWasm([output], feeds);
      const error = errorOf(values![0]!, n, term);
      expect(error).toBeLessThan(worst(n, run));
      expect(error, 'units of the last place').toBeLessThan(found(n, name));
    },
  );

  it('nor do a sum and a product of 1e7', async () => {
    for (const what of ['sum of all', 'product'] as const) {
      const { output, feeds, term } = sums[what]!.make(1e7, 'relu');
      const [values] = await runWasm([output], feeds);
      expect(errorOf(values![0]!, 1e7, term), what).toBeLessThan(found(1e7, 'relu'));
    }
  });
});

describe('sums and products lose few digits on WebGPU', { ...onDevice(device), timeout: 60_000 }, () => {
  it.each(cases([1000, 100_000]).filter(({ name }) => name !== 'ones'))(
    '$what: $n of $name',
    async ({ make, name, n }) => {
      const { output, feeds, term } = make(n, name);
      const [values] = await runGpu([output], feeds);
      expect(errorOf(values![0]!, n, term)).toBeLessThan(4 * found(n, name));
    },
  );
});

describe('normalisation', { timeout: 60_000 }, () => {
  const scaleAndShift = [input('scale', [1]), input('shift', [1])] as const;

  /** Columns [rows, 1], normalised over the batch. */
  async function overBatch(x: Float32Array, run = runWasm): Promise<Float32Array[]> {
    const statistics: Node[] = [];
    const leaves = [...scaleAndShift, constant(0), constant(1)];
    const output = batchNorm.forward(input('x', [x.length, 1]), {
      options: { epsilon: 1e-5, momentum: 0.1 },
      parameters: leaves,
      inputs: [],
      index: 0,
      random: { sampleIds: input('ids', [x.length], 'i32'), key: input('key', [4], 'i32') },
      report: (_, value) => statistics.push(value),
    });
    return run([output, ...statistics], { x, scale: Float32Array.of(1), shift: Float32Array.of(0) });
  }

  it.each([10000.123, 1_764_331_200, 0.1, 1e-20, -3e8, 1e20])('makes 0 of a column of %d', async (value) => {
    for (const rows of [2, 7, 49, 1000, 30_011]) {
      const x = new Float32Array(rows).fill(value);
      const [output, average, variance] = await overBatch(x);
      expect([...new Set(output!.map(Math.abs))], `${rows} rows`).toEqual([0]);
      expect(average![0], `${rows} rows`).toBe(Math.fround(value));
      expect(variance![0], `${rows} rows`).toBe(0);
      const row = layerNormalization(input('x', [1, rows]), ...scaleAndShift, 1e-5);
      const [normalised] = await runWasm([row], {
        x,
        scale: Float32Array.of(1),
        shift: Float32Array.of(0),
      });
      expect([...new Set(normalised!.map(Math.abs))], `${rows} in a row`).toEqual([0]);
    }
  });

  it.each(['relu', 'around 1e4', 'one binade'])('keeps its digits over a million of %s', async (name) => {
    const x = draw(name, 1_000_000, 20);
    const average = x.reduce((total, value) => total + value, 0) / x.length;
    const variance = x.reduce((total, value) => total + (value - average) ** 2, 0) / x.length;
    const [output] = await overBatch(x);
    const off = output!.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - (x[i]! - average) / Math.sqrt(variance + 1e-5))),
      0,
    );
    expect(off).toBeLessThan(3e-6);
  });

  it('has the gradients of the plain formulas', async () => {
    const x = input('x', [4, 6]);
    const g = input('g', [4, 6]);
    const { away, variance, mean: average } = moments(x, [0]);
    const plain = (() => {
      const center = mean(x, [0], true);
      const from = mul(constant(1), add(x, neg(center)));
      return sum(mul(g, mul(from, mean(mul(from, from), [0], true))));
    })();
    const ours = sum(mul(g, mul(away, variance)));
    const feeds = { x: draw('one binade', 24, 30), g: draw('alternating', 24, 31) };
    const [wanted, found] = await runWasm([gradients(plain, [x])[0]!, gradients(ours, [x])[0]!], feeds);
    expect(average.shape).toEqual([1, 6]);
    for (const [i, value] of found!.entries()) expect(value).toBeCloseTo(wanted![i]!, 5);
  });
});

describe('sums and norms of which other projects were told', { timeout: 60_000 }, () => {
  it.each([
    ['tensorflow/tensorflow#6039', 250 * 250, 1.23456],
    ['pytorch/pytorch#19164', 5 * 68 * 64 * 64, 0.1],
    ['tensorflow/tensorflow#3775', 4500 * 4500, -1],
  ])('%s: %d times %d', async (_, count, value) => {
    const x = new Float32Array(count).fill(value);
    const leaf = input('x', [count]);
    const [total, average] = await runWasm([sum(leaf), mean(leaf)], { x });
    const exact = count * Math.fround(value);
    expect(Math.abs(total![0]! / exact - 1)).toBeLessThan(5e-7);
    expect(Math.abs(average![0]! / Math.fround(value) - 1)).toBeLessThan(5e-7);
  });

  const layerNorm = async (x: Float32Array) => {
    const leaves = [input('scale', [1]), input('shift', [1])] as const;
    const output = layerNormalization(input('x', [1, x.length]), ...leaves, 1e-5);
    const [found] = await runWasm([output], { x, scale: Float32Array.of(1), shift: Float32Array.of(0) });
    return found!;
  };

  it.each([40_000, 80_000, 8_000_000])('microsoft/onnxruntime#28463: four steps from %d on', async (from) => {
    const found = await layerNorm(Float32Array.of(from, from + 1, from + 2, from + 3));
    for (const [i, value] of found.entries())
      expect(value).toBeCloseTo((i - 1.5) / Math.sqrt(1.25 + 1e-5), 5);
  });

  it('microsoft/onnxruntime#21935: 256 times 1234 is 0', async () => {
    expect([...new Set(await layerNorm(new Float32Array(256).fill(1234)))]).toEqual([0]);
  });
});
