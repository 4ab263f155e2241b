import { describe, expect, it } from 'vitest';
import { runReference } from '../src/backends/reference/run.ts';
import { type KernelName, kernelNames, kernelShapes } from '../src/backends/wasm/gemm.ts';
import { scalarGemm, selectKernel, selfTest, wasmGemm } from '../src/backends/wasm/kernels.ts';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import { openUpdater } from '../src/backends/wasm/updater.ts';
import { presets } from '../src/models/presets.ts';
import {
  buildModel,
  initializeParameters,
  type LayerDescription,
  type ModelDescription,
} from '../src/nn/model.ts';
import { IndexError } from '../src/ops/gather.ts';
import { type OptimizerOptions, optimizerFor } from '../src/optim/optimizers.ts';
import { compileScalar } from '../src/scalar/evaluate.ts';
import { traceProgram } from '../src/training.ts';
import { uniforms } from './support/cases.ts';

const exactNames = kernelNames.filter((name) => !kernelShapes[name].fused);
const fusedNames = kernelNames.filter((name) => kernelShapes[name].fused);
const model = buildModel(presets['mnist-mlp']!.description);
const samples = 13;
const feeds = {
  x: Float32Array.from(uniforms(samples * 784, 1), (u) => 2 * u - 0.5),
  labels: Int32Array.from(uniforms(samples, 2), (u) => Math.floor(10 * u)),
  sampleIds: Uint32Array.from({ length: samples }, (_, i) => 40_000 + 7 * i),
  key: Uint32Array.of(5, 0, 3, 0),
};
const parameters = initializeParameters(model, 9);

async function trainOnce(kernel: KernelName) {
  const session = await openWasmSession(
    model,
    [
      { mode: 'train', samples },
      { mode: 'evaluate', samples: 4 },
    ],
    { kernel },
  );
  const program = session.program({ mode: 'train', samples });
  session.parameters.set(parameters);
  program.x.set(feeds.x);
  program.labels.set(feeds.labels);
  program.sampleIds.set(feeds.sampleIds);
  program.key.set(feeds.key);
  program.run();
  return { session, program };
}

describe('matrix product', () => {
  it.each(kernelNames)('%s passes the self-test', (name) => {
    expect(selfTest(name)).toBeUndefined();
  });

  it.each(exactNames)(
    '%s gives the bits of the scalar loop on every edge and transpose',
    (name) => {
      const { rows, columns } = kernelShapes[name];
      for (const m of [1, rows, rows + 1, 2 * rows]) {
        for (const n of [1, columns - 1, columns, columns + 5]) {
          for (const k of [1, 5, 256, 515]) {
            for (const bits of [0, 1, 2, 3]) {
              const gemm = { m, n, k, transposeA: bits % 2 === 1, transposeB: bits >= 2 };
              const a = Float32Array.from(uniforms(m * k, 3), (u) => u - 0.5);
              const b = Float32Array.from(uniforms(k * n, 4), (u) => u - 0.5);
              const found = Buffer.from(wasmGemm(gemm, name)(a, b).slice().buffer);
              const wanted = Buffer.from(scalarGemm(gemm, a, b).buffer);
              expect(found.equals(wanted), JSON.stringify(gemm)).toBe(true);
            }
          }
        }
      }
    },
    60_000,
  );

  it('gives them where both matrices are copied block by block', () => {
    for (const [m, n, k] of [
      [241, 257, 560],
      [521, 271, 259],
    ] as const) {
      const a = Float32Array.from({ length: m * k }, (_, i) => ((i * 7919) % 1009) / 64 - 8);
      const b = Float32Array.from({ length: k * n }, (_, i) => ((i * 104729) % 2003) / 128 - 8);
      for (const [transposeA, transposeB] of [
        [false, false],
        [true, true],
      ] as const) {
        const gemm = { m, n, k, transposeA, transposeB };
        const wanted = Buffer.from(scalarGemm(gemm, a, b).buffer);
        for (const name of exactNames) {
          const found = Buffer.from(wasmGemm(gemm, name)(a, b).slice().buffer);
          expect(found.equals(wanted), `${name} ${JSON.stringify(gemm)}`).toBe(true);
        }
      }
    }
  });
});

