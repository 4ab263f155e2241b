/** What `backends/backend.ts` says of a backend, of every backend there is, and of one that is made for this. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend, Session, SessionOptions } from '../src/backends/backend.ts';
import { viewsOf } from '../src/backends/layout.ts';
import { reference } from '../src/backends/reference/backend.ts';
import { runReference } from '../src/backends/reference/run.ts';
import { wasm } from '../src/backends/wasm/backend.ts';
import { webgpu } from '../src/backends/webgpu/backend.ts';
import { buildModel, initializeParameters, type Model } from '../src/nn/model.ts';
import { gather } from '../src/ops/gather.ts';
import { checkLabels } from '../src/ops/labels.ts';
import { input } from '../src/ops/leaf.ts';
import { add } from '../src/ops/pointwise.ts';
import { type ProgramRequest, traceProgram } from '../src/training.ts';
import { opCases } from './support/cases.ts';
import { checkOperation } from './support/conformance.ts';
import { onDevice, openDevice } from './support/gpu.ts';
import { feedsOf, models, request } from './support/models.ts';
import { planned } from './support/planned.ts';

const device = await openDevice();
afterAll(() => device?.destroy());
const backends = { reference, wasm, planned, ...(device && { webgpu: webgpu(device) }) };

/** How far results may be from the reference's, relative to the largest. */
const BOUND = 1e-4;

/** The first case of each operation; suites of their own walk all of them on wasm and WebGPU. */
const cases = opCases().filter(({ op }, index, all) => all.findIndex((other) => other.op === op) === index);

const trained = ['convolution', 'inputs', 'transformer'];

function suite(backend: Backend) {
  it('computes every operation and its gradients', async () => {
    for (const each of cases) expect(await checkOperation(backend, each), each.label).toBeUndefined();
  });

  it('keeps what was written, and begins with zeros', async () => {
    const program = await backend.compile([add(input('a', [3]), input('b', [3]))]);
    const sum = async () => Array.from((await program.run())[0]!);
    expect(await sum()).toEqual([0, 0, 0]);
    program.write('a', Float32Array.of(1, 2, 3));
    expect(await sum()).toEqual([1, 2, 3]);
    program.write('b', Float32Array.of(10, 20, 30));
    expect(await sum()).toEqual([11, 22, 33]);
    program.destroy();
  });

  it('refuses to write what the graph does not have', async () => {
    const program = await backend.compile([gather(input('table', [4, 2]), input('index', [3], 'i32'))]);
    const refused = { name: 'RangeError' };
    expect(() => program.write('rows', new Float32Array(8))).toThrow(expect.objectContaining(refused));
    expect(() => program.write('table', new Float32Array(7))).toThrow(/7 numbers; expected 8/);
    expect(() => program.write('index', new Float32Array(3))).toThrow(/f32 numbers; expected i32/);
    program.destroy();
  });

  it('refuses two leaves of one name', async () => {
    const graph = [add(input('a', [3]), input('a', [3]))];
    await expect(backend.compile(graph)).rejects.toThrow("two leaves are named 'a'");
  });

  it('says which index and which label is none, and goes on', async () => {
    const labels = input('labels', [2], 'i32');
    const program = await backend.compile([
      gather(input('table', [4, 1]), input('index', [2], 'i32')),
      checkLabels(labels, 3),
    ]);
    const run = async () => (await program.run()).map((values) => Array.from(values));
    program.write('table', Float32Array.of(5, 6, 7, 8));
    program.write('index', Int32Array.of(3, 4));
    await expect(run()).rejects.toThrow(expect.objectContaining({ name: 'IndexError' }));
    program.write('index', Int32Array.of(3, 0));
    program.write('labels', Int32Array.of(2, 3));
    await expect(run()).rejects.toThrow(expect.objectContaining({ name: 'LabelError' }));
    program.write('labels', Int32Array.of(2, 0));
    expect(await run()).toEqual([
      [8, 5],
      [2, 0],
    ]);
    program.destroy();
  });

  it.each(trained)('trains, evaluates and predicts with a model: %s', async (name) => {
    const description = models[name]!;
    const model = buildModel(description);
    const requests = (['train', 'evaluate', 'predict'] as const).map((mode) => ({ ...request, mode }));
    const session = await open(backend, model, requests);
    expect(session.layout.programs.map(({ mode }) => mode)).toEqual(['train', 'evaluate', 'predict']);
    for (const [index, one] of requests.entries()) {
      const found = await runOnce(session, index, feedsOf(description));
      const program = traceProgram(model, one);
      const wanted = runReference(program, feedsOf(description), initializeParameters(model, 4));
      expect(found.labels.length, one.mode).toBe(program.inputs.labels ? request.samples : 0);
      expectClose(found.logits, wanted.logits);
      expectClose(found.lossSum, wanted.lossSum === undefined ? [] : [wanted.lossSum]);
      expectClose(found.metricSum, wanted.metricSum === undefined ? [] : [wanted.metricSum]);
      if (wanted.gradients)
        expectClose(
          found.gradients,
          wanted.gradients.flatMap((values) => [...values]),
        );
    }
    session.destroy();
  });

  it('says once of each gradient that it is final, and what of the parameters it needs before', async () => {
    const description = models.residual!;
    const model = buildModel(description);
    const session = await open(backend, model, [request], { arriving: 16 });
    const stages = session.stages[0]!;
    expect(stages.map(({ ready }) => ready)).toEqual(session.layout.programs[0]!.stageReady);
    const ready = stages.flatMap((stage) => stage.ready);
    expect(ready.toSorted((a, b) => a - b)).toEqual(model.parameters.map((_, index) => index));
    // What has not arrived is no number, so whoever reads it is found out.
    const { parameters, gradients } = flatViews(session);
    const complete = parameters.slice();
    parameters.fill(Number.NaN);
    write(session, 0, feedsOf(description));
    const early: number[] = [];
    for (const stage of stages) {
      expect(stage.needs).toBeLessThanOrEqual(model.parameterCount);
      parameters.set(complete.subarray(0, stage.needs));
      await stage.run();
      for (const index of stage.ready) {
        const { offset, size } = model.parameters[index]!;
        early.push(...gradients.subarray(offset, offset + size));
      }
    }
    const at = (index: number) => {
      const { offset, size } = model.parameters[index]!;
      return [...gradients.subarray(offset, offset + size)];
    };
    expect(early.every(Number.isFinite)).toBe(true);
    expect(early).toEqual(ready.flatMap(at));
    session.destroy();
  });

  it('gives the same bits again, with a profile or without', async () => {
    const description = models.convolution!;
    const model = buildModel(description);
    const session = await open(backend, model, [request], { profile: true });
    const first = await runOnce(session, 0, feedsOf(description));
    const before = { ...first, gradients: first.gradients.slice(), loss: first.lossSum[0] };
    const again = await runOnce(session, 0, feedsOf(description));
    expect(again.gradients).toEqual(before.gradients);
    again.gradients.fill(0);
    const kernels = [];
    for (const stage of session.stages[0]!) {
      if (!stage.profile) continue;
      kernels.push(...(await stage.profile()));
    }
    if (kernels.length > 0) {
      expect(again.gradients).toEqual(before.gradients);
      expect(again.lossSum[0]).toBe(before.loss);
      expect(kernels.map(({ origin }) => origin.layer)).toContain('conv2d1');
      for (const { duration } of kernels) expect(duration).toBeGreaterThanOrEqual(0);
    }
    session.destroy();
  });

  it.each([
    ['private', ArrayBuffer],
    ['shared', SharedArrayBuffer],
  ] as const)('has a memory that is %s where that is asked for', async (memory, kind) => {
    const session = await open(backend, buildModel(models.lstm!), [request], { memory });
    expect(session.memory).toBeInstanceOf(kind);
    session.destroy();
  });
}

