import { describe, expect, it } from 'vitest';
import { openRounder } from '../src/backends/wasm/rounding.ts';
import { openUpdater } from '../src/backends/wasm/updater.ts';
import { buildModel } from '../src/nn/model.ts';
import { addAlongTree } from '../src/ops/shard-tree.ts';
import { BLOCK, blocksOf, type RoundedNode } from '../src/optim/rounding.ts';
import { AVERAGE, RESIDUAL } from '../src/optim/updater.ts';
import { uniforms } from './support/cases.ts';
import { roundGradient, roundUpdate, scaleOf } from './support/rounded.ts';

/** Blocks that are whole and such that are not, odd lengths, statistics. */
const { parameters, parameterCount: floats } = buildModel({
  input: [61],
  classes: 10,
  layers: [
    { type: 'dense', units: 301 },
    { type: 'batchNorm' },
    { type: 'relu' },
    { type: 'dense', units: 10 },
  ],
});
const trained = parameters.filter(({ statistic }) => !statistic);
const node: RoundedNode = { step: 7, first: 4, count: 2 };
const precisions = ['bf16', 'int8'] as const;
/** Numbers of many magnitudes. */
const numbers = (seed: number, length = floats) => {
  const [values, powers] = [uniforms(length, seed), uniforms(length, seed + 1000)];
  return Float32Array.from(values, (value, i) => value * 2 ** Math.round(10 * powers[i]!));
};

it('cuts parameters into blocks', () => {
  const seen: [number, number][] = [];
  const list = [
    { offset: 0, size: 5 },
    { offset: 5, size: 4000 },
    { offset: 4005, size: 10, statistic: { rate: 0.1 } },
    { offset: 4015, size: 3000 },
  ];
  blocksOf(list)(0, 7015, (...range) => seen.push(range));
  expect(seen).toEqual([
    [0, 5],
    [5, 1024],
    [1024, 3072],
    [3072, 4005],
    [4015, 4096],
    [4096, 6144],
    [6144, 7015],
  ]);
  seen.length = 0;
  blocksOf(list)(2048, 4096, (...range) => seen.push(range));
  expect(seen).toEqual([
    [2048, 3072],
    [3072, 4005],
    [4015, 4096],
  ]);
});

