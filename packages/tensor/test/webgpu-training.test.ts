/** Whole models on WebGPU: gradients in both storages, memory over hundreds of steps, profiles. */
import { afterAll, describe, expect, it, vi } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { runReference } from '../src/backends/reference/run.ts';
import { openUpdater } from '../src/backends/wasm/updater.ts';
import { webgpu } from '../src/backends/webgpu/backend.ts';
import { compileGpuProgram } from '../src/backends/webgpu/program.ts';
import type { Storage } from '../src/backends/webgpu/storage.ts';
import { buildModel, initializeParameters, type ModelDescription } from '../src/nn/model.ts';
import { conv2d } from '../src/ops/conv2d.ts';
import { input } from '../src/ops/leaf.ts';
import { relu } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { traceProgram } from '../src/training.ts';
import { directions, opCases } from './support/cases.ts';
import { checkOperation } from './support/conformance.ts';
import { onDevice, openDevice } from './support/gpu.ts';
import { heldByStep, LEAK } from './support/heap.ts';
import { feedsOf, models, request } from './support/models.ts';

/** Steps after which memory is looked at for the first time: SwiftShader takes about 0.3 ms a kernel, whatever its size. */
const WARM = 10;
/** Steps in which a network learns, */
const STEPS = 300;
/** and in which what each step leaves in the heap can be told from noise. */
const MANY_STEPS = 1210;

/** Models that learn something in so many steps. */
const tiny: Record<string, ModelDescription> = {
  convolution: {
    input: [4, 4, 1],
    classes: 3,
    layers: [
      { type: 'conv2d', filters: 4, size: 3 },
      { type: 'relu' },
      { type: 'maxPool', size: 2 },
      { type: 'flatten' },
      { type: 'dense', units: 3 },
    ],
  },
  lstm: {
    input: [2],
    classes: 3,
    layers: [
      { type: 'embedding', tokens: 9, units: 4, std: 1 },
      { type: 'lstm', units: 4 },
      { type: 'dense', units: 3 },
    ],
  },
  transformer: {
    input: [3],
    classes: 3,
    layers: [
      { type: 'embedding', tokens: 9, units: 4, std: 1 },
      { type: 'transformerBlock', heads: 2, causal: true, hidden: 4 },
      { type: 'flatten' },
      { type: 'dense', units: 3 },
    ],
  },
};

const device = await openDevice();
afterAll(() => device?.destroy());

async function open(description: ModelDescription, storage: Storage = 'f32') {
  const model = buildModel(description);
  const session = await webgpu(device!, { storage }).open(model, [request]);
  const feeds = feedsOf(description);
  const { layout, memory } = session;
  const program = layout.programs[0]!;
  const f32 = ({ offset, length }: { offset: number; length: number }) =>
    new Float32Array(memory, offset, length);
  const parameters = initializeParameters(model, 4);
  f32(layout.parameters).set(parameters);
  f32(program.x).set(feeds.x);
  for (const name of ['labels', 'sampleIds', 'key'] as const) {
    const { offset, length } = program[name];
    if (length > 0) new Int32Array(memory, offset, length).set(feeds[name]);
  }
  return {
    model,
    session,
    feeds,
    parameters: f32(layout.parameters),
    gradients: f32(layout.gradients),
    loss: f32(program.lossSum),
  };
}

/** A step of training, by its number. */
async function learning({ model, session, parameters, gradients: found }: Awaited<ReturnType<typeof open>>) {
  const updater = await openUpdater(model.parameters, { type: 'adam' });
  updater.parameters.set(parameters);
  return async (index: number) => {
    await session.stages[0]![0]!.run();
    updater.sum([found], 0);
    updater.scale(1 / request.samples);
    updater.apply(index, 0.003);
    parameters.set(updater.parameters);
  };
}

describe('a model of every kind on WebGPU', { ...onDevice(device), timeout: 300_000 }, () => {
  // Half precision keeps 11 bits: each stored number is off by at most 1 in 2048, and a gradient is made of many.
  const bounds = { f32: 1e-4, 'f16-rounded': 5e-3 } as const;
  for (const [name, description] of Object.entries(models)) {
    it.each(Object.entries(bounds))(
      `${name}: gradients are the reference's in %s`,
      async (storage, bound) => {
        const opened = await open(description, storage as Storage);
        const submit = vi.spyOn(device!.queue, 'submit');
        await opened.session.stages[0]![0]!.run();
        expect(submit).toHaveBeenCalledTimes(1);
        submit.mockRestore();
        const { model, feeds, parameters, gradients: found, session } = opened;
        const wanted = runReference(traceProgram(model, request), feeds, parameters);
        expect(Math.abs(opened.loss[0]! / wanted.lossSum! - 1)).toBeLessThan(bound);
        const steepest = Math.max(...wanted.gradients!.map((values) => Math.hypot(...values)));
        let largest = 0;
        for (const [index, { offset }] of model.parameters.entries()) {
          const difference = wanted.gradients![index]!.map((value, i) => value - found[offset + i]!);
          largest = Math.max(largest, Math.hypot(...difference) / steepest);
        }
        expect(largest).toBeLessThan(bound);
        // Were nothing stored as halves, it would be as exact as f32.
        if (storage !== 'f32') expect(largest).toBeGreaterThan(2e-6);
        session.destroy();
        // The same kernels are compiled once for a device.
        const compile = vi.spyOn(device!, 'createComputePipelineAsync');
        (await open(description, storage as Storage)).session.destroy();
        expect(compile).not.toHaveBeenCalled();
        compile.mockRestore();
      },
    );
  }

  it.each(Object.entries(tiny))(
    '%s: hundreds of steps make nothing on the device, and learn',
    async (_, description) => {
      const opened = await open(description);
      const { session, loss } = opened;
      const step = await learning(opened);
      for (let index = 0; index < WARM; index++) await step(index);
      const first = loss[0]!;
      const makers = (
        [
          'createBuffer',
          'createTexture',
          'createBindGroup',
          'createShaderModule',
          'createComputePipelineAsync',
        ] as const
      ).map((name) => vi.spyOn(device!, name));
      for (let index = WARM; index < STEPS; index++) await step(index);
      for (const maker of makers) {
        expect(maker).not.toHaveBeenCalled();
        maker.mockRestore();
      }
      expect(loss[0]).toBeLessThan(0.5 * first);
      session.destroy();
    },
  );

  it('steps leave nothing in the heap', async () => {
    const opened = await open(tiny.convolution!);
    const step = await learning(opened);
    for (let index = 0; index < WARM; index++) await step(index);
    expect(await heldByStep(MANY_STEPS - WARM, (index) => step(WARM + index))).toBeLessThan(LEAK);
    opened.session.destroy();
  });
});

