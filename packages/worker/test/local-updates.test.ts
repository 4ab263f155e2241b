/** The updates of a replica, in a slot's thread, on wasm and on WebGPU: what a round leaves as its gradient. */
import { buildModel, initializeParameters, type ModelDescription } from '@kasane/tensor/nn/model';
import type { LocalOptimizer } from '@kasane/worker/internal/slots/local-updates';
import { Slot } from '@kasane/worker/internal/slots/slot';
import { afterAll, describe, expect, it } from 'vitest';
import { onDevice, openDevice } from '../../tensor/test/support/gpu.ts';

const device = await openDevice();
device?.destroy();

const description: ModelDescription = {
  input: [6],
  classes: 3,
  layers: [{ type: 'dense', units: 8 }, { type: 'batchNorm' }, { type: 'relu' }, { type: 'dense', units: 3 }],
};
const model = buildModel(description);
const weights = initializeParameters(model, 1);
const samples = 5;
const request = { mode: 'train', samples } as const;
const inputs = {
  x: Float32Array.from({ length: 6 * samples }, (_, index) => Math.sin(index)),
  target: Int32Array.of(0, 1, 2, 1, 0),
  ids: Uint32Array.of(10, 11, 12, 13, 70_000),
  key: Uint32Array.of(1, 0, 2, 0),
};
const RATES = [0.1, 0.05, 0.02];
const plain: LocalOptimizer = { optimizer: { type: 'sgd' }, clipNorm: undefined };

const slots: Slot[] = [];
afterAll(() => Promise.all(slots.map((slot) => slot.end())));
function newSlot(compute = {}): Slot {
  const slot = new Slot(
    () => {},
    () => {},
    compute,
  );
  slots.push(slot);
  return slot;
}

/** L2 norm of what is trained. */
const lengthOf = (change: Float32Array) =>
  Math.hypot(
    ...model.parameters.flatMap(({ offset, size, statistic }) =>
      statistic ? [] : [...change.subarray(offset, offset + size)],
    ),
  );

/** A round in a slot, and its gradient. */
async function round(slot: Slot, local: LocalOptimizer, math: 'exact' | 'fast' = 'exact') {
  const session = await slot.open(description, [request], math, local);
  const once = async () => {
    slot.parameters(session).set(weights);
    await slot.update(session, { kind: 'begin' });
    const gradients: Float32Array[] = [];
    for (const [step, learningRate] of RATES.entries()) {
      const { weight } = await slot.run(session, request, inputs, () => {});
      gradients.push(slot.gradients(session).slice());
      await slot.update(session, { kind: 'step', step, learningRate, factor: 1 / weight });
    }
    const end = slot.parameters(session).slice();
    await slot.update(session, { kind: 'end', weight: 3 * samples });
    return { gradients, end, change: slot.gradients(session).slice() };
  };
  const first = await once();
  // The optimizer begins anew: again it is the same.
  expect(await once()).toEqual(first);
  slot.close(session);
  return first;
}

describe('a round', { timeout: 60_000 }, () => {
  it('of plain descent changes parameters by the gradients of its steps', async () => {
    const { gradients, change, end } = await round(newSlot(), plain);
    for (const { name, offset, size, statistic } of model.parameters) {
      for (let i = offset; i < offset + size; i++) {
        // A statistic is taken along a part of the way from where it was.
        const taken = statistic
          ? weights[i]! + statistic.rate * (change[i]! / (3 * samples) - weights[i]!)
          : weights[i]! - change[i]! / (3 * samples);
        expect(taken, name).toBeCloseTo(end[i]!, 5);
        if (statistic) continue;
        const wanted = RATES.reduce((sum, rate, step) => sum + (rate * gradients[step]![i]!) / samples, 0);
        expect(change[i]! / (3 * samples), name).toBeCloseTo(wanted, 5);
      }
    }
  });

  it('clips the gradient of each step', async () => {
    const { change } = await round(newSlot(), { ...plain, clipNorm: 1e-3 });
    const moved = lengthOf(change) / (3 * samples);
    // At most the sum of the rates times the norm, and nearly that: the gradients of three such steps point the same way.
    expect(moved).toBeLessThan(0.17 * 1.001e-3);
    expect(moved).toBeGreaterThan(0.16 * 1e-3);
  });

  it('keeps the momentum of its optimizer from step to step', async () => {
    const heavy = { ...plain, optimizer: { type: 'sgd', momentum: 0.9 } as const };
    const [without, with_] = [await round(newSlot(), plain), await round(newSlot(), heavy)];
    expect(lengthOf(with_.change)).toBeGreaterThan(1.2 * lengthOf(without.change));
  });
});

describe('on WebGPU', { ...onDevice(device), timeout: 60_000 }, () => {
  it('a round is what it is on wasm, but for rounding', async () => {
    const local: LocalOptimizer = { optimizer: { type: 'sgd', momentum: 0.9 }, clipNorm: 1 };
    const wasm = await round(newSlot(), local);
    const gpu = await round(newSlot({ backend: 'webgpu' }), local, 'fast');
    for (const [i, value] of wasm.end.entries()) expect(gpu.end[i]).toBeCloseTo(value, 2);
  });
});