describe.each(precisions)('%s gradients', (precision) => {
  const rounding = { precision, seed: 2 ** 40 + 3 };
  const rounded = (gradient: Float32Array, of = node, seed = rounding.seed) => {
    const copy = gradient.slice();
    openRounder(parameters, { precision, seed }).round(copy, 0, floats, of);
    return copy;
  };

  it('have the bits that the definition gives', () => {
    const gradient = numbers(1);
    gradient.fill(0, 5000, 5010);
    gradient[3] = -0;
    const copy = rounded(gradient);
    expect(copy).toEqual(roundGradient(parameters, gradient, rounding, node));
    // Parameter by parameter, as they become final.
    const rounder = openRounder(parameters, rounding);
    const shared = new Float32Array(new SharedArrayBuffer(4 * floats + 12), 12, floats);
    shared.set(gradient);
    for (const { offset, size } of [...parameters].reverse())
      rounder.round(shared, offset, offset + size, node);
    expect(shared.slice()).toEqual(copy);
    expect(rounded(copy)).not.toEqual(gradient);
    for (const other of [
      { ...node, step: 8 },
      { ...node, first: 6 },
      { ...node, count: 1 },
    ])
      expect(rounded(gradient, other)).not.toEqual(copy);
    expect(rounded(gradient, node, 3)).not.toEqual(copy);
  });

  it('are right on average, and err within a step', () => {
    const gradient = Float32Array.from(uniforms(floats, 5));
    const sums = new Float64Array(floats);
    const times = 400;
    const scales = new Float64Array(floats);
    blocksOf(parameters)(0, floats, (start, end) => {
      for (let at = start; at < end; at += BLOCK)
        scales.fill(
          scaleOf([...gradient.subarray(at, Math.min(end, at + BLOCK))]),
          at,
          Math.min(end, at + BLOCK),
        );
    });
    const stepOf = (i: number) =>
      precision === 'int8' ? scales[i]! : 2 ** (Math.floor(Math.log2(Math.abs(gradient[i]!))) - 7);
    for (let step = 0; step < times; step++)
      for (const [i, value] of rounded(gradient, { ...node, step }).entries()) {
        sums[i]! += value - gradient[i]!;
        if (Math.abs(value - gradient[i]!) > stepOf(i)) throw new Error(`${value} for ${gradient[i]}`);
      }
    let mean = 0;
    for (const { offset, size } of trained)
      for (let i = offset; i < offset + size; i++) {
        const off = sums[i]! / times / stepOf(i);
        // Five standard deviations of a mean of so many, where one number has at most 1/2.
        if (Math.abs(off) > 5 / 2 / Math.sqrt(times)) throw new Error(`number ${i} is off by ${off} steps`);
        mean += off / floats;
      }
    expect(Math.abs(mean)).toBeLessThan(5 / 2 / Math.sqrt(times * floats));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('keep %d', (bad) => {
    const gradient = numbers(3);
    for (const place of [0, 1500, floats - 700]) gradient[place] = bad;
    const copy = rounded(gradient);
    expect(copy).toEqual(roundGradient(parameters, gradient, rounding, node));
    for (const place of [0, 1500]) expect(Number.isFinite(copy[place])).toBe(false);
    expect(copy.subarray(2048, 4096).every(Number.isFinite)).toBe(true);
  });

  it('leave the largest and the least numbers what they are', () => {
    for (const value of [2 ** 126, -127 * 2 ** 20, 2 ** -126, 2 ** -120]) {
      const gradient = new Float32Array(floats).fill(value);
      expect(rounded(gradient)).toEqual(gradient);
    }
  });

  it.each([[], [2, 1, 1, 4]])(
    'are rounded wherever two are added, in groups of [%s] too',
    async (...counts: number[]) => {
      const parts = Array.from({ length: 8 }, (_, shard) =>
        rounded(numbers(50 + shard), { step: 7, first: shard, count: 1 }),
      );
      const sumOf = (first: number, count: number): Float32Array => {
        const leaves = parts
          .slice(first, first + count)
          .map((sum, i) => ({ step: 7, first: first + i, count: 1, sum }));
        return addAlongTree<RoundedNode & { sum: Float32Array }>(leaves, (left, right) => {
          const group = { step: 7, first: left.first, count: left.count + right.count };
          const sum = left.sum.map((value, i) => value + right.sum[i]!);
          return { ...group, sum: roundGradient(parameters, sum, rounding, group) };
        }).sum;
      };
      const updater = await openUpdater(parameters, { type: 'sgd' }, { rounding });
      let first = 0;
      const groups = [...counts].flatMap((count) => {
        first += count;
        return counts.length > 0 ? [sumOf(first - count, count)] : [];
      });
      const options = { step: 7, ...(counts.length > 0 && { counts }) };
      for (const start of [0, 2048, 4 * BLOCK]) {
        const end = start === 4 * BLOCK ? floats : start + 2048;
        expect(
          updater.sum(
            (counts.length > 0 ? groups : parts).map((part) => part.subarray(start, end)),
            start,
            options,
          ),
        ).toBe(true);
      }
      expect(updater.gradient).toEqual(sumOf(0, 8));
      expect(() =>
        updater.sum(
          parts.map((part) => part.subarray(3)),
          3,
          options,
        ),
      ).toThrow('multiples of 1024');
    },
  );

  it('have the bits of where they are in the model, wherever they are added', async () => {
    const whole = await openUpdater(parameters, { type: 'sgd' }, { rounding });
    const parts = [
      rounded(numbers(60), { step: 1, first: 0, count: 1 }),
      rounded(numbers(61), { step: 1, first: 1, count: 1 }),
    ];
    whole.sum(parts, 0, { step: 1 });
    const [start, end] = [2 * BLOCK, 4 * BLOCK];
    const spec = { ...parameters[0]!, offset: 0, size: end - start };
    const part = await openUpdater([spec], { type: 'sgd' }, { rounding });
    part.sum(
      parts.map((one) => one.subarray(start, end)),
      0,
      { step: 1, origin: start },
    );
    expect(part.gradient).toEqual(whole.gradient.subarray(start, end));
  });
});

describe.each(precisions)('%s updates', (precision) => {
  const rounding = { precision, seed: 1 };

  it('add what was lost to the next', async () => {
    const plain = await openUpdater(parameters, { type: 'sgd' }, { average: 0.5 });
    const updater = await openUpdater(parameters, { type: 'sgd' }, { rounding, average: 0.5 });
    expect([...updater.state.keys()]).toEqual([AVERAGE, RESIDUAL]);
    updater.parameters.set(uniforms(floats, 8));
    updater.state.get(AVERAGE)!.set(updater.parameters);
    const residual = new Float32Array(floats);
    for (let step = 0; step < 4; step++) {
      const before = updater.parameters.slice();
      const gradient = numbers(20 + step);
      for (const one of [plain, updater]) {
        one.gradient.set(gradient);
        one.parameters.set(before);
        one.state.get(AVERAGE)!.set(updater.state.get(AVERAGE)!);
      }
      plain.apply(step, 0.01, { factor: 0.5 });
      const wanted = plain.parameters.map((value, i) => Math.fround(value - before[i]!) + residual[i]!);
      for (const { offset, size, statistic } of parameters)
        if (statistic) wanted.fill(0, offset, offset + size);
      const change = roundUpdate(parameters, wanted, precision);
      for (let i = 0; i < floats; i++) residual[i] = wanted[i]! - change[i]!;
      const averages = updater.state.get(AVERAGE)!.slice();
      updater.apply(step, 0.01, { factor: 0.5, start: 2048 });
      updater.apply(step, 0.01, { factor: 0.5, end: 2048 });
      const isTrained = (i: number) => i < trained.at(-1)!.offset + trained.at(-1)!.size;
      const expected = before.map((value, i) => (isTrained(i) ? value + change[i]! : plain.parameters[i]!));
      expect(updater.parameters).toEqual(expected);
      expect(updater.changes).toEqual(change.map((value, i) => (isTrained(i) ? value : expected[i]!)));
      expect(updater.state.get(RESIDUAL)).toEqual(residual);
      const rate = Math.fround(1 - Math.min(0.5, (1 + step) / (10 + step)));
      expect(updater.state.get(AVERAGE)).toEqual(
        averages.map((value, i) => value + Math.fround(rate * Math.fround(expected[i]! - value))),
      );
    }
  });

  it('come to what they would be without rounding', async () => {
    const updater = await openUpdater(parameters, { type: 'sgd' }, { rounding });
    const gradient = numbers(9);
    for (let step = 0; step < 300; step++) {
      updater.gradient.set(gradient);
      updater.apply(step, 2 ** -10);
    }
    for (const [i, value] of gradient.entries()) {
      const { statistic } = parameters.find(({ offset, size }) => i >= offset && i < offset + size)!;
      if (!statistic)
        expect(
          Math.abs(updater.parameters[i]! + updater.state.get(RESIDUAL)![i]! + 300 * 2 ** -10 * value),
        ).toBeLessThan(0.01);
    }
  });
});

it('refuses updates that begin within a block', async () => {
  const updater = await openUpdater(
    parameters,
    { type: 'sgd' },
    { rounding: { precision: 'int8', seed: 1 } },
  );
  expect(() => updater.apply(0, 1, { start: 5 })).toThrow('a multiple of 1024');
});