describe('a device without subgroups', { ...onDevice(device), timeout: 60_000 }, () => {
  it('reduces by trees what others exchange', async () => {
    const plain = (await openDevice([]))!;
    expect([device!.features.has('subgroups'), plain.features.has('subgroups')]).toEqual([true, false]);
    for (const op of ['sum', 'maxReduce']) {
      for (const each of opCases().filter((one) => one.op === op)) {
        expect(await checkOperation(webgpu(plain), each), each.label).toBeUndefined();
      }
    }
    const program = await compileGpuProgram(plain, [relu(input('x', [3]))]);
    await expect(program.profile()).rejects.toThrow(/requires a device with timestamp-query/);
    plain.destroy();
  });
});

describe('a profile', { ...onDevice(device), timeout: 60_000 }, () => {
  it('computes what a run does, and has every kernel with its layer and its time', async () => {
    const model = buildModel(models.convolution!);
    const traced = traceProgram(model, request);
    const feeds = feedsOf(models.convolution!);
    const program = await compileGpuProgram(device!, [traced.outputs.logits, ...traced.outputs.gradients!]);
    const parameters = initializeParameters(model, 4);
    for (const { name, offset, size } of model.parameters) {
      if (program.inputs.has(name)) program.write(name, parameters.subarray(offset, offset + size));
    }
    program.write('x', feeds.x);
    for (const name of ['labels', 'sampleIds', 'key'] as const)
      program.write(name, Int32Array.from(feeds[name]));
    const { outputs, kernels } = await program.profile();
    expect(outputs).toEqual(await program.run());
    const convolutions = kernels.filter(({ op }) => op.startsWith('conv2d'));
    expect(convolutions.map(({ op, origin }) => [op, origin.layer, origin.pass])).toEqual([
      ['conv2d', 'conv2d1', 'forward'],
      ['conv2dWeightGradient', 'conv2d1', 'backward'],
    ]);
    expect(new Set(kernels.map(({ origin }) => origin.layer))).toEqual(
      new Set(['', ...model.layers.map(({ name }) => name).filter((name) => name !== 'flatten1')]),
    );
    for (const [index, { start, duration }] of kernels.entries()) {
      expect(duration).toBeGreaterThanOrEqual(0);
      expect(start).toBeGreaterThanOrEqual(index === 0 ? 0 : kernels[index - 1]!.start);
    }
    expect(kernels.reduce((total, { duration }) => total + duration, 0)).toBeGreaterThan(0);
    program.destroy();
  });
});

it(
  'f16 in memory gives what rounding to it gives; a device without shader-f16 is told so',
  onDevice(device),
  async () => {
    const opening = open(models.convolution!, 'f16');
    if (!device!.features.has('shader-f16')) {
      await expect(opening).rejects.toThrow(/storage f16 requires a device with shader-f16/);
      return;
    }
    const [halves, rounded] = [await opening, await open(models.convolution!, 'f16-rounded')];
    await halves.session.stages[0]![0]!.run();
    await rounded.session.stages[0]![0]!.run();
    expect(halves.gradients).toEqual(rounded.gradients);
  },
);

describe('products whose sums are cut in parts', { ...onDevice(device), timeout: 60_000 }, () => {
  it('of a convolution over many places are those of the reference', async () => {
    const [x, weight] = [input('a', [2, 40, 30, 2]), input('b', [3, 2, 2, 3])];
    const output = conv2d(x, weight, { padding: [1, 1], stride: [1, 1] });
    const feeds = { a: Float32Array.from(directions(4800, 1)), b: Float32Array.from(directions(36, 2)) };
    const each = { op: 'conv2d', label: 'long', inputs: [x, weight], output, feeds, differentiable: true };
    expect(await checkOperation(webgpu(device!), each)).toBeUndefined();
    const program = await compileGpuProgram(device!, gradients(sum(output), [weight]));
    for (const [name, values] of Object.entries(feeds))
      if (program.inputs.has(name)) program.write(name, values);
    const { kernels } = await program.profile();
    // The parts, then their sum.
    expect(kernels.filter(({ op }) => op === 'conv2dWeightGradient')).toHaveLength(2);
    program.destroy();
  });
});
