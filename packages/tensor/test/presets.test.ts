import { describe, expect, it } from 'vitest';
import { describePreset, PresetError, presetNames, presets } from '../src/models/presets.ts';
import { buildModel } from '../src/nn/model.ts';
import { summarizeLayers } from '../src/nn/summary.ts';

const built = (name: string, options = {}) => buildModel(describePreset(name, options));
const trained = (name: string, options = {}) => built(name, options).trainedCount;

describe('presets', () => {
  // The counts that torchvision 0.14 documents for its weights.
  it.each([
    ['alexnet', 61_100_840],
    ['vgg-11', 132_863_336],
    ['vgg-16', 138_357_544],
    ['resnet-18', 11_689_512],
    ['resnet-34', 21_797_672],
    ['resnet-50', 25_557_032],
    ['resnet-101', 44_549_160],
    ['resnet-152', 60_192_808],
  ])('%s has as many parameters as published: %d', (name, count) => {
    expect(trained(name)).toBe(count);
    expect(presets[name as keyof typeof presets].summary).toContain(count.toLocaleString('en'));
  });

  it('others have what their formulas say', () => {
    const dense = (from: number, to: number) => from * to + to;
    expect(trained('vgg-16', { norm: true })).toBe(138_365_992); // torchvision's vgg16_bn
    // The CIFAR stem has 3 x 3 in place of 7 x 7 taps.
    expect(trained('resnet-18', { stem: 'cifar', classes: 10 })).toBe(
      11_689_512 - 64 * 3 * (49 - 9) - dense(512, 1000) + dense(512, 10),
    );
    expect(trained('cnn-224')).toBe(
      dense(27, 32) + dense(9 * 32, 64) + dense(9 * 64, 128) + dense(28 * 28 * 128, 512) + dense(512, 1000),
    );
    // GPT-2 small shares embedding and head: 124,439,808; ours has both.
    const gpt2 = { tokens: 50257, context: 1024, width: 768, depth: 12, heads: 12 };
    expect(() => built('gpt', gpt2)).toThrow(/parameters/);
    const small = { ...gpt2, tokens: 1000 };
    expect(trained('gpt', small)).toBe(124_439_808 - 49_257 * 768 + 1000 * 768);
    const [tokens, width] = [259, 128];
    const block = 4 * dense(width, width) + dense(width, 4 * width) + dense(4 * width, width) + 4 * width;
    expect(trained('bert')).toBe(
      tokens * width + 128 * width + 4 * width + 4 * block + dense(width, width) + dense(width, tokens),
    );
    // 128 features in 4 heads of 32, 2 of them of keys and values; the inner network is 8 * ceil(128 / 3) wide.
    const llama = 2 * width * width + 2 * width * 64 + 3 * width * 344 + 2 * width;
    expect(trained('llama')).toBe(2 * tokens * width + 4 * llama + width);
    const gates = (n: number, from: number, units: number) => n * units * (from + units + 2);
    expect(trained('lstm-text')).toBe(640_000 + gates(4, 64, 64) + dense(64, 2));
    expect(trained('gru-text')).toBe(640_000 + gates(3, 64, 64) + dense(64, 2));
    expect(trained('lstm-forecast')).toBe(gates(4, 1, 32) + dense(32, 1));
    expect(trained('tabular', { features: 5, hidden: [7], task: 'regression', outputs: 1 })).toBe(
      dense(5, 7) + dense(7, 1),
    );
    expect(trained('perceptron')).toBe(dense(2, 2));
    expect(trained('xor')).toBe(dense(2, 8) + dense(8, 2));
  });

  it('build with their defaults, but for what is needed, and describe every option', () => {
    for (const name of presetNames) {
      const model = built(name, name === 'tabular' ? { features: 3 } : {});
      expect(summarizeLayers(model)).toHaveLength(model.layers.length);
      for (const { describe } of Object.values(presets[name].options)) expect(describe).toMatch(/\.$/);
    }
  });

  it('name layers as torchvision does, with dashes', () => {
    const parameters = (name: string) => built(name).parameters.map((parameter) => parameter.name);
    expect(parameters('resnet-50')).toEqual(
      expect.arrayContaining([
        'conv1.weight',
        'bn1.runningMean',
        'layer1-0-conv1.weight',
        'layer1-0-downsample-0.weight',
        'layer1-0-downsample-1.scale',
        'layer4-2-bn3.shift',
        'fc.bias',
      ]),
    );
    expect(parameters('alexnet').filter((name) => name.endsWith('weight'))).toEqual(
      [0, 3, 6, 8, 10]
        .map((i) => `features-${i}.weight`)
        .concat([1, 4, 6].map((i) => `classifier-${i}.weight`)),
    );
    const vgg = parameters('vgg-16').filter((name) => name.endsWith('weight'));
    expect(vgg.map((name) => Number(/-(\d+)/.exec(name)![1]))).toEqual([
      ...[0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
      ...[0, 3, 6],
    ]);
  });

  it.each([
    ['resnet-19', {}, /no preset 'resnet-19'; did you mean 'resnet-/],
    ['resnet-18', { stem: 'mnist' }, /preset resnet-18: stem is "mnist"; expected imagenet or cifar/],
    ['gpt', { depths: 3 }, /preset gpt: no option 'depths'; did you mean 'depth'\?/],
    ['vgg-11', { image: 16 }, /preset vgg-11: image is 16; expected an integer from 32/],
    ['tabular', {}, /preset tabular: features is missing; expected an integer from 1/],
    ['toString', {}, /no preset 'toString'/],
  ])('%s refuses %j', (name, options, message) => {
    expect(() => describePreset(name, options)).toThrow(PresetError);
    expect(() => describePreset(name, options)).toThrow(message);
  });
});
