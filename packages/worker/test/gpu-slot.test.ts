/** A slot on WebGPU: jobs of fast arithmetic are computed there, those of exact arithmetic by wasm. */
import { execFile } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { runReference } from '@kasane/tensor/backends/reference/run';
import { buildModel, initializeParameters, type ModelDescription } from '@kasane/tensor/nn/model';
import { traceProgram } from '@kasane/tensor/training';
import { Slot } from '@kasane/worker/internal/slots/slot';
import { afterAll, describe, expect, it } from 'vitest';
import { onDevice, openDevice } from '../../tensor/test/support/gpu.ts';
import { inputs, request } from './support/five-samples.ts';
import { runPiece } from './support/run-piece.ts';

const device = await openDevice();
const hasHalves = device?.features.has('shader-f16');
device?.destroy();

const description: ModelDescription = {
  input: [6],
  classes: 3,
  layers: [
    { type: 'dense', units: 8 },
    { type: 'batchNorm' },
    { type: 'relu' },
    { type: 'dropout', rate: 0.5 },
    { type: 'dense', units: 3 },
  ],
};
const model = buildModel(description);
const weights = initializeParameters(model, 1);

describe('a slot on WebGPU', { ...onDevice(device), timeout: 60_000 }, () => {
  const warnings: string[] = [];
  const slot = device
    ? new Slot(
        () => {},
        (warning) => warnings.push(warning),
        { backend: 'webgpu' },
      )
    : undefined;
  afterAll(() => slot?.end());

  it('computes what the reference does', async () => {
    const session = await slot!.open(description, [{ mode: 'evaluate', samples: 2 }, request], 'fast');
    expect(slot!.kernel).toMatch(/^webgpu/);
    slot!.parameters(session).set(weights);
    const ready: number[] = [];
    const outcome = await runPiece(slot!, session, request, inputs, (indices) => ready.push(...indices));
    expect(ready).toEqual(model.parameters.map((_, index) => index));
    const feeds = { x: inputs.x, labels: inputs.target, sampleIds: inputs.ids, key: inputs.key };
    const wanted = runReference(traceProgram(model, request), feeds, weights);
    expect(outcome.lossSum).toBeCloseTo(wanted.lossSum!, 3);
    expect(outcome.metricSum).toBe(wanted.metricSum);
    const gradients = slot!.gradients(session).slice();
    for (const [index, { offset }] of model.parameters.entries()) {
      wanted.gradients![index]!.forEach((value, i) => {
        expect(gradients[offset + i]).toBeCloseTo(value, 3);
      });
    }
    // Again, over the same buffers.
    await runPiece(slot!, session, request, inputs, () => {});
    expect(slot!.gradients(session)).toEqual(gradients);
    slot!.close(session);
  });

  it('takes wasm for exact arithmetic, and says so', async () => {
    const session = await slot!.open(description, [request], 'exact');
    slot!.parameters(session).set(weights);
    await runPiece(slot!, session, request, inputs, () => {});
    const plain = new Slot(
      () => {},
      () => {},
    );
    const other = await plain.open(description, [request], 'exact');
    plain.parameters(other).set(weights);
    await runPiece(plain, other, request, inputs, () => {});
    expect(slot!.gradients(session)).toEqual(plain.gradients(other));
    expect(warnings).toEqual([expect.stringMatching(/exact arithmetic.*on the CPU/)]);
    await plain.end();
  });

  it('loses its device, says so, and is replaced by one that computes the same', async () => {
    const support = (name: string) => fileURLToPath(new URL(`support/${name}`, import.meta.url));
    const preload = pathToFileURL(support('lose-device.ts')).href;
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import',
      preload,
      support('run-lost-device.ts'),
    ]);
    const seen = JSON.parse(stdout) as Record<string, unknown>;
    expect(seen.failure).toMatch(/the WebGPU device was lost/);
    expect(seen.errors).toEqual([
      expect.stringMatching(/replacing a compute thread that died: the WebGPU device was lost/),
    ]);
    expect(seen.other).toBe(true);
    expect(seen.after).toEqual(seen.before);
  });

  it('says what is missing where f16 cannot be stored', async () => {
    const halves = new Slot(
      () => {},
      () => {},
      { backend: 'webgpu', gpuStorage: 'f16' },
    );
    if (hasHalves) await halves.ready;
    else await expect(halves.ready).rejects.toThrow(/storage f16 needs an adapter with shader-f16/);
    await halves.end();
  });
});
