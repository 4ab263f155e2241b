import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { describePreset } from '../src/models/presets.ts';
import { layerTypeNames, layerTypes } from '../src/nn/index.ts';
import {
  buildModel,
  initializeParameters,
  type LayerDescription,
  type ModelDescription,
  ModelError,
} from '../src/nn/model.ts';
import { activations } from '../src/ops/pointwise.ts';

const digest = (values: Float32Array) =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');

const mlp = describePreset('mnist-mlp');

describe('buildModel', () => {
  it('names layers by type and ordinal and lays parameters out without gaps', () => {
    const model = buildModel(mlp);
    expect(model.layers.map(({ name }) => name)).toEqual([
      'dense1',
      'relu1',
      'dropout1',
      'dense2',
      'relu2',
      'dense3',
    ]);
    expect(model.layers.map(({ outputShape }) => outputShape[0])).toEqual([128, 128, 128, 64, 64, 10]);
    expect(model.parameters.map(({ name }) => name)).toEqual([
      'dense1.weight',
      'dense1.bias',
      'dense2.weight',
      'dense2.bias',
      'dense3.weight',
      'dense3.bias',
    ]);
    let end = 0;
    for (const { offset, size, shape } of model.parameters) {
      expect(offset).toBe(end);
      expect(size).toBe(shape.reduce((a, b) => a * b, 1));
      end += size;
    }
    expect(model.parameterCount).toBe(end);
    expect(end).toBe(109_386);
  });

  it('takes names, options with defaults, and every activation', () => {
    const model = buildModel({
      input: [4, 4, 2],
      classes: 3,
      layers: [
        { type: 'flatten' },
        { type: 'dense', units: 5, bias: false, name: 'stem' },
        ...activations.map((type): LayerDescription => ({ type })),
        { type: 'dense', units: 3 },
      ],
    });
    expect(model.parameters.map(({ name }) => name)).toEqual(['stem.weight', 'dense2.weight', 'dense2.bias']);
    expect(model.layers[0]!.outputShape).toEqual([32]);
    expect(model.layers.at(-1)!.options).toEqual({ units: 3, bias: true });
  });

  const bad = (layers: unknown[], rest: Partial<Record<keyof ModelDescription, unknown>> = {}) =>
    ({ input: [8], classes: 2, layers, ...rest }) as unknown as ModelDescription;
  const last = { type: 'dense', units: 2 };

  it.each([
    [
      bad([last, { type: 'dens', units: 2 }]),
      /^layers\[1\]: no layer type 'dens'; did you mean 'dense'\? Available: input, dense, /,
    ],
    [bad([{ type: 'Relu' }]), /layers\[0\]: no layer type 'Relu'; did you mean 'relu'/],
    [bad([{ type: 'toString' }]), /layers\[0\]: no layer type 'toString'/],
    [bad([{ units: 2 }]), /layers\[0\]: expected a type; available: input, dense/],
    [bad([null]), /layers\[0\]: expected a type/],
    [bad([{ type: 'dense' }]), /layers\[0\] \(dense\): units is missing; expected an integer from 1/],
    [bad([{ type: 'dense', units: 2.5 }]), /units is 2.5; expected an integer/],
    [bad([{ type: 'dense', units: '2' }]), /units is "2"; expected an integer/],
    [bad([{ type: 'dense', units: 2, bias: 1 }]), /bias is 1; expected true or false/],
    [bad([{ type: 'dense', unit: 2 }]), /layers\[0\] \(dense\): no option 'unit'; did you mean 'units'\?/],
    [
      bad([{ type: 'dropout', rate: 1 }, last]),
      /layers\[0\] \(dropout\): rate is 1; expected a number from 0 to less than 1/,
    ],
    [bad([last, { type: 'relu', rate: 1 }]), /layers\[1\] \(relu\): no option 'rate'/],
    [
      bad([last], { input: [28, 28, 1] }),
      /layers\[0\] \(dense\): expected samples of shape \[features\] or \[time, features\], got \[28, 28, 1\]: add a flatten/,
    ],
    [
      bad([last, { type: 'relu' }], { classes: 10 }),
      /layers\[1\] \(relu\): the last layer gives \[2\] .* expected \[10\]/,
    ],
    [
      bad([
        { ...last, name: 'a' },
        { ...last, name: 'a' },
      ]),
      /layers\[1\] \(dense\): name 'a' is already used by layers\[0\]/,
    ],
    [bad([{ ...last, name: 'dense2' }, last]), /name 'dense2' is already used by layers\[0\]/],
    [bad([{ ...last, name: '../x' }]), /name "..\/x"; expected a letter/],
    [
      bad([
        { type: 'dense', units: 1_000_000 },
        { type: 'dense', units: 1000 },
      ]),
      /layers\[1\] \(dense\): the model has \d+ parameters/,
    ],
    [bad([]), /layers: expected a list of 1 to/],
    [bad([last], { input: [] }), /input is \[\]; expected the shape of a sample/],
    [bad([last], { input: [0] }), /input is \[0\]/],
    [bad([last], { classes: 0 }), /classes is 0/],
  ])('refuses description %#', (description, message) => {
    expect(() => buildModel(description)).toThrow(message);
    expect(() => buildModel(description)).toThrow(ModelError);
  });
});

describe('the list of layers', () => {
  it('has each layer under its own type, with every option described', () => {
    for (const name of layerTypeNames) {
      expect(layerTypes[name].type).toBe(name);
      for (const rule of Object.values(layerTypes[name].options as Record<string, { describe: string }>)) {
        expect(rule.describe).toMatch(/\.$/);
      }
    }
  });
});

describe('initializeParameters', () => {
  const model = buildModel(mlp);

  it('gives the same bits for the same seed, for ever', () => {
    expect(digest(initializeParameters(model, 1))).toBe(digest(initializeParameters(model, 1)));
    expect(digest(initializeParameters(model, 1))).toBe(
      // Computed independently from the rule in initializeParameters's description.
      '89a539f8adc5e5b67f2aae48ad97b41af3437cc44d1ad29e2f78fdb62174100a',
    );
    expect(digest(initializeParameters(model, 2))).not.toBe(digest(initializeParameters(model, 1)));
  });

  it('spreads weights as He says before relu, as Glorot says elsewhere, and starts biases at zero', () => {
    const values = initializeParameters(model, 3);
    for (const { name, offset, size, shape } of model.parameters) {
      const own = values.subarray(offset, offset + size);
      const square = own.reduce((total, v) => total + v * v, 0) / size;
      const [fanIn = 0, fanOut = 0] = shape;
      if (name.endsWith('bias')) expect(square).toBe(0);
      else expect(square / (name === 'dense3.weight' ? 2 / (fanIn + fanOut) : 2 / fanIn)).toBeCloseTo(1, 0.9);
    }
  });
});
