/** The WebGPU backend in Node: every case of every operation with its gradients, and every layer against PyTorch. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { opCases } from './support/cases.ts';
import { openDevice } from './support/gpu.ts';
import { checkOperation, checkPytorch } from './support/gpu-conformance.ts';
import { type Fixtures, pytorchCases } from './support/pytorch.ts';

const device = await openDevice();
afterAll(() => device?.destroy());
const fixtures = JSON.parse(
  readFileSync(new URL('pytorch/fixtures.json', import.meta.url), 'utf8'),
) as Fixtures;

describe.skipIf(!device)('WebGPU agrees with the reference', { timeout: 60_000 }, () => {
  it.each(opCases().map((each) => [each.label, each] as const))('on %s', async (_, each) => {
    expect(await checkOperation(device!, each)).toBeUndefined();
  });
});

describe.skipIf(!device)('WebGPU agrees with PyTorch', { timeout: 60_000 }, () => {
  it.each(pytorchCases(fixtures).map((each) => [each.label, each] as const))('on %s', async (_, each) => {
    expect(await checkPytorch(device!, each)).toBeUndefined();
  });
});
