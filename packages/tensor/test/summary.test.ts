import { describe, expect, it } from 'vitest';
import { describePreset } from '../src/models/presets.ts';
import { accuracy, f1, perplexity, rSquared, topKAccuracy } from '../src/nn/metrics.ts';
import { buildModel } from '../src/nn/model.ts';
import { summarizeLayers, summary } from '../src/nn/summary.ts';

describe('summary', () => {
  it('counts parameters and operations of the MNIST network', () => {
    const model = buildModel(describePreset('mnist-mlp'));
    const layers = summarizeLayers(model);
    expect(layers[0]).toEqual({
      name: 'dense1',
      type: 'dense',
      from: ['input'],
      outputShape: [128],
      parameters: 784 * 128 + 128,
      flops: 2 * 784 * 128 + 128,
    });
    expect(layers.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(109_386);
    const lines = summary(model).split('\n');
    expect(lines).toHaveLength(2 + 1 + 6 + 1);
    expect(lines.at(-1)).toMatch(/^total +109,386 +\d/);
  });

  it('shows where branches come from, and leaves statistics out of the parameters', () => {
    const model = buildModel({
      input: [4, 4, 3],
      classes: 3,
      layers: [
        { type: 'conv2d', filters: 3, size: 3, padding: 1, bias: false },
        { type: 'batchNorm', name: 'norm' },
        { type: 'add', from: ['norm', 'input'] },
        { type: 'globalAveragePool' },
      ],
    });
    const [conv, norm, sum] = summarizeLayers(model);
    expect(conv!.flops).toBe(2 * 16 * 27 * 3);
    expect(norm!.parameters).toBe(6);
    expect(sum!.from).toEqual(['norm', 'input']);
    expect(summary(model)).toContain('norm, input');
  });
});

describe('metrics', () => {
  const scores = [0.1, 0.7, 0.2, 0.5, 0.5, 0, 0.3, 0.1, 0.6];

  it('accuracy and top-k count hits; of equal scores the first class wins', () => {
    expect(accuracy(scores, [1, 0, 2])).toBe(1);
    expect(accuracy(scores, [1, 1, 0])).toBeCloseTo(1 / 3);
    expect(topKAccuracy(scores, [2, 1, 0], 2)).toBe(1);
    expect(() => accuracy(scores, [1, 2])).toThrow(/9 scores and 2 labels/);
  });

  it('F1, R2 and perplexity as worked out by hand', () => {
    // Class 0: 1 hit, 1 wrong; class 1: 1 hit, 2 wrong; class 2: none of 1.
    expect(f1([0, 1, 1, 0], [0, 1, 2, 1])).toBeCloseTo((2 / 3 + 2 / 4 + 0) / 3);
    expect(rSquared([1, 2, 3], [1, 2, 3])).toBe(1);
    expect(rSquared([2, 2, 2], [1, 2, 3])).toBe(0);
    expect(perplexity(Math.log(65))).toBeCloseTo(65);
  });
});
