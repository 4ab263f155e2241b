/**
 * Layers and losses against PyTorch: the output, the gradient of the input, and the gradient of every parameter, on the
 * reference backend and on wasm. The WebGPU suite walks the same cases.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import { layerTypeNames } from '../src/nn/index.ts';
import { disagreement, type Fixtures, pytorchCases } from './support/pytorch.ts';
import { runWasm } from './support/run-wasm.ts';

const fixtures = JSON.parse(
  readFileSync(new URL('pytorch/fixtures.json', import.meta.url), 'utf8'),
) as Fixtures;

describe('PyTorch agrees', () => {
  it.each(pytorchCases(fixtures).map((each) => [each.label, each] as const))('on %s', async (_, each) => {
    const { feeds, expected } = each;
    const nodes = expected.map(({ node }) => node);
    expect(disagreement(each, evaluateGraph(nodes, feeds), 1e-7), 'reference').toBeUndefined();
    expect(disagreement(each, await runWasm(nodes, feeds), 1e-5), 'wasm').toBeUndefined();
    expect(disagreement(each, await runWasm(nodes, feeds, 'fast'), 1e-5), 'wasm, fast').toBeUndefined();
  });

  it('on every layer type, in three configurations', () => {
    for (const name of layerTypeNames) {
      const configurations = fixtures.layers.filter(({ layer }) => layer.type === name);
      expect(configurations.length, name).toBeGreaterThanOrEqual(3);
    }
  });
});
