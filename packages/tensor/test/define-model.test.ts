/** Models as programs: what is traced is what layers compute, and what cannot be said is refused by its place. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import type { Node } from '../src/graph.ts';
import { defineLayer, defineModel } from '../src/nn/define-model.ts';
import { heUniform, xavierUniform } from '../src/nn/initializers.ts';
import { crossEntropy } from '../src/nn/losses.ts';
import { buildModel, initializeParameters, type ModelDescription } from '../src/nn/model.ts';
import type { Objective } from '../src/objective.ts';
import { conv2d } from '../src/ops/conv2d.ts';
import { argmaxEquals } from '../src/ops/labels.ts';
import { constant } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { reshape, transpose } from '../src/ops/movement.ts';
import { add, div, exp, mul, relu, sigmoid, sqrt, sub } from '../src/ops/pointwise.ts';
import { mean, sum } from '../src/ops/reduce.ts';
import { keyOfSeed } from '../src/random.ts';
import { sizeOf } from '../src/shape.ts';
import { uniforms } from './support/cases.ts';
import { disagreement, runOnnx } from './support/onnx.ts';

const zeros = { kind: 'zeros' } as const;
const ones = { kind: 'ones' } as const;
const whole = { input: [4], build: (_: unknown, x: Node) => relu(x) };
const own = defineLayer({ type: 'a', build: (_, [x]) => relu(x!) });
const loss = {
  target: { dtype: 'f32', shape: [4] },
  of: ({ output, target }: Readonly<Record<string, Node>>) => mean(sub(output!, target!), [1]),
} as const;

/** Outputs of a training step and of an evaluation, bit by bit. */
async function computed(description: ModelDescription, objective: Objective, samples = 4) {
  const model = buildModel(description);
  const parameters = initializeParameters(model, 5);
  const results: number[][] = [];
  for (const mode of ['train', 'evaluate'] as const) {
    const request = { mode, samples, objective } as const;
    const session = await openWasmSession(model, [request]);
    session.parameters.set(parameters);
    const program = session.program(request);
    const x = uniforms(samples * sizeOf(model.sampleShape), 7);
    program.x.set(x);
    program.labels!.set(Array.from({ length: program.labels!.length }, (_, i) => i % 3));
    if (mode === 'train') {
      program.sampleIds!.set(Array.from({ length: samples }, (_, i) => i));
      program.key!.set([...keyOfSeed(3), 1, 0]);
    }
    program.run();
    results.push([...program.logits, program.lossSum[0]!, program.metricSum[0]!, ...session.gradients]);
  }
  return { model, parameters, results };
}

/** dense, batch norm, relu, dropout, dense. */
const layers: ModelDescription = {
  input: [6],
  classes: 3,
  layers: [
    { type: 'dense', units: 8, name: 'hidden' },
    { type: 'layerNorm', name: 'norm' },
    { type: 'relu', name: 'active' },
    { type: 'dropout', rate: 0.25, name: 'drop' },
    { type: 'dense', units: 3, name: 'out' },
  ],
};

const program = () =>
  defineModel({
    input: [6],
    classes: 3,
    build(m, x) {
      const dense = (name: string, units: number, from: typeof x) =>
        m.scope(name, (s) => {
          const weight = s.parameter('weight', [from.shape[1]!, units], xavierUniform(from.shape[1]!, units));
          return add(matmul(from, weight), s.parameter('bias', [units], zeros));
        });
      const normal = m.layer('layerNorm', { name: 'norm' }, dense('hidden', 8, x));
      const active = m.scope('active', () => relu(normal));
      const dropped = m.scope('drop', (s) => s.dropout(active, 0.25));
      return dense('out', 3, dropped);
    },
  });

/** Batch normalization, as the layer computes it. */
const norm = defineLayer({
  type: 'ownNorm',
  build: (m, [x], { epsilon }: { epsilon: number }) => {
    const [, channels] = x!.shape as [number, number];
    const center = mean(x!, [0]);
    const away = sub(x!, center);
    const variance = mean(mul(away, away), [0]);
    // n / (n - 1), in operations: the number of samples is open.
    const count = sum(constant(1, [x!.shape[0]!]));
    const unbiased = mul(variance, div(count, sub(count, constant(1))));
    const [shown, spread] = [
      m.statistic('runningMean', center, { initial: zeros }),
      m.statistic('runningVariance', unbiased, { initial: ones }),
    ];
    const ofBatch = m.whenTraining(variance, spread);
    const scaled = div(sub(x!, shown), sqrt(add(ofBatch, constant(epsilon))));
    return add(mul(scaled, m.parameter('scale', [channels], ones)), m.parameter('shift', [channels], zeros));
  },
});

