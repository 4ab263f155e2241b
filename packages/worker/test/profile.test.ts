/** Slots that time their kernels, and the file that a worker writes of them. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildModel, initializeParameters, type ModelDescription } from '@kasane/tensor/nn/model';
import { type KernelSpan, Trace, traceClock } from '@kasane/worker/internal/observe/trace';
import type { Compute } from '@kasane/worker/internal/slots/gpu';
import { Slot } from '@kasane/worker/internal/slots/slot';
import { afterAll, describe, expect, it } from 'vitest';
import { onDevice, openDevice } from '../../tensor/test/support/gpu.ts';
import { runPiece } from './support/run-piece.ts';

const device = await openDevice();
device?.destroy();
const folder = await mkdtemp(join(tmpdir(), 'kasane-trace-'));
afterAll(() => rm(folder, { recursive: true }));

const description: ModelDescription = {
  input: [6],
  classes: 3,
  layers: [{ type: 'dense', units: 8 }, { type: 'relu' }, { type: 'dense', units: 3 }],
};
const weights = initializeParameters(buildModel(description), 1);
const request = { mode: 'train', samples: 2 } as const;
const inputs = {
  x: Float32Array.from({ length: 12 }, (_, index) => Math.sin(index)),
  target: Int32Array.of(0, 2),
  ids: Uint32Array.of(10, 11),
  key: new Uint32Array(4),
};

async function compute(how: Compute, onComputed?: (kernels: readonly KernelSpan[]) => void) {
  const slot = new Slot(
    () => {},
    () => {},
    how,
    onComputed,
  );
  try {
    const session = await slot.open(description, [request], 'fast');
    slot.parameters(session).set(weights);
    await runPiece(slot, session, request, inputs, () => {});
    return slot.gradients(session).slice();
  } finally {
    await slot.end();
  }
}

describe('a profile', { timeout: 60_000 }, () => {
  for (const backend of ['wasm', 'webgpu'] as const) {
    const needed = backend === 'webgpu' ? onDevice(device) : {};
    it(`computes the same on ${backend}, kernel by kernel`, needed, async () => {
      const began = traceClock();
      const { promise: spans, resolve } = Promise.withResolvers<readonly KernelSpan[]>();
      const profiled = await compute({ backend, profile: true }, resolve);
      expect(profiled).toEqual(await compute({ backend }));
      const kernels = await spans;
      expect(
        kernels.filter(({ op }) => op === 'matmul').map(({ layer, pass }) => `${layer} ${pass}`),
      ).toEqual([
        'dense1 forward',
        'dense2 forward',
        ...['dense2 backward', 'dense2 backward', 'dense1 backward'],
      ]);
      for (const [index, { start, duration }] of kernels.entries()) {
        expect(duration).toBeGreaterThanOrEqual(0);
        expect(start).toBeGreaterThanOrEqual(kernels[index - 1]?.start ?? began);
        expect(start).toBeLessThan(traceClock());
      }
    });
  }

  it('is a file in the Chrome trace format: layers around their kernels, tasks beside them', async () => {
    const path = join(folder, 'trace.json');
    const trace = new Trace(path, 'w1');
    const kernel = (op: string, layer: string, start: number): KernelSpan => ({
      op,
      layer,
      pass: 'forward',
      start,
      duration: 1,
    });
    trace.kernels(2, [kernel('matmul', 'dense1', 10), kernel('add', 'dense1', 12), kernel('sum', '', 14)]);
    await trace.part('samples', 'queue', { step: 3 }, async () => {});
    // What was written can be read although the end is missing.
    const soFar = JSON.parse(`${readFileSync(path, 'utf8').replace(/,\n$/, '')}]`) as unknown[];
    trace.close();
    trace.close();
    trace.kernels(2, [kernel('late', '', 20)]);
    const events = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>[];
    expect(events.slice(0, soFar.length)).toEqual(soFar);
    const complete = events
      .filter(({ ph }) => ph === 'X')
      .map(({ name, cat, ts, dur, tid }) => [name, cat, ts, dur, tid]);
    expect(complete).toEqual([
      ['matmul', 'kernel', 10_000, 1000, 3],
      ['add', 'kernel', 12_000, 1000, 3],
      ['dense1, forward', 'layer', 10_000, 3000, 3],
      ['sum', 'kernel', 14_000, 1000, 3],
      ['loss and sums, forward', 'layer', 14_000, 1000, 3],
    ]);
    const task = events.filter(({ cat }) => cat === 'queue');
    expect(task.map(({ ph, name, id }) => [ph, name, id])).toEqual([
      ['b', 'samples', 1],
      ['e', 'samples', 1],
    ]);
    expect(events.filter(({ ph }) => ph === 'M').map(({ name }) => name)).toEqual([
      'process_name',
      'process_sort_index',
    ]);
  });
});
