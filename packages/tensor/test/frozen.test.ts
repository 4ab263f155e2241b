import { describe, expect, it } from 'vitest';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import { openUpdater } from '../src/backends/wasm/updater.ts';
import { adoptWeights, describeAdopted } from '../src/io/adopt.ts';
import { describePreset } from '../src/models/presets.ts';
import { buildModel, initializeParameters, type ModelDescription } from '../src/nn/model.ts';
import { directions } from './support/cases.ts';

const description: ModelDescription = {
  input: [4],
  classes: 3,
  layers: [
    { type: 'dense', units: 6, name: 'body-0' },
    { type: 'batchNorm', name: 'body-1' },
    { type: 'relu' },
    { type: 'dense', units: 6, name: 'bodyguard' },
    { type: 'dense', units: 3, name: 'head' },
  ],
};

describe('frozen layers', () => {
  it('are those whose names are given, or begin so up to a dash', () => {
    const frozen = (names: string[]) =>
      buildModel({ ...description, frozen: names })
        .parameters.filter((parameter) => parameter.frozen)
        .map(({ name }) => name);
    expect(frozen(['body'])).toEqual(['body-0.weight', 'body-0.bias', 'body-1.scale', 'body-1.shift']);
    expect(frozen(['head'])).toEqual(['head.weight', 'head.bias']);
    expect(() => frozen(['bod'])).toThrow(/frozen: no layer 'bod' with parameters; did you mean 'body-/);
    expect(() => frozen(['relu1'])).toThrow(/no layer 'relu1' with parameters/);
    expect(() => frozen(['body', 'bodyguard', 'head'])).toThrow(/nothing to train/);
  });

  it('keep their weights to the bit while others learn; their statistics follow the data', async () => {
    const model = buildModel({ ...description, frozen: ['body'] });
    const session = await openWasmSession(model, [{ mode: 'train', samples: 5 }]);
    const step = session.program({ mode: 'train', samples: 5 });
    const updater = await openUpdater(model.parameters, { type: 'adamw', weightDecay: 0.1 });
    const start = initializeParameters(model, 1);
    updater.parameters.set(start);
    step.x.set(directions(20, 1));
    step.labels.set([0, 1, 2, 1, 0]);
    const losses = Array.from({ length: 20 }, (_, i) => {
      session.parameters.set(updater.parameters);
      step.run();
      updater.sum([session.gradients], 0);
      updater.scale(1 / 5);
      updater.apply(i, 0.05);
      return step.lossSum[0]!;
    });
    expect(losses.at(-1)!).toBeLessThan(0.8 * losses[0]!);
    for (const { name, offset, size, frozen } of model.parameters) {
      const [now, before] = [updater.parameters, start].map((all) => [
        ...all.subarray(offset, offset + size),
      ]);
      if (frozen) expect(now, name).toEqual(before);
      else expect(now, name).not.toEqual(before);
    }
  });
});

it('weight decay may leave biases and norms alone', async () => {
  const { parameters, parameterCount } = buildModel(description);
  const decayed = async (decayBiasAndNorm: boolean) => {
    const options = { type: 'sgd', weightDecay: 0.5, decayBiasAndNorm } as const;
    const updater = await openUpdater(parameters, options);
    updater.parameters.fill(1);
    updater.gradient.fill(0);
    updater.apply(0, 0.1);
    return updater.parameters;
  };
  const [some, all] = [await decayed(false), await decayed(true)];
  for (const { offset, size, shape, statistic } of parameters) {
    if (statistic) continue;
    expect(all[offset]).toBeCloseTo(0.95);
    for (let i = offset; i < offset + size; i++) expect(some[i]).toBe(shape.length > 1 ? all[i] : 1);
  }
  expect(parameterCount).toBe(some.length);
});

describe('adoptWeights', () => {
  const of = (classes: number) => buildModel(describePreset('mnist-mlp', { classes }));

  it('takes what matches by name and shape, and says the rest', () => {
    const [source, model] = [of(10), of(4)];
    const values = initializeParameters(source, 2);
    const tensors = source.parameters.map(({ name, shape, offset, size }) => {
      return { name, shape, data: values.subarray(offset, offset + size) };
    });
    const parameters = initializeParameters(model, 1);
    const fresh = parameters.slice();
    const extra = { name: 'extra.weight', shape: [1], data: new Float32Array(1) };
    const adopted = adoptWeights(model, parameters, [...tensors.slice(0, -1), extra]);
    const head = model.parameters.find(({ name }) => name === 'dense3.weight')!;
    expect(parameters.subarray(0, head.offset)).toEqual(values.subarray(0, head.offset));
    expect(parameters.subarray(head.offset)).toEqual(fresh.subarray(head.offset));
    expect(describeAdopted(adopted)).toBe(
      '4 of 6 parameters loaded; initialized: dense3.weight [64, 4] (the file has [64, 10]), ' +
        'dense3.bias [4] (not in the file); not used from the file: extra.weight',
    );
  });
});
