import { describe, expect, it } from 'vitest';
import { openUpdater } from '../src/backends/wasm/updater.ts';
import { buildModel } from '../src/nn/model.ts';
import { type OptimizerOptions, optimizerFor } from '../src/optim/optimizers.ts';
import { AVERAGE, noSquares } from '../src/optim/updater.ts';
import { compileScalar } from '../src/scalar/evaluate.ts';
import { uniforms } from './support/cases.ts';

describe('updater', () => {
  it('moves statistics their part of the way, whatever the optimizer does, and leaves them out of norms', async () => {
    const { parameters: specs, trainedCount } = buildModel({
      input: [4],
      classes: 2,
      layers: [
        { type: 'batchNorm', momentum: 0.25 },
        { type: 'dense', units: 2 },
      ],
    });
    expect(trainedCount).toBe(4 + 4 + 8 + 2);
    expect(specs.slice(-2).map(({ name }) => name)).toEqual([
      'batchNorm1.runningMean',
      'batchNorm1.runningVariance',
    ]);
    const updater = await openUpdater(specs, { type: 'adamw', weightDecay: 0.5 });
    updater.parameters.fill(2);
    updater.gradient.fill(4);
    expect(updater.norm()).toBeCloseTo(4 * Math.sqrt(trainedCount), 5);
    updater.clip(1);
    updater.apply(0, 0.01);
    expect([...updater.parameters.subarray(trainedCount)]).toEqual(new Array(8).fill(2.5));
    expect(updater.parameters[0]).toBeLessThan(2);
  });

  const optimizers: OptimizerOptions[] = [
    { type: 'sgd' },
    { type: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.01 },
    { type: 'adam', weightDecay: 0.01 },
    { type: 'adamw', weightDecay: 0.1 },
  ];
  const specs = buildModel({ input: [3], classes: 5, layers: [{ type: 'dense', units: 5 }] }).parameters;

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'finds %d in a sum wherever it stands',
    async (bad) => {
      const updater = await openUpdater(specs, { type: 'sgd' });
      expect(specs.at(-1)!.offset + specs.at(-1)!.size).toBe(20);
      const part = new Float32Array(20).fill(3e38);
      expect(updater.sum([part], 0)).toBe(true);
      for (let place = 0; place < 20; place++) {
        part[place] = bad;
        expect(updater.sum([part], 0)).toBe(false);
        part[place] = -3e38;
      }
      expect(updater.sum([part], 0)).toBe(true);
      // Sums overflow as well.
      expect(updater.sum([part, part], 0)).toBe(false);
    },
  );

  it.each(optimizers)('applies $type as its expressions say', async (options) => {
    const updater = await openUpdater(specs, options);
    const optimizer = optimizerFor(options);
    updater.parameters.set(uniforms(20, 5));
    updater.gradient.set(uniforms(20, 6));
    const scalars = optimizer.scalars(3, 0.01);
    const wanted = Array.from(updater.parameters, (p, i) =>
      compileScalar(optimizer.update.parameter, scalars)([p, updater.gradient[i]!, 0, 0]),
    );
    updater.apply(3, 0.01);
    for (const [i, value] of wanted.entries()) expect(updater.parameters[i]).toBeCloseTo(value, 5);
  });

  it('keeps averages of all that it updates, statistics too', async () => {
    const { parameters: mixed } = buildModel({
      input: [4],
      classes: 2,
      layers: [{ type: 'batchNorm' }, { type: 'dense', units: 2 }],
    });
    const updater = await openUpdater(mixed, { type: 'adam' }, { average: 0.5 });
    expect([...updater.state.keys()]).toEqual(['mean', 'square', AVERAGE]);
    const averages = updater.state.get(AVERAGE)!;
    updater.parameters.set(uniforms(updater.parameters.length, 5));
    averages.set(updater.parameters);
    const wanted = Float32Array.from(averages);
    for (const [step, decay] of [0.1, 2 / 11, 0.25].entries()) {
      updater.gradient.set(uniforms(updater.gradient.length, 6 + step));
      updater.apply(step, 0.01);
      const rate = Math.fround(1 - decay);
      for (const [i, average] of wanted.entries())
        wanted[i] = average + Math.fround(rate * Math.fround(updater.parameters[i]! - average));
    }
    expect(averages).toEqual(wanted);
    // And leave what is trained alone.
    const plain = await openUpdater(mixed, { type: 'adam' });
    plain.parameters.set(uniforms(plain.parameters.length, 5));
    for (const step of [0, 1, 2]) {
      plain.gradient.set(uniforms(plain.gradient.length, 6 + step));
      plain.apply(step, 0.01);
    }
    expect(updater.parameters).toEqual(plain.parameters);
  });

  it('adds shards along their tree, whichever groups of them have been added before, wherever they belong', async () => {
    const { parameters: wide } = buildModel({
      input: [300],
      classes: 150,
      layers: [{ type: 'dense', units: 150 }],
    });
    const updater = await openUpdater(wide, { type: 'sgd' });
    const floats = updater.gradient.length;
    const all = Array.from({ length: 37 }, (_, index) =>
      Float32Array.from(uniforms(floats, 10 + index), (u) => (u - 0.5) * 10 ** (index % 11)),
    );
    // The definition, again: halves at the largest power of two.
    const sumOf = (first: number, end: number): Float32Array => {
      if (end === first + 1) return all[first]!;
      const half = first + 2 ** Math.floor(Math.log2(end - first - 1));
      const [left, right] = [sumOf(first, half), sumOf(half, end)];
      return left.map((value, i) => Math.fround(value + right[i]!));
    };
    for (const groups of [
      [1],
      [1, 1],
      [1, 1, 1],
      [2, 1, 1],
      [4, 2, 1],
      [2, 2, 4, 3],
      [...new Array(8).fill(1), 4, 1, 1, 1],
      [16, 1, 1, 2, 4, ...new Array(8).fill(1), 1, 1, 2, 1],
      new Array(11).fill(1),
      new Array(37).fill(1),
    ]) {
      const shards = groups.reduce((sum, count) => sum + count, 0);
      const ends = groups.map((_, index) =>
        groups.slice(0, index + 1).reduce((sum, count) => sum + count, 0),
      );
      const parts = groups.map((count, index) => sumOf(ends[index]! - count, ends[index]!));
      for (const cuts of [
        [0, floats],
        [0, 17, 40_003, floats],
      ]) {
        updater.gradient.fill(0);
        for (const [index, start] of cuts.slice(0, -1).entries())
          updater.sum(
            parts.map((part) => part.subarray(start, cuts[index + 1])),
            start,
            groups && { counts: groups },
          );
        expect(updater.gradient).toEqual(sumOf(0, shards));
      }
    }
    expect(updater.sum([all[0]!, all[1]!], 0)).toBe(true);
    expect(updater.gradient).toEqual(sumOf(0, 2));
    updater.gradient.set(all[0]!);
    updater.scale(Math.fround(1 / 3), 5, 40_001);
    const third = (value: number, index: number) =>
      index >= 5 && index < 40_001 ? value * Math.fround(1 / 3) : value;
    expect(updater.gradient).toEqual(all[0]!.map(third));
    expect(() => updater.sum([], 0)).toThrow(RangeError);
    expect(() => updater.sum([new Float32Array(2), new Float32Array(3)], 0)).toThrow(RangeError);
    expect(() => updater.sum([new Float32Array(2)], floats - 1)).toThrow(RangeError);
  });

  it('updates part after part as it updates all at once', async () => {
    const { parameters: mixed } = buildModel({
      input: [40],
      classes: 2,
      layers: [{ type: 'batchNorm' }, { type: 'dense', units: 30 }, { type: 'dense', units: 2 }],
    });
    const options = { type: 'adamw', weightDecay: 0.1, decayBiasAndNorm: false } as const;
    const [whole, parts] = await Promise.all([0, 1].map(() => openUpdater(mixed, options, { average: 0.9 })));
    const floats = whole!.parameters.length;
    for (const updater of [whole!, parts!]) updater.parameters.set(uniforms(floats, 1));
    for (const step of [0, 1, 2]) {
      for (const updater of [whole!, parts!]) updater.gradient.set(uniforms(floats, 2 + step));
      whole!.apply(step, 0.01);
      for (let start = 0; start < floats; start += 100)
        parts!.apply(step, 0.01, { start, end: Math.min(start + 100, floats) });
    }
    expect(parts!.parameters).toEqual(whole!.parameters);
    expect(parts!.state).toEqual(whole!.state);
  });

  it.each([undefined, 0.9])('scales and updates in one pass as in two (averages %s)', async (average) => {
    const { parameters: mixed } = buildModel({
      input: [40],
      classes: 2,
      layers: [{ type: 'batchNorm' }, { type: 'dense', units: 2 }],
    });
    const [once, twice] = await Promise.all(
      [0, 1].map(() => openUpdater(mixed, { type: 'adam' }, { average })),
    );
    const floats = once!.parameters.length;
    const factor = Math.fround(1 / 3);
    for (const step of [0, 1, 2]) {
      for (const updater of [once!, twice!]) updater.gradient.set(uniforms(floats, 2 + step));
      once!.apply(step, 0.01, { factor });
      twice!.scale(factor);
      twice!.apply(step, 0.01);
      expect(once!.gradient).toEqual(twice!.gradient);
    }
    expect(once!.parameters).toEqual(twice!.parameters);
    expect(once!.state).toEqual(twice!.state);
  });

  it.each([1e-30, 1, 1e15])('adds up what an update did, gradients around %d', async (size) => {
    const { parameters: mixed, parameterCount: floats } = buildModel({
      input: [211],
      classes: 3,
      layers: [{ type: 'dense', units: 103 }, { type: 'batchNorm' }, { type: 'dense', units: 3 }],
    });
    const options = { type: 'adam', weightDecay: 0.1, decayBiasAndNorm: false } as const;
    const [seen, unseen] = await Promise.all([0, 1].map(() => openUpdater(mixed, options)));
    for (const updater of [seen!, unseen!]) {
      updater.parameters.set(uniforms(floats, 1));
      updater.gradient.set(uniforms(floats, 2).map((u) => (u - 0.5) * size));
    }
    const before = seen!.parameters.slice();
    const squares = noSquares(mixed.length);
    // Neither at borders of parameters nor of what is copied at a time.
    for (const [start, end] of [
      [0, 17_001],
      [17_001, floats],
    ] as const) {
      seen!.apply(0, 0.01, { start, end, squares });
      unseen!.apply(0, 0.01, { start, end });
    }
    expect(seen!.parameters).toEqual(unseen!.parameters);
    const { gradient, parameters: after } = seen!;
    for (const [index, { offset, size, statistic }] of mixed.entries()) {
      const wanted = { gradient: 0, parameter: 0, change: 0 };
      for (let i = offset; !statistic && i < offset + size; i++) {
        wanted.gradient += gradient[i]! ** 2;
        wanted.parameter += after[i]! ** 2;
        wanted.change += Math.fround(after[i]! - before[i]!) ** 2;
      }
      for (const key of ['gradient', 'parameter', 'change'] as const)
        expect(Math.abs(squares[key][index]! - wanted[key])).toBeLessThanOrEqual(1e-12 * wanted[key]);
    }
  });

  it('clips to the global norm and leaves a small gradient alone', async () => {
    const updater = await openUpdater(specs, { type: 'sgd' });
    updater.gradient.fill(2);
    updater.clip(1);
    expect(updater.norm()).toBeCloseTo(1, 6);
    const before = updater.gradient.slice();
    updater.clip(5);
    expect(updater.gradient).toEqual(before);
  });
});
