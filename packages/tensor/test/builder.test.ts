import { expect, it } from 'vitest';
import { describePreset } from '../src/models/presets.ts';
import { graph, sequential } from '../src/nn/builder.ts';
import { buildModel, ModelError } from '../src/nn/model.ts';
import { traceProgram } from '../src/training.ts';

it('gives what a job file gives', () => {
  const built = sequential([784])
    .layer('dense', { units: 128 })
    .layer('relu')
    .layer('dropout', { rate: 0.2 })
    .layer('dense', { units: 64 })
    .layer('relu')
    .layer('dense', { units: 10 });
  expect(built.describe(10)).toEqual(describePreset('mnist-mlp'));
});

it('branches, and shares a stem', () => {
  const stem = sequential([8, 8, 3]).layer('conv2d', { filters: 4, size: 3, padding: 1, name: 'stem' });
  const residual = stem
    .layer('conv2d', { filters: 4, size: [3, 3], padding: [1, 1] })
    .layer('add', { from: ['stem', 'conv2d2'] });
  const model = residual.layer('globalAveragePool').layer('dense', { units: 2 }).build(2);
  expect(model.layers.map(({ from }) => from)).toEqual([[-1], [0], [0, 1], [2], [3]]);
  expect(stem.describe(1).layers).toHaveLength(1);
  expect(traceProgram(model, { mode: 'predict', samples: 3 }).outputs.logits.shape).toEqual([3, 2]);
});

it('has inputs by name, which are parts of a sample', () => {
  const built = graph()
    .layer('input', { name: 'left', shape: [2, 3] })
    .layer('flatten', { name: 'row' })
    .layer('input', { name: 'right', shape: [4] })
    .layer('concat', { from: ['right', 'row'] })
    .layer('dense', { units: 2 });
  const described = {
    classes: 2,
    layers: [
      { type: 'input', name: 'left', shape: [2, 3] },
      { type: 'flatten', name: 'row' },
      { type: 'input', name: 'right', shape: [4] },
      { type: 'concat', from: ['right', 'row'] },
      { type: 'dense', units: 2 },
    ],
  } as const;
  expect(built.describe(2)).toEqual(described);
  const model = buildModel(described);
  expect(built.build(2)).toEqual(model);
  expect(model.sampleShape).toEqual([10]);
  expect(model.layers.map(({ from }) => from)).toEqual([[], [0], [], [2, 1], [3]]);
  expect(model.layers.map(({ part }) => part)).toMatchObject(
    [{ offset: 0, size: 6 }, undefined, { offset: 6, size: 4 }, undefined, undefined].map(
      (part) => part as object,
    ),
  );
});

it('is checked by the compiler, and by the builder where it is not asked', () => {
  // @ts-expect-error units is needed
  expect(() => sequential([3]).layer('dense').build(2)).toThrow(/layers\[0\] \(dense\): units is missing/);
  // @ts-expect-error no such option
  expect(() => sequential([3]).layer('relu', { slope: 1 }).build(3)).toThrow(ModelError);
  // @ts-expect-error no such layer
  expect(() => sequential([3]).layer('rleu').build(3)).toThrow(/did you mean 'relu'/);
});

it.each([
  [() => sequential([4]).layer('conv2d', { filters: 2, size: 3 }).build(2), /expected images .*got \[4\]/],
  [
    () => sequential([4, 4, 3]).layer('conv2d', { filters: 2, size: 5 }).build(2),
    /5 x 5 does not fit an image of 4 x 4/,
  ],
  [
    () => sequential([4, 4, 3]).layer('conv2d', { filters: 2, size: 3, groups: 2 }).build(2),
    /divisor of 3 channels/,
  ],
  [() => sequential([4, 4, 3]).layer('maxPool', { size: 2, padding: 2 }).build(2), /at most half the size/],
  [
    () => sequential([4, 6]).layer('selfAttention', { heads: 4 }).build(2),
    /heads is 4; expected a divisor of 6/,
  ],
  [
    () => sequential([6]).layer('lstm', { units: 2 }).build(2),
    /expected sequences \[time, features\], got \[6\]/,
  ],
  [
    () =>
      sequential([6])
        .layer('reshape', { shape: [4, 2] })
        .build(2),
    /\[6\] has 6 numbers, \[4, 2\] has 8/,
  ],
  [
    () =>
      sequential([6])
        .layer('relu')
        .layer('add', { from: ['relu1'] })
        .build(6),
    /has 1 inputs; expected 2 to 64/,
  ],
  [
    () =>
      sequential([6])
        .layer('relu')
        .layer('add', { from: ['relu1', 'rleu'] })
        .build(6),
    /no layer "rleu".*did you mean 'relu1'/,
  ],
  [
    () => sequential([6]).layer('relu').layer('relu', { from: 'input' }).build(6),
    /layers\[0\] \(relu\): its output is not used/,
  ],
  [
    () =>
      sequential([6])
        .layer('relu', { from: ['input', 'input'] })
        .build(6),
    /has 2 inputs; expected 1/,
  ],
  [
    // @ts-expect-error no such choice
    () => sequential([6]).layer('gru', { units: 2, returns: 'first' }).build(2),
    /returns is "first"; expected last or sequence/,
  ],
  [() => graph().layer('relu').build(6), /input is undefined; expected the shape of a sample/],
  [
    () =>
      sequential([6])
        .layer('relu')
        .layer('input', { shape: [2] })
        .build(2),
    /layers\[1\] \(input\): the model already has an input of shape \[6\]; use either that or input layers/,
  ],
  [
    () =>
      graph()
        .layer('dense', { units: 2 })
        .layer('input', { shape: [2] })
        .build(2),
    /layers\[0\] \(dense\): it has no layer before it; expected a layer of type input first/,
  ],
  [
    () =>
      graph()
        .layer('input', { shape: [2] })
        .layer('relu', { from: 'input' })
        .build(2),
    /layers\[1\] \(relu\): from: no layer "input" before this one; did you mean 'input1'/,
  ],
  [
    () =>
      graph()
        .layer('input', { shape: [2] })
        .layer('input', { shape: [2], from: 'input1' })
        .build(2),
    /layers\[1\] \(input\): has 1 inputs; expected 0/,
  ],
  [
    () =>
      graph()
        .layer('input', { shape: [2] })
        .layer('input', { shape: [2] })
        .build(2),
    /layers\[0\] \(input\): its output is not used/,
  ],
  [
    () =>
      graph()
        .layer('input', { shape: [0] })
        .build(2),
    /layers\[0\] \(input\): shape is \[0\]; expected/,
  ],
  [
    () => sequential([6]).layer('relu', { name: 'input' }).build(6),
    /name 'input' is reserved for the input of the model/,
  ],
  [
    () =>
      sequential([6])
        .layer('dense', { units: 3, name: 'a' })
        .layer('add', { from: ['a', 'input'] })
        .build(3),
    /inputs are \[3\] and \[6\]: expected equal shapes/,
  ],
] as const)('names the layer, what came and what was wanted: %#', (build, message) => {
  expect(build).toThrow(message);
});
