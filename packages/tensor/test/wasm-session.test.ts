import { describe, expect, it } from 'vitest';
import { runReference } from '../src/backends/reference/run.ts';
import { type KernelName, kernelNames, kernelShapes } from '../src/backends/wasm/gemm.ts';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import { openUpdater } from '../src/backends/wasm/updater.ts';
import { describePreset } from '../src/models/presets.ts';
import { buildModel, initializeParameters, type ModelDescription } from '../src/nn/model.ts';
import { IndexError } from '../src/ops/gather.ts';
import { traceProgram } from '../src/training.ts';
import { uniforms } from './support/cases.ts';
import { heldByStep, LEAK } from './support/heap.ts';
import { feedsOf, models, request } from './support/models.ts';

const exactNames = kernelNames.filter((name) => !kernelShapes[name].fused);
const model = buildModel(describePreset('mnist-mlp'));
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

describe('wasm session', () => {
  it('computes loss, hits and gradients of the MNIST network as the reference does, dropout included', async () => {
    const { session, program } = await trainOnce('4x8');
    const wanted = runReference(traceProgram(model, { mode: 'train', samples }), feeds, parameters);
    expect(program.lossSum[0]).toBeCloseTo(wanted.lossSum!, 3);
    expect(program.metricSum[0]).toBe(wanted.metricSum);
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

  it.each(Object.entries(models))(
    'needs no parameter before it says so, where they arrive meanwhile: %s',
    async (_, description) => {
      const own = buildModel(description);
      const values = initializeParameters(own, 9);
      const session = await openWasmSession(own, [request], { arriving: 16 });
      const program = session.program(request);
      const given = feedsOf(description);
      program.x.set(given.x);
      program.labels.set(given.labels);
      program.sampleIds.set(given.sampleIds);
      program.key.set(given.key);
      session.parameters.set(values);
      program.run();
      const wanted = { gradients: session.gradients.slice(), loss: program.lossSum.slice() };
      session.gradients.fill(0);
      session.parameters.fill(Number.NaN);
      let arrived = 0;
      for (const { needs, run } of program.stages) {
        arrived = Math.max(arrived, needs);
        session.parameters.set(values.subarray(0, arrived));
        run();
      }
      expect({ gradients: session.gradients, loss: program.lossSum }).toEqual(wanted);
      // The first layer does not wait for the last.
      expect(program.stages[0]!.needs).toBeLessThan(arrived);
    },
  );

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

describe('a model of every kind', { timeout: 60_000 }, () => {
  async function open(description: ModelDescription) {
    const model = buildModel(description);
    const session = await openWasmSession(model, [request]);
    const program = session.program(request);
    const feeds = feedsOf(description);
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
    const updater = await openUpdater(model.parameters, { type: 'adam' });
    updater.parameters.set(session.parameters);
    const step = (index: number) => {
      program.run();
      updater.sum([session.gradients], 0);
      updater.scale(1 / request.samples);
      updater.apply(index, 0.003);
      session.parameters.set(updater.parameters);
    };
    for (let index = 0; index < 10; index++) step(index);
    const first = program.lossSum[0]!;
    const bytes = session.memory.byteLength;
    expect(await heldByStep(990, (index) => step(10 + index))).toBeLessThan(LEAK);
    expect(session.memory.byteLength).toBe(bytes);
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