async function open(
  backend: Backend,
  model: Model,
  requests: readonly ProgramRequest[],
  options?: SessionOptions,
): Promise<Session> {
  const session = await backend.open(model, requests, options);
  flatViews(session).parameters.set(initializeParameters(model, 4));
  return session;
}

function flatViews({ memory, layout: { parameters, gradients } }: Session) {
  return {
    parameters: new Float32Array(memory, parameters.offset, parameters.length),
    gradients: new Float32Array(memory, gradients.offset, gradients.length),
  };
}

/** Writes a batch, as far as the program takes it. */
function write(session: Session, index: number, feeds: ReturnType<typeof feedsOf>) {
  const views = viewsOf(session.memory, session.layout.programs[index]!);
  for (const part of ['x', 'labels', 'sampleIds', 'key'] as const) {
    if (views[part].length > 0) views[part].set(feeds[part]);
  }
  return { ...views, ...flatViews(session) };
}

async function runOnce(session: Session, index: number, feeds: ReturnType<typeof feedsOf>) {
  const views = write(session, index, feeds);
  for (const stage of session.stages[index]!) await stage.run();
  return views;
}

function expectClose(found: ArrayLike<number>, wanted: ArrayLike<number>) {
  expect(found.length).toBe(wanted.length);
  const largest = Array.from(wanted).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
  const off = Array.from(wanted).findIndex((value, i) => !(Math.abs(found[i]! - value) <= BOUND * largest));
  expect(off, `element ${off}: ${found[off]}, the reference has ${wanted[off]}`).toBe(-1);
}

for (const name of ['reference', 'wasm', 'planned', 'webgpu'] as const) {
  const options = { ...(name === 'webgpu' ? onDevice(device) : {}), timeout: 120_000 };
  describe(`the backend ${name}`, options, () => {
    const backend = backends[name];
    if (backend) suite(backend);
    else it('needs a device', () => {});
  });
}
