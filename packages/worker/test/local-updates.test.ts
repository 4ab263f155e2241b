/** The updates of a replica, in a slot's thread, on wasm and on WebGPU: what a round leaves as its gradient. */
import { buildModel, initializeParameters, type ModelDescription } from '@kasane/tensor/nn/model';
import type { LocalOptimizer } from '@kasane/worker/internal/slots/local-updates';
import { Slot } from '@kasane/worker/internal/slots/slot';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { onDevice, openDevice } from '../../tensor/test/support/gpu.ts';
import { inputs, request, samples } from './support/five-samples.ts';
import { runPiece } from './support/run-piece.ts';

const device = await openDevice();
device?.destroy();

const description: ModelDescription = {
  input: [6],
  classes: 3,
  layers: [{ type: 'dense', units: 8 }, { type: 'batchNorm' }, { type: 'relu' }, { type: 'dense', units: 3 }],
};
const model = buildModel(description);
const weights = initializeParameters(model, 1);
const WEIGHT = 3 * samples;
const RATES = [0.1, 0.05, 0.02];
const plain: LocalOptimizer = { optimizer: { type: 'sgd' }, clipNorm: undefined, keepsState: true };

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

/** A round in a slot that begins with this version, and its gradient. */
async function round(
  slot: Slot,
  local: LocalOptimizer,
  math: 'exact' | 'fast' = 'exact',
  version = weights,
  described = description,
) {
  const session = await slot.open(described, [request], math, { local });
  const once = async () => {
    slot.exchanged(session).fill(0);
    slot.exchanged(session).set(version);
    await slot.update(session, { kind: 'begin' });
    const gradients: Float32Array[] = [];
    for (const [step, learningRate] of RATES.entries()) {
      const { weight } = await runPiece(slot, session, request, inputs, () => {});
      gradients.push(slot.gradients(session).slice());
      await slot.update(session, { kind: 'step', step, learningRate, factor: 1 / weight });
    }
    const end = slot.parameters(session).slice();
    await slot.update(session, { kind: 'end', weight: WEIGHT, task: { step: 0, shard: 0 } });
    return { gradients, end, change: slot.exchanged(session).slice() };
  };
  const first = await once();
  // Nothing is left of the round before: again it is the same.
  expect(await once()).toEqual(first);
  slot.close(session);
  return first;
}

describe('a round', { timeout: 60_000 }, () => {
  it('leaves statistics where they are that go no part of the way', async () => {
    const [first, , ...rest] = description.layers;
    const still = { ...description, layers: [first!, { type: 'batchNorm', momentum: 0 } as const, ...rest] };
    const { change } = await round(newSlot(), plain, 'exact', weights, still);
    expect(change.every(Number.isFinite)).toBe(true);
  });

  it('of plain descent changes parameters by the gradients of its steps', async () => {
    const { gradients, change, end } = await round(newSlot(), plain);
    for (const { name, offset, size, statistic } of model.parameters) {
      for (let i = offset; i < offset + size; i++) {
        // A statistic is taken along a part of the way from where it was.
        const taken = statistic
          ? weights[i]! + statistic.rate * (change[i]! / WEIGHT - weights[i]!)
          : weights[i]! - change[i]! / WEIGHT;
        expect(taken, name).toBeCloseTo(end[i]!, 5);
        if (statistic) continue;
        const wanted = RATES.reduce((sum, rate, step) => sum + (rate * gradients[step]![i]!) / samples, 0);
        expect(change[i]! / WEIGHT, name).toBeCloseTo(wanted, 5);
      }
    }
  });

  it('clips the gradient of each step', async () => {
    const { change } = await round(newSlot(), { ...plain, clipNorm: 1e-3 });
    const moved = lengthOf(change) / WEIGHT;
    // At most the sum of the rates times the norm, and nearly that: the gradients of three such steps point the same way.
    expect(moved).toBeLessThan(0.17 * 1.001e-3);
    expect(moved).toBeGreaterThan(0.16 * 1e-3);
  });

  it('continues from the optimizer state in the version, and sends the updated state', async () => {
    const heavy: LocalOptimizer = { ...plain, optimizer: { type: 'sgd', momentum: 0.9 } };
    const { parameterCount, trainedCount } = model;
    const first = await round(newSlot(), heavy);
    expect(first.change).toHaveLength(parameterCount + trainedCount);
    // v' = momentum v + g, from 0.
    const momentum = first.change.subarray(parameterCount).map((value) => value / WEIGHT);
    for (let i = 0; i < trainedCount; i++) {
      const wanted = first.gradients.reduce((v, gradient) => 0.9 * v + gradient[i]! / samples, 0);
      expect(momentum[i]).toBeCloseTo(wanted, 5);
    }
    const version = Float32Array.of(...weights, ...momentum);
    const second = await round(newSlot(), heavy, 'exact', version);
    expect(lengthOf(second.change)).toBeGreaterThan(1.2 * lengthOf(first.change));
    const without = await round(newSlot(), { ...heavy, keepsState: false });
    expect(without.change).toEqual(first.change.subarray(0, parameterCount));
  });
});

it('an update is waited for, though this side is woken for the run before it', {
  timeout: 60_000,
}, async () => {
  const slot = newSlot();
  const session = await slot.open(description, [request], 'exact', { local: plain });
  slot.exchanged(session).set(weights);
  await slot.update(session, { kind: 'begin' });
  await runPiece(slot, session, request, inputs, () => {});
  const woken = vi
    .spyOn(Atomics, 'waitAsync')
    .mockImplementationOnce(() => ({ async: true, value: Promise.resolve('ok') }));
  await slot.update(session, { kind: 'step', step: 0, learningRate: 0.1, factor: 1 / samples });
  woken.mockRestore();
  expect(slot.parameters(session)).not.toEqual(weights);
});

describe('on WebGPU', { ...onDevice(device), timeout: 60_000 }, () => {
  it('a round is what it is on wasm, but for rounding', async () => {
    const local: LocalOptimizer = {
      optimizer: { type: 'sgd', momentum: 0.9 },
      clipNorm: 1,
      keepsState: true,
    };
    const wasm = await round(newSlot(), local);
    const gpu = await round(newSlot({ backend: 'webgpu' }), local, 'fast');
    for (const [i, value] of wasm.end.entries()) expect(gpu.end[i]).toBeCloseTo(value, 2);
  });
});