describe('fused matrix product', () => {
  it.each(fusedNames)('%s is at least as near to the exact product as separate rounding', (name) => {
    const { rows, columns } = kernelShapes[name];
    for (const [m, n, k] of [
      [rows, columns, 900],
      [2 * rows + 1, columns + 3, 515],
      [245, 259, 560],
    ] as const) {
      for (const bits of [0, 1, 2, 3]) {
        const gemm = { m, n, k, transposeA: bits % 2 === 1, transposeB: bits >= 2 };
        const a = Float32Array.from(uniforms(m * k, 3), (u) => u - 0.5);
        const b = Float32Array.from(uniforms(k * n, 4), (u) => u - 0.5);
        const apart = scalarGemm(gemm, a, b);
        const found = wasmGemm(gemm, name)(a, b);
        let [errorApart, error] = [0, 0];
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let exact = 0;
            for (let p = 0; p < k; p++) {
              exact +=
                a[gemm.transposeA ? p * m + i : i * k + p]! * b[gemm.transposeB ? j * k + p : p * n + j]!;
            }
            error += (found[i * n + j]! - exact) ** 2;
            errorApart += (apart[i * n + j]! - exact) ** 2;
          }
        }
        expect(error, JSON.stringify(gemm)).toBeLessThanOrEqual(1.1 * errorApart);
      }
    }
  });

  it('is chosen for fast arithmetic only', () => {
    expect(kernelShapes[selectKernel('fast').name].fused).toBe(true);
    expect(kernelShapes[selectKernel('exact').name].fused).toBe(false);
    expect(selectKernel()).toBe(selectKernel('exact'));
  });
});

describe('wasm session', () => {
  it('computes loss, hits and gradients of the MNIST network as the reference does, dropout included', async () => {
    const { session, program } = await trainOnce('4x8');
    const wanted = runReference(traceProgram(model, { mode: 'train', samples }), feeds, parameters);
    expect(program.lossSum[0]).toBeCloseTo(wanted.lossSum!, 3);
    expect(program.correct[0]).toBe(wanted.correct);
    for (const [index, { name, offset, size }] of model.parameters.entries()) {
      const reference = wanted.gradients![index]!;
      const norm = Math.hypot(...reference);
      const difference = Math.hypot(...reference.map((value, i) => value - session.gradients[offset + i]!));
      expect(reference.length, name).toBe(size);
      expect(difference / norm, name).toBeLessThan(1e-5);
    }
  });

  it('gives the same bits with every kernel', async () => {
    const digests = new Set<string>();
    for (const name of exactNames) {
      const { session, program } = await trainOnce(name);
      digests.add(Buffer.from(session.gradients.slice().buffer).toString('base64') + program.lossSum[0]);
    }
    expect(digests.size).toBe(1);
  });

  it('says after which stage each gradient is final: last layer first, and then it never changes', async () => {
    const { session, program } = await trainOnce('4x8');
    const ready = program.stages.map((stage) => stage.ready.map((index) => model.parameters[index]!.name));
    expect(ready.filter((list) => list.length > 0)).toEqual([
      ['dense3.weight', 'dense3.bias'],
      ['dense2.weight', 'dense2.bias'],
      ['dense1.weight', 'dense1.bias'],
    ]);
    const final = session.gradients.slice();
    session.gradients.fill(Number.NaN);
    for (const stage of program.stages) {
      stage.run();
      for (const index of stage.ready) {
        const { offset, size } = model.parameters[index]!;
        expect(session.gradients.slice(offset, offset + size)).toEqual(final.slice(offset, offset + size));
      }
    }
  });

  it('keeps programs apart although they share memory', async () => {
    const { session, program } = await trainOnce('4x8');
    const before = session.gradients.slice();
    const evaluate = session.program({ mode: 'evaluate', samples: 4 });
    evaluate.x.set(feeds.x.subarray(0, 4 * 784));
    evaluate.labels.set(feeds.labels.subarray(0, 4));
    evaluate.run();
    expect(session.parameters).toEqual(parameters);
    program.x.set(feeds.x);
    program.labels.set(feeds.labels);
    program.sampleIds.set(feeds.sampleIds);
    program.key.set(feeds.key);
    program.run();
    expect(session.gradients).toEqual(before);
    expect(() => session.program({ mode: 'train', samples: 5 })).toThrow(/train of 13, evaluate of 4/);
  });
});