describe('defineModel', () => {
  it('gives the bits of the layers that it writes down', async () => {
    const objective = { type: 'classification' } as const;
    const [own, listed] = [await computed(program(), objective), await computed(layers, objective)];
    expect(own.model.parameters.map(({ name }) => name)).toEqual(
      listed.model.parameters.map(({ name }) => name),
    );
    expect(own.parameters).toEqual(listed.parameters);
    expect(own.results).toEqual(listed.results);
  });

  it('leaves the number of samples open', async () => {
    const description = program();
    expect(JSON.stringify(description)).not.toMatch(/"[357]n"/);
    for (const samples of [1, 2, 9]) {
      const { results } = await computed(description, { type: 'classification' }, samples);
      expect(results.flat().every(Number.isFinite)).toBe(true);
    }
  });

  it('has custom layers, in programs and in lists, and keeps each graph once', () => {
    const listed = defineModel({
      input: [6],
      classes: 3,
      using: [norm],
      layers: [
        { type: 'dense', units: 5 },
        { type: 'ownNorm', epsilon: 0.01 },
        { type: 'relu' },
        { type: 'ownNorm', epsilon: 0.01, name: 'again' },
        { type: 'ownNorm', epsilon: 0.1 },
        { type: 'dense', units: 3 },
      ],
    });
    expect(Object.keys(listed.definitions!)).toEqual(['ownNorm', 'ownNorm-2']);
    expect(listed.layers.map(({ type, name }) => [type, name])).toEqual([
      ['dense', undefined],
      ['ownNorm', undefined],
      ['relu', undefined],
      ['ownNorm', 'again'],
      ['ownNorm-2', 'ownNorm2'],
      ['dense', undefined],
    ]);
    const { parameters } = buildModel(listed);
    expect(parameters.filter(({ statistic }) => statistic).map(({ name }) => name)).toEqual([
      'ownNorm1.runningMean',
      'ownNorm1.runningVariance',
      'again.runningMean',
      'again.runningVariance',
      'ownNorm2.runningMean',
      'ownNorm2.runningVariance',
    ]);
  });

  it('follows the batches as batch normalization does', async () => {
    const model = (layer: object): ModelDescription =>
      ({ input: [6], classes: 3, layers: [layer, { type: 'dense', units: 3 }] }) as ModelDescription;
    const objective = { type: 'classification' } as const;
    const own = await computed(
      defineModel({
        input: [6],
        classes: 3,
        build: (m, x) => m.layer('dense', { units: 3 }, m.layer(norm, { epsilon: 1e-5 }, x)),
      }),
      objective,
    );
    const listed = await computed(model({ type: 'batchNorm' }), objective);
    const at = (name: string, { model: { parameters } }: typeof own) =>
      parameters.find((each) => each.name.endsWith(name))!;
    for (const name of ['runningMean', 'runningVariance', '.scale', '.shift', '.weight']) {
      const slope = (of: typeof own) => {
        const { offset, size } = at(name, of);
        return of.results[0]!.slice(4 * 3 + 2 + offset, 4 * 3 + 2 + offset + size);
      };
      slope(listed).forEach((value, i) => {
        expect(slope(own)[i]).toBeCloseTo(value, 4);
      });
    }
    own.results[1]!.slice(0, 12).forEach((value, i) => {
      expect(value).toBeCloseTo(listed.results[1]![i]!, 5);
    });
  });

  it('trains for a loss of its own, to the bits of the one that job files have', async () => {
    const own = defineModel({
      input: [6],
      classes: 3,
      build: (m, x) =>
        m.layer('dense', { units: 3, name: 'out' }, m.layer('relu', {}, m.layer('dense', { units: 8 }, x))),
      loss: {
        target: { dtype: 'i32', shape: [] },
        of: ({ output, target }) => crossEntropy(output!, target!),
        metric: { kind: 'accuracy', of: ({ output, target }) => argmaxEquals(output!, target!) },
      },
    });
    const { loss: _, ...plain } = own;
    const ours = await computed(own, { type: 'own', metric: 'accuracy' });
    expect(ours.results).toEqual((await computed(plain, { type: 'classification' })).results);
  });

  it('has several outputs, noise, and values of several layers in its loss', async () => {
    const autoencoder = defineModel({
      input: [6],
      build(m, x) {
        const hidden = m.layer('relu', {}, m.layer('dense', { units: 8 }, x));
        const center = m.layer('dense', { units: 2, name: 'mu' }, hidden);
        const spread = m.layer('dense', { units: 2, name: 'logvar' }, hidden);
        const code = m.scope('code', (s) => add(center, mul(exp(mul(constant(0.5), spread)), s.normal([2]))));
        return { output: m.layer('dense', { units: 6 }, code), center, spread };
      },
      loss: {
        target: { dtype: 'i32', shape: [] },
        of({ output, input, center, spread }) {
          const away = sub(output!, input!);
          const divergence = sub(sub(add(mul(center!, center!), exp(spread!)), spread!), constant(1));
          return add(sum(mul(away, away), [1]), mul(constant(0.5), sum(divergence, [1])));
        },
      },
    });
    expect(autoencoder.loss!.from).toEqual(expect.arrayContaining(['dense2', 'input', 'mu', 'logvar']));
    const { results } = await computed(autoencoder, { type: 'own' });
    expect(results.flat().every(Number.isFinite)).toBe(true);
    // In a test there is no noise: the output is that of the mean.
    expect(results[0]!.slice(0, 24)).not.toEqual(results[1]!.slice(0, 24));
  });

  it('keeps its output where the loss has a layer that takes it', () => {
    const { layers: found } = defineModel({
      input: [4],
      build: (m, x) => m.layer('dense', { units: 4, name: 'drawing' }, x),
      loss: {
        target: { dtype: 'f32', shape: [] },
        of({ output }, m) {
          const judged = m.layer('dense', { units: 4, name: 'judge' }, output!);
          return mean(mul(judged, judged), [1]);
        },
      },
    });
    expect(found).toEqual([
      { type: 'dense', units: 4, name: 'drawing' },
      { type: 'dense', units: 4, name: 'judge' },
      { type: 'output', name: 'output', from: 'drawing' },
    ]);
  });

  it('ties parameters of layers', async () => {
    const tied = defineModel({
      input: [4],
      build(m, x) {
        const weight = m.parameter('weight', [4, 2], xavierUniform(4, 2));
        const code = m.scope('encoder', () => sigmoid(matmul(x, weight)));
        return m.scope('decoder', () => matmul(code, transpose(weight)));
      },
      loss: {
        target: { dtype: 'f32', shape: [4] },
        of: ({ output, target }) => mean(mul(sub(output!, target!), sub(output!, target!)), [1]),
      },
    });
    const { model, results } = await computed(tied, { type: 'own' });
    expect(model.parameters.map(({ name }) => name)).toEqual(['encoder.weight']);
    expect(model.parameterCount).toBe(8);
    expect(results[0]!.slice(-8).every((slope) => slope !== 0)).toBe(true);
  });

  it('shares the parameters of a part that is used twice', async () => {
    const inputs = { left: [4], right: [4] };
    const gate = defineLayer({
      type: 'gate',
      build: (m, [x]) => mul(x!, sigmoid(m.parameter('weight', [x!.shape[1]!], ones))),
    });
    const shared = defineModel({
      inputs,
      build(m, { left, right }) {
        const embed = m.shared('embed', (s, x) => {
          const hidden = s.layer('relu', {}, s.layer('dense', { units: 8 }, x!));
          const inner = s.shared('inner', (t, y) => t.layer(gate, {}, y!));
          return s.layer('dense', { units: 3 }, inner(inner(add(hidden, constant(1)))));
        });
        return sub(embed(left!), embed(right!));
      },
    });
    const separate = defineModel({
      inputs,
      build(m, { left, right }) {
        const first = m.parameter('first', [4, 8], heUniform(4));
        const bias = m.parameter('bias', [8], zeros);
        const factor = m.parameter('factor', [8], ones);
        const second = m.parameter('second', [8, 3], xavierUniform(8, 3));
        const shift = m.parameter('shift', [3], zeros);
        const embed = (x: Node) => {
          const hidden = add(relu(add(matmul(x, first), bias)), constant(1));
          const gated = mul(mul(hidden, sigmoid(factor)), sigmoid(factor));
          return add(matmul(gated, second), shift);
        };
        return sub(embed(left!), embed(right!));
      },
    });
    const { model, results } = await computed(shared, { type: 'regression' });
    const expected = await computed(separate, { type: 'regression' });
    expect(model.parameters.map(({ name }) => name)).toEqual([
      ...['embed-dense1.weight', 'embed-dense1.bias', 'embed-inner-gate1.weight'],
      ...['embed-dense2.weight', 'embed-dense2.bias'],
    ]);
    expect(shared.layers.find(({ name }) => name === 'embed2-dense1')).toMatchObject({
      tied: { weight: 'embed-dense1.weight', bias: 'embed-dense1.bias' },
    });
    for (const [mode, numbers] of results.entries()) {
      const away = numbers.map((value, i) => Math.abs(value - expected.results[mode]![i]!));
      expect(numbers).toHaveLength(expected.results[mode]!.length);
      expect(Math.max(...away)).toBeLessThan(1e-6);
    }
    for (const run of await runOnnx(model, [1, 5])) expect(disagreement(run)).toBeLessThan(1e-5);
  });

  it('ties parameters of layers in a list', () => {
    const list = (tied: object): ModelDescription => ({
      input: [4],
      output: [4],
      layers: [
        { type: 'dense', units: 4 },
        { type: 'dense', units: 4, tied: tied as never },
      ],
    });
    const names = buildModel(list({ weight: 'dense1.weight' })).parameters.map(({ name }) => name);
    expect(names).toEqual(['dense1.weight', 'dense1.bias', 'dense2.bias']);
    expect(() => buildModel(list({ weight: 'dense1.bias' }))).toThrow(
      'layers[1] (dense): tied: dense1.bias is [4]; expected a trained parameter [4, 4]',
    );
    expect(() => buildModel(list({ weights: 'dense1.weight' }))).toThrow(
      "layers[1] (dense): tied: no parameter 'weights'; did you mean 'weight'?",
    );
  });

  it('keeps what is defined again and again once: ResNet-152 from operations is small', () => {
    expect(JSON.stringify(resnet152()).length).toBeLessThan(2 ** 15);
  });

  it('takes the description that docs/models.md shows', () => {
    const page = readFileSync(new URL('../../../docs/models.md', import.meta.url), 'utf8');
    const [, json] = /```json\n([^`]*)```/.exec(page)!;
    const { parameters } = buildModel(JSON.parse(json!) as ModelDescription);
    expect(parameters.map(({ name }) => name)).toEqual(['gate.weight', 'dense1.weight', 'dense1.bias']);
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      'a size that follows the samples in another way',
      () =>
        defineModel({
          input: [4],
          build: (m, x) => m.scope('half', () => mul(x, constant(1 / x.shape[0]!))),
        }),
      /^layer half: constant: value depends on the number of samples .* it is 0\.333.* for 3 samples and 0\.2 for 5/,
    ],
    [
      'chance',
      () => {
        let n = 0;
        return defineModel({
          input: [4],
          build: (m, x) => m.scope('odd', () => mul(x, constant(n++ * 0.5))),
        });
      },
      /^layer odd: constant: value depends on .* nor on chance/,
    ],
    [
      'a parameter as large as the batch',
      () =>
        defineModel({
          input: [4],
          build: (m, x) => m.scope('s', (s) => mul(x, s.parameter('p', [x.shape[0]!, 1], ones))),
        }),
      /^layer s: .* depends on the number of samples/,
    ],
    [
      'no samples in front',
      () => defineModel({ input: [4], build: (m, x) => m.scope('turned', () => transpose(x)) }),
      /^layer turned: gives f32 \[4, 3\] for 3 samples; expected f32 \[samples, \.\.\.\]/,
    ],
    [
      'an unused parameter',
      () =>
        defineModel({
          input: [4],
          build(m, x) {
            m.parameter('lost', [4], ones);
            return m.layer('relu', {}, x);
          },
        }),
      /^the model: parameter 'lost' is not used/,
    ],
    [
      'two layers of one name',
      () =>
        defineModel({ input: [4], build: (m, x) => m.scope('a', () => relu(m.scope('a', () => relu(x)))) }),
      /^layer a: the name is taken/,
    ],
    [
      'randomness of another layer',
      () =>
        defineModel({
          input: [4],
          build(m, x) {
            const noisy = m.dropout(x, 0.5);
            const one = m.scope('one', () => relu(noisy));
            return m.scope('two', () => add(one, noisy));
          },
        }),
      /^layer two: uses a value of layer one before its end, with dropout in it/,
    ],
    [
      'statistics of what is shared',
      () =>
        defineModel({
          input: [4],
          build(m, x) {
            const twice = m.shared('normal', (s, y) => s.layer('batchNorm', {}, y!));
            return twice(twice(x));
          },
        }),
      /^layer normal2-batchNorm1: what is shared cannot have statistics of batches.*use layerNorm/,
    ],
    [
      'what is shared for other shapes',
      () =>
        defineModel({
          input: [4],
          build(m, x) {
            const twice = m.shared('half', (s, y) => s.layer('dense', { units: y!.shape[1]! / 2 }, y!));
            return twice(twice(x));
          },
        }),
      /^layers\[1\] \(dense\): tied: half-dense1\.weight is \[4, 2\]; expected a trained parameter \[2, 1\]/,
    ],
    [
      'a parameter of what is shared, of another shape',
      () =>
        defineModel({
          input: [4],
          build(m, x) {
            const twice = m.shared('scale', (s, y) =>
              mul(y!, s.parameter('factor', [y === x ? 4 : 1], ones)),
            );
            return twice(twice(x));
          },
        }),
      /^scale: used again, it has a parameter 'factor' \[1\], which it did not have at first/,
    ],
    [
      'a loss that is one number',
      () =>
        defineModel({
          input: [4],
          build: (m, x) => m.layer('relu', {}, x),
          loss: {
            target: { dtype: 'f32', shape: [4] },
            of: ({ output, target }) => mean(sub(output!, target!)),
          },
        }),
      /^loss\.loss: is f32 \[\] of 2 samples; expected one f32 number for each sample/,
    ],
    [
      'nothing returned',
      () => defineModel({ input: [4], build: () => undefined as never }),
      /^what build returns: is undefined; expected the value of an operation or a layer$/,
    ],
    [
      'a promise returned',
      () => defineModel({ input: [4], build: (async () => {}) as never }),
      /^what build returns: is a Promise \(it must not be async\)/,
    ],
    [
      'the sum of a value and a number',
      () => defineModel({ input: [4], build: (_, x) => `${String(x)}1` as never }),
      /^what build returns: is \[object Object\]1; expected the value/,
    ],
    [
      'an input that is not there',
      () =>
        defineModel({
          inputs: { left: [2], right: [2] },
          build: (m, { left, rigth }) => m.layer('concat', {}, left!, rigth!),
        }),
      /^layer concat1: input 2: is undefined; expected the value/,
    ],
    [
      'a value of the loss that is not there',
      () => defineModel({ ...whole, loss: { ...loss, of: ({ ouput }) => mean(ouput!, [1]) } }),
      /^loss: no value 'ouput'; did you mean 'output' or 'input'\? Available: input, output, target$/,
    ],
    [
      'a misspelt loss',
      () => defineModel({ ...whole, losss: loss } as never),
      /^defineModel: no key 'losss'; did you mean 'loss' or 'classes'\?/,
    ],
    [
      'a shape of the output',
      () => defineModel({ ...whole, output: [4] } as never),
      /^defineModel: no key 'output'/,
    ],
    [
      'a misspelt metric',
      () => defineModel({ ...whole, loss: { ...loss, metrics: {} } } as never),
      /^loss: no key 'metrics'; did you mean 'metric'\?/,
    ],
    [
      'a loss without of',
      () => defineModel({ ...whole, loss: { target: loss.target } } as never),
      /^loss\.of: is missing; expected a function$/,
    ],
    [
      'a loss without target',
      () => defineModel({ ...whole, loss: { of: loss.of } } as never),
      /^loss\.target: is undefined; expected an object with dtype, shape$/,
    ],
    [
      'no input',
      () => defineModel({ build: whole.build } as never),
      /^defineModel: neither input nor inputs is set/,
    ],
    [
      'an input of NaN',
      () => defineModel({ ...whole, input: [Number.NaN] }),
      /^input: is \[NaN\]; expected the shape of a sample/,
    ],
    ['no build', () => defineModel({ input: [4] } as never), /^defineModel: neither build nor layers is set/],
    [
      'build and layers',
      () => defineModel({ ...whole, layers: [{ type: 'relu' }] } as never),
      /^defineModel: both build and layers are set/,
    ],
    [
      'two layers of one type',
      () => defineModel({ input: [4], layers: [{ type: 'a' }], using: [own, own] }),
      /^using: there are two layers of type 'a'$/,
    ],
    [
      'an unknown layer in a list',
      () => defineModel({ input: [4], layers: [{ type: 'a' }] }),
      /^layer a1: no layer type 'a'/,
    ],
    [
      'a layer without build',
      () => defineLayer({ type: 'a' } as never),
      /^defineLayer: build of a: is missing; expected a function$/,
    ],
    [
      'a layer without a type',
      () => defineLayer({ build: own.build } as never),
      /^defineLayer: type is missing; expected a name$/,
    ],
    [
      'no model',
      () => defineModel(undefined as never),
      /^defineModel: is undefined; expected an object with input, /,
    ],
    [
      'an initializer of NaN',
      () =>
        defineModel({
          ...whole,
          build: (m, x) => mul(x, m.parameter('w', [4], { kind: 'normal', std: Number.NaN })),
        }),
      /std: is NaN; expected/,
    ],
    [
      'a layer that does not fit',
      () => defineModel({ input: [4], build: (m, x) => m.layer('conv2d', { filters: 2, size: 3 }, x) }),
      /^layer conv2d1: /,
    ],
    [
      'reshape that mixes the samples into a sum',
      () =>
        defineModel({
          input: [4],
          build: (m, x) => m.scope('mixed', () => reshape(x, [x.shape[0]! * 2, 2])),
        }),
      /^layer mixed: gives f32 \[6, 2\] for 3 samples/,
    ],
  ])('refuses %s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});

/** He et al. 2015, every convolution, norm and shortcut from operations. */
function resnet152(): ModelDescription {
  return defineModel({
    input: [224, 224, 3],
    classes: 1000,
    build(m, x) {
      let number = 0;
      const conv = (from: Node, filters: number, size: number, stride: number, last = false): Node =>
        m.scope(`conv${++number}`, (s) => {
          const channels = from.shape[3]!;
          const weight = s.parameter(
            'weight',
            [size, size, channels, filters],
            heUniform(size * size * channels),
          );
          const y = conv2d(from, weight, { stride: [stride, stride], padding: [size >> 1, size >> 1] });
          const axes = [0, 1, 2];
          const center = s.statistic('mean', mean(y, axes), { initial: zeros });
          const away = sub(y, center);
          const variance = s.statistic('variance', mean(mul(away, away), axes), { initial: ones });
          const normal = div(away, sqrt(add(variance, constant(1e-5))));
          const z = add(
            mul(normal, s.parameter('scale', [filters], ones)),
            s.parameter('shift', [filters], zeros),
          );
          return last ? z : relu(z);
        });
      let y = m.layer('maxPool', { size: 3, stride: 2, padding: 1 }, conv(x, 64, 7, 2));
      for (const [stage, blocks] of [3, 8, 36, 3].entries())
        for (let block = 0; block < blocks; block++) {
          const [width, stride] = [64 << stage, stage > 0 && block === 0 ? 2 : 1];
          const shortcut = block === 0 ? conv(y, 4 * width, 1, stride, true) : y;
          const inner = conv(conv(conv(y, width, 1, 1), width, 3, stride), 4 * width, 1, 1, true);
          y = m.scope(`block${stage}-${block}`, () => relu(add(inner, shortcut)));
        }
      return m.layer('dense', { units: 1000 }, m.layer('globalAveragePool', {}, y));
    },
  });
}
