/** Layers in models that train: the slope of the loss against central differences, and what layers refuse. */
import { describe, expect, it } from 'vitest';
import { runReference } from '../src/backends/reference/run.ts';
import { describePreset } from '../src/models/presets.ts';
import { buildModel, initializeParameters, type LayerDescription, ModelError } from '../src/nn/model.ts';
import { traceProgram } from '../src/training.ts';
import { feedsOf, models, request } from './support/models.ts';
import { slopesOf } from './support/slope.ts';

describe('the slope of the loss', () => {
  // Where batch norm's gradients would stand are the statistics that it reports.
  const differentiable = Object.entries(models).filter(
    ([, { layers }]) => !layers.some(({ type }) => type === 'batchNorm'),
  );

  it.each(differentiable)('of the model %s is that of central differences', (_, description) => {
    const model = buildModel(description);
    const { x, labels, sampleIds, key } = feedsOf(description);
    const feeds = { x, labels, sampleIds: [...sampleIds], key: [...key] };
    const parameters = Float64Array.from(initializeParameters(model, 4));
    const { measured, computed } = slopesOf(traceProgram(model, request), feeds, parameters, 1e-6);
    expect(measured / computed).toBeCloseTo(1, 5);
  });
});

describe('a causal model', () => {
  const tokens = 20;
  const sizes = { tokens, context: 40, width: 16, depth: 2, heads: 4, dropout: 0 };

  it.each(['gpt', 'llama'])('%s scores a token without those that follow', async (preset) => {
    const model = buildModel(describePreset(preset, sizes));
    const parameters = Float64Array.from(initializeParameters(model, 2));
    const program = traceProgram(model, { mode: 'predict', samples: 1 });
    const text = Array.from({ length: 40 }, (_, i) => (7 * i) % tokens);
    const scores = (x: readonly number[]) => runReference(program, { x }, parameters).logits;
    const [whole, cut] = [scores(text), scores(text.map((token, i) => (i < 25 ? token : 3)))];
    expect([...cut.slice(0, 25 * tokens)]).toEqual([...whole.slice(0, 25 * tokens)]);
    expect([...cut.slice(25 * tokens)]).not.toEqual([...whole.slice(25 * tokens)]);
  });
});

describe('what a layer starts as', () => {
  const start = (...layers: readonly LayerDescription[]) => {
    const model = buildModel({ input: [6], output: [5], layers });
    return (name: string) => model.parameters.find((parameter) => parameter.name === name)!.initializer;
  };

  it('the slopes of prelu are its option, and so are the weights in front of it', () => {
    const of = start({ type: 'dense', units: 5 }, { type: 'prelu', slope: 0.5 });
    expect(of('prelu1.slope')).toEqual({ kind: 'constant', value: 0.5 });
    expect(of('dense1.weight')).toEqual({ kind: 'uniform', bound: Math.sqrt(3 * (2 / (1.25 * 6))) });
  });

  it('a norm of groups lets weights see the activation behind it', () => {
    const of = start({ type: 'dense', units: 5 }, { type: 'groupNorm', groups: 1 }, { type: 'relu' });
    expect(of('dense1.weight')).toEqual({ kind: 'uniform', bound: 1 });
  });
});

describe('a layer refuses', () => {
  it.each<[readonly number[], LayerDescription, string]>([
    [[4, 4, 6], { type: 'groupNorm', groups: 4 }, 'groups is 4; expected a divisor of 6 channels'],
    [
      [6],
      { type: 'groupNorm', groups: 6 },
      'a group is a single number of [6], which would always become 0: use fewer than 6 groups',
    ],
    [
      [6],
      { type: 'instanceNorm' },
      'expected samples with several positions, [rows, columns, channels] or [time, channels], got [6]',
    ],
    [
      [4, 4, 2],
      { type: 'conv1d', filters: 2, size: 3 },
      'expected sequences [time, channels], got [4, 4, 2]: change the input of the model, or add a reshape layer',
    ],
    [
      [4, 2],
      { type: 'conv1d', filters: 2, size: 3, padding: 1, causal: true },
      'padding is 1; causal pads by itself: leave padding out',
    ],
    [
      [4, 2],
      { type: 'conv1d', filters: 3, size: 3, groups: 2 },
      'groups is 2; expected a divisor of 2 channels and 3 filters',
    ],
    [
      [4, 2],
      { type: 'conv1d', filters: 2, size: 3, dilation: 2 },
      'a window of 5 steps does not fit a sequence of 4',
    ],
    [
      [4, 4, 2],
      { type: 'conv2dTranspose', filters: 2, size: 2, padding: 2 },
      'padding is 2 x 2; expected less than the size, 2 x 2',
    ],
    [
      [4, 4, 2],
      { type: 'conv2dTranspose', filters: 2, size: 3, stride: 2, outputPadding: 2 },
      'outputPadding is 2 x 2; expected less than the stride, 2 x 2',
    ],
    [
      [1, 1, 2],
      { type: 'conv2dTranspose', filters: 2, size: 3, padding: 2 },
      'padding 2 x 2 leaves nothing of what an image of 1 x 1 becomes: use less',
    ],
    [
      [4, 4, 2],
      { type: 'adaptiveAveragePool', size: [3, 5] },
      'size is 3 x 5; expected at most that of the image, 4 x 4. To make images larger use upsample',
    ],
    [
      [4],
      { type: 'squeezeExcite' },
      'expected samples with positions, [rows, columns, channels] or [time, channels], got [4]',
    ],
    [
      [5, 12],
      { type: 'selfAttention', heads: 4, keyValueHeads: 3 },
      'keyValueHeads is 3; expected a divisor of 4 heads',
    ],
    [
      [5, 12],
      { type: 'transformerBlock', heads: 4, rotary: true },
      'rotary turns pairs of features, but each head has 3: change heads, so that 12 / heads is even',
    ],
  ])('samples %j for %j', (input, layer, message) => {
    const build = () => buildModel({ input, output: input, layers: [layer] });
    expect(build).toThrow(ModelError);
    expect(build).toThrow(`layers[0] (${layer.type}): ${message}`);
  });
});