describe('a model of every kind', () => {
  const image = (layers: LayerDescription[]): ModelDescription => ({ input: [8, 8, 2], classes: 3, layers });
  const models: Record<string, ModelDescription> = {
    convolution: image([
      { type: 'conv2d', filters: 4, size: 3, padding: 1 },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'maxPool', size: 2 },
      { type: 'dropout', rate: 0.3 },
      { type: 'flatten' },
      { type: 'dense', units: 3 },
    ]),
    residual: image([
      { type: 'conv2d', filters: 4, size: 3, padding: 1, name: 'stem' },
      { type: 'conv2d', filters: 4, size: 3, padding: 1, bias: false },
      { type: 'batchNorm', name: 'branch' },
      { type: 'add', from: ['stem', 'branch'] },
      { type: 'relu', name: 'sum' },
      { type: 'conv2d', filters: 2, size: 1, from: 'stem', name: 'side' },
      { type: 'concat', from: ['sum', 'side'] },
      { type: 'globalAveragePool' },
      { type: 'dense', units: 3 },
    ]),
    lstm: {
      input: [6],
      classes: 3,
      layers: [
        { type: 'embedding', tokens: 9, units: 5, std: 1 },
        { type: 'lstm', units: 4, layers: 2, bidirectional: true },
        { type: 'dense', units: 3 },
      ],
    },
    transformer: {
      input: [6],
      classes: 3,
      layers: [
        { type: 'embedding', tokens: 9, units: 8, std: 1 },
        { type: 'positionalEncoding' },
        { type: 'transformerBlock', heads: 2, causal: true, dropout: 0.2 },
        { type: 'layerNorm' },
        { type: 'flatten' },
        { type: 'dense', units: 3 },
      ],
    },
  };
  const request = { mode: 'train', samples: 5 } as const;

  async function open(description: ModelDescription) {
    const model = buildModel(description);
    const session = await openWasmSession(model, [request]);
    const program = session.program(request);
    const tokens = description.layers[0]!.type === 'embedding';
    const feeds = {
      x: Float32Array.from(uniforms(program.x.length, 31), (u) => (tokens ? Math.floor(9 * u) : 2 * u - 1)),
      labels: Int32Array.of(0, 1, 2, 1, 0),
      sampleIds: Uint32Array.of(3, 1, 4, 15, 9),
      key: Uint32Array.of(5, 0, 3, 0),
    };
    const parameters = initializeParameters(model, 4);
    session.parameters.set(parameters);
    program.x.set(feeds.x);
    program.labels.set(feeds.labels);
    program.sampleIds.set(feeds.sampleIds);
    program.key.set(feeds.key);
    return { model, session, program, feeds, parameters };
  }

  it.each(Object.entries(models))("%s: gradients are the reference's", async (_, description) => {
    const { model, session, program, feeds, parameters } = await open(description);
    program.run();
    const wanted = runReference(traceProgram(model, request), feeds, parameters);
    expect(program.lossSum[0]).toBeCloseTo(wanted.lossSum!, 4);
    const steepest = Math.max(...wanted.gradients!.map((values) => Math.hypot(...values)));
    for (const [index, { name, offset }] of model.parameters.entries()) {
      const difference = wanted.gradients![index]!.map((value, i) => value - session.gradients[offset + i]!);
      expect(Math.hypot(...difference) / steepest, name).toBeLessThan(1e-5);
    }
  });

  it.each(Object.entries(models))('%s: a thousand steps grow no memory and learn', async (_, description) => {
    const { model, session, program } = await open(description);
    const updater = await openUpdater(model.parameters, { type: 'adam' }, { buffers: 1 });
    updater.parameters.set(session.parameters);
    const step = (index: number) => {
      program.run();
      updater.slots[0]!.set(session.gradients);
      updater.reduce([0], 1 / request.samples);
      updater.apply(index, 0.003);
      session.parameters.set(updater.parameters);
    };
    for (let index = 0; index < 10; index++) step(index);
    const first = program.lossSum[0]!;
    const [bytes, heap] = [session.memory.buffer.byteLength, process.memoryUsage().heapUsed];
    for (let index = 10; index < 1000; index++) step(index);
    expect(session.memory.buffer.byteLength).toBe(bytes);
    // Garbage of the test runner is in it too: a step that kept one small object would add more.
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(16e6);
    expect(program.lossSum[0]).toBeLessThan(0.5 * first);
  });

  it('refuses an index that is out of range, and computes the next batch', async () => {
    const { model, program, feeds, parameters } = await open(models.lstm!);
    for (const bad of [9, -1, 2.5, Number.NaN, 3e9]) {
      program.x[7] = bad;
      expect(() => program.run()).toThrow(
        /gather: index -?\d+ is out of range; the table has 9 rows, 0 to 8/,
      );
      const x = feeds.x.slice();
      x[7] = bad;
      expect(() => runReference(traceProgram(model, request), { ...feeds, x }, parameters)).toThrow(
        IndexError,
      );
    }
    program.x.set(feeds.x);
    program.run();
    expect(program.lossSum[0]).toBeGreaterThan(0);
  });

  it('lets NaN and infinity through as IEEE says', async () => {
    for (const description of [models.convolution!, models.residual!]) {
      for (const odd of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const { program } = await open(description);
        program.x[3] = odd;
        program.run();
        expect(program.lossSum[0]).toBeNaN();
      }
    }
  });
});

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
