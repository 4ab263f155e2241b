import { describe, expect, it } from 'vitest';
import { AVERAGE, openUpdater } from '../src/backends/wasm/updater.ts';
import { buildModel } from '../src/nn/model.ts';
import { type OptimizerOptions, optimizerFor } from '../src/optim/optimizers.ts';
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
    const updater = await openUpdater(specs, { type: 'adamw', weightDecay: 0.5 }, { buffers: 1 });
    updater.parameters.fill(2);
    updater.gradient.fill(4);
    expect(updater.norms().global).toBeCloseTo(4 * Math.sqrt(trainedCount), 5);
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
    'finds %d wherever it stands',
    async (bad) => {
      const updater = await openUpdater(specs, { type: 'sgd' }, { buffers: 1 });
      expect(specs.at(-1)!.offset + specs.at(-1)!.size).toBe(20);
      updater.gradient.fill(3e38);
      expect(updater.isFinite()).toBe(true);
      for (let place = 0; place < 20; place++) {
        updater.gradient[place] = bad;
        expect(updater.isFinite()).toBe(false);
        updater.gradient[place] = -3e38;
      }
      expect(updater.isFinite()).toBe(true);
    },
  );

  it.each(optimizers)('applies $type as its expressions say', async (options) => {
    const updater = await openUpdater(specs, options, { buffers: 1 });
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
    const updater = await openUpdater(mixed, { type: 'adam' }, { buffers: 1, average: 0.5 });
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
    const plain = await openUpdater(mixed, { type: 'adam' }, { buffers: 1 });
    plain.parameters.set(uniforms(plain.parameters.length, 5));
    for (const step of [0, 1, 2]) {
      plain.gradient.set(uniforms(plain.gradient.length, 6 + step));
      plain.apply(step, 0.01);
    }
    expect(updater.parameters).toEqual(plain.parameters);
  });

  it('adds slots from left to right, in the order given, and scales once', async () => {
    const updater = await openUpdater(specs, { type: 'sgd' }, { buffers: 11 });
    for (const [slot, buffer] of updater.slots.entries())
      buffer.set(uniforms(20, 10 + slot).map((u) => (u - 0.5) * 10 ** slot));
    for (const order of [[0], [2, 0, 1], [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]]) {
      updater.reduce(order, Math.fround(1 / 3));
      const wanted = Float32Array.from({ length: 20 }, (_, i) =>
        Math.fround(
          order.map((slot) => updater.slots[slot]![i]!).reduce((a, b) => Math.fround(a + b)) *
            Math.fround(1 / 3),
        ),
      );
      expect(updater.gradient).toEqual(wanted);
    }
    expect(() => updater.reduce([11], 1)).toThrow(RangeError);
  });

  it('clips to the global norm and leaves a small gradient alone', async () => {
    const updater = await openUpdater(specs, { type: 'sgd' }, { buffers: 1 });
    updater.gradient.fill(2);
    updater.clip(1);
    expect(updater.norms().global).toBeCloseTo(1, 6);
    const before = updater.gradient.slice();
    updater.clip(5);
    expect(updater.gradient).toEqual(before);
  });
});
