/** ONNX files against ONNX Runtime: every layer type and option, at one sample and at seven, from one file. */
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { exportOnnx } from '../src/io/onnx/export.ts';
import { layerTypeNames } from '../src/nn/index.ts';
import { buildModel, initializeParameters, type LayerDescription } from '../src/nn/model.ts';
import { channelsFirst, transposed } from '../src/onnx/graph.ts';
import { Message } from '../src/onnx/protobuf.ts';
import type { ActivationName } from '../src/ops/pointwise.ts';
import { sizeOf } from '../src/shape.ts';
import { disagreement, runOnnx } from './support/onnx.ts';

type ActivationLayer = ActivationName | 'softmax' | 'elu' | 'prelu';

interface Case {
  readonly label: string;
  /** Undefined: the layers name their inputs. */
  readonly input?: readonly number[];
  readonly layers: readonly LayerDescription[];
  /** The input is whole numbers below it. */
  readonly tokens?: number;
}

const pointwise = [
  ...['relu', 'sigmoid', 'tanh', 'softplus', 'silu', 'gelu', 'geluTanh', 'softmax'],
  ...['hardSigmoid', 'hardSwish', 'mish', 'elu', 'prelu'],
] as readonly ActivationLayer[];
const image = [7, 6, 4] as const;
const sequence = [5, 6] as const;
const llama: LayerDescription = {
  ...{ type: 'transformerBlock', heads: 6, keyValueHeads: 2, rotary: true, causal: true },
  ...{ norm: 'rms', feedForward: 'swiglu', bias: false },
};
const conv = (options: object): LayerDescription => ({ type: 'conv2d', filters: 6, size: 3, ...options });

const cases: readonly Case[] = [
  { label: 'dense', input: [5], layers: [{ type: 'dense', units: 3 }] },
  { label: 'dense without bias', input: [5], layers: [{ type: 'dense', units: 3, bias: false }] },
  { label: 'dense over time', input: sequence, layers: [{ type: 'dense', units: 3 }] },
  { label: 'dense over time, no bias', input: sequence, layers: [{ type: 'dense', units: 3, bias: false }] },
  ...pointwise.map((type) => ({ label: type, input: [9], layers: [{ type }] })),
  ...pointwise.map((type) => ({ label: `${type} of an image`, input: image, layers: [conv({}), { type }] })),
  { label: 'leakyRelu', input: [9], layers: [{ type: 'leakyRelu' }] },
  { label: 'leakyRelu of slope 0', input: [9], layers: [{ type: 'leakyRelu', slope: 0 }] },
  { label: 'conv2d', input: image, layers: [conv({})] },
  {
    label: 'conv2d, every option',
    input: [9, 8, 4],
    layers: [
      conv({ stride: [2, 1], padding: [2, 1], dilation: [1, 2], groups: 2, bias: false, size: [3, 2] }),
    ],
  },
  { label: 'conv2d, depthwise', input: image, layers: [conv({ filters: 8, groups: 4, padding: 1 })] },
  { label: 'conv1d', input: sequence, layers: [{ type: 'conv1d', filters: 4, size: 3, padding: 1 }] },
  {
    label: 'conv1d, every option',
    input: [11, 6],
    layers: [
      { type: 'conv1d', filters: 4, size: 2, stride: 2, padding: 1, dilation: 3, groups: 2, bias: false },
      { type: 'batchNorm' },
      { type: 'conv1d', filters: 3, size: 3, dilation: 2, causal: true },
    ],
  },
  { label: 'conv2dTranspose', input: image, layers: [{ type: 'conv2dTranspose', filters: 3, size: 3 }] },
  {
    label: 'conv2dTranspose, every option',
    input: image,
    layers: [
      conv({}),
      {
        ...{ type: 'conv2dTranspose', filters: 3, size: [3, 4], stride: [2, 3] },
        ...{ padding: [1, 2], outputPadding: [1, 0], bias: false },
      },
      { type: 'relu' },
    ],
  },
  { label: 'upsample', input: image, layers: [{ type: 'upsample' }] },
  { label: 'upsample of several', input: image, layers: [{ type: 'upsample', scale: [3, 2] }, conv({})] },
  {
    label: 'upsample, bilinear',
    input: image,
    layers: [conv({}), { type: 'upsample', scale: [2, 3], method: 'bilinear' }],
  },
  {
    label: 'adaptiveAveragePool, evenly',
    input: [6, 4, 2],
    layers: [{ type: 'adaptiveAveragePool', size: [3, 2] }],
  },
  {
    label: 'adaptiveAveragePool, with windows that overlap',
    input: image,
    layers: [conv({}), { type: 'adaptiveAveragePool', size: [3, 3] }],
  },
  {
    label: 'squeezeExcite of an image',
    input: image,
    layers: [conv({}), { type: 'squeezeExcite', reduction: 2 }, { type: 'relu' }],
  },
  {
    label: 'squeezeExcite of a sequence',
    input: sequence,
    layers: [{ type: 'squeezeExcite', gate: 'hardSigmoid' }],
  },
  { label: 'maxPool', input: image, layers: [{ type: 'maxPool', size: 2 }] },
  {
    label: 'maxPool, every option',
    input: image,
    layers: [{ type: 'maxPool', size: [3, 2], stride: [2, 1], padding: [1, 0] }],
  },
  { label: 'averagePool', input: image, layers: [{ type: 'averagePool', size: 2 }] },
  {
    label: 'averagePool, every option',
    input: image,
    layers: [{ type: 'averagePool', size: [3, 2], stride: [1, 2], padding: 1 }],
  },
  { label: 'globalAveragePool', input: image, layers: [{ type: 'globalAveragePool' }] },
  { label: 'batchNorm of an image', input: image, layers: [{ type: 'batchNorm', epsilon: 0.01 }] },
  { label: 'batchNorm of a row', input: [6], layers: [{ type: 'batchNorm' }] },
  { label: 'batchNorm of a sequence', input: sequence, layers: [{ type: 'batchNorm' }, { type: 'relu' }] },
  { label: 'layerNorm of a row', input: [6], layers: [{ type: 'layerNorm', epsilon: 0.1 }] },
  { label: 'layerNorm of an image', input: image, layers: [conv({}), { type: 'layerNorm' }] },
  { label: 'elu of alpha 0.3', input: [9], layers: [{ type: 'elu', alpha: 0.3 }] },
  { label: 'prelu of a sequence', input: sequence, layers: [{ type: 'prelu' }] },
  { label: 'rmsNorm of a row', input: [6], layers: [{ type: 'rmsNorm', epsilon: 0.1 }] },
  { label: 'rmsNorm of an image', input: image, layers: [conv({}), { type: 'rmsNorm' }] },
  { label: 'groupNorm of a row', input: [6], layers: [{ type: 'groupNorm', groups: 2 }] },
  { label: 'groupNorm of a sequence', input: sequence, layers: [{ type: 'groupNorm', groups: 3 }] },
  {
    label: 'groupNorm of an image',
    input: image,
    layers: [conv({}), { type: 'groupNorm', groups: 2, epsilon: 0.01 }, { type: 'relu' }],
  },
  {
    label: 'instanceNorm of an image',
    input: image,
    layers: [conv({}), { type: 'instanceNorm' }, { type: 'maxPool', size: 2 }],
  },
  { label: 'instanceNorm of a sequence', input: sequence, layers: [{ type: 'instanceNorm' }] },
  { label: 'dropout', input: [6], layers: [{ type: 'dropout', rate: 0.5 }] },
  { label: 'flatten', input: image, layers: [conv({}), { type: 'flatten' }, { type: 'dense', units: 2 }] },
  {
    label: 'reshape',
    input: [24],
    layers: [{ type: 'reshape', shape: [2, 3, 4] }, conv({ size: 2 }), { type: 'reshape', shape: [6, 2] }],
  },
  { label: 'embedding', input: [5], layers: [{ type: 'embedding', tokens: 11, units: 4 }], tokens: 11 },
  {
    label: 'embedding of an input that is read as numbers too',
    input: [5],
    tokens: 11,
    layers: [
      { type: 'embedding', tokens: 11, units: 4 },
      { type: 'flatten', name: 'vectors' },
      { type: 'concat', from: ['vectors', 'input'] },
    ],
  },
  { label: 'positionalEncoding', input: [600, 6], layers: [{ type: 'positionalEncoding' }] },
  {
    label: 'positionalEncoding, learned',
    input: sequence,
    layers: [{ type: 'positionalEncoding', kind: 'learned' }],
  },
  { label: 'selfAttention', input: sequence, layers: [{ type: 'selfAttention', heads: 2 }] },
  {
    label: 'selfAttention, causal',
    input: sequence,
    layers: [{ type: 'selfAttention', heads: 3, causal: true, dropout: 0.5 }],
  },
  {
    label: 'selfAttention, causal, in blocks',
    input: [71, 6],
    layers: [{ type: 'selfAttention', heads: 3, causal: true }],
  },
  {
    label: 'selfAttention with a mask',
    input: [6],
    tokens: 2,
    layers: [
      { type: 'embedding', name: 'vectors', tokens: 2, units: 4 },
      { type: 'selfAttention', heads: 2, causal: true, from: ['vectors', 'input'] },
    ],
  },
  {
    label: 'selfAttention, rotary, of fewer keys, in blocks',
    input: [71, 8],
    layers: [{ type: 'selfAttention', heads: 4, keyValueHeads: 2, rotary: true, causal: true }],
  },
  {
    label: 'selfAttention of one key with a mask and no bias',
    input: [6],
    tokens: 2,
    layers: [
      { type: 'embedding', name: 'vectors', tokens: 2, units: 4 },
      { type: 'selfAttention', heads: 2, keyValueHeads: 1, bias: false, from: ['vectors', 'input'] },
    ],
  },
  {
    label: "transformerBlock, Llama's",
    input: [5, 12],
    layers: [llama, llama],
  },
  {
    label: 'transformerBlock, gated, norm behind',
    input: sequence,
    layers: [{ type: 'transformerBlock', heads: 3, normFirst: false, feedForward: 'swiglu', norm: 'rms' }],
  },
  {
    label: 'transformerBlock',
    input: sequence,
    layers: [
      { type: 'transformerBlock', heads: 2, causal: true, hidden: 5 },
      { type: 'transformerBlock', heads: 2, causal: true },
    ],
  },
  {
    label: 'transformerBlock, norm behind',
    input: sequence,
    layers: [{ type: 'transformerBlock', heads: 3, normFirst: false, dropout: 0.1 }],
  },
  ...(['rnn', 'lstm', 'gru'] as const).flatMap((type): Case[] => [
    { label: type, input: sequence, layers: [{ type, units: 4 }] },
    {
      label: `${type}, its sequence`,
      input: sequence,
      layers: [{ type, units: 4, returns: 'sequence' }, { type: 'relu' }],
    },
    {
      label: `${type}, both ways in two layers`,
      input: sequence,
      layers: [{ type, units: 4, layers: 2, bidirectional: true }],
    },
    {
      label: `${type}, both ways, its sequence, into another`,
      input: sequence,
      layers: [
        { type, units: 3, layers: 2, bidirectional: true, returns: 'sequence' },
        { type, units: 4 },
      ],
    },
  ]),
  {
    label: 'add of two paths of an image',
    input: image,
    layers: [
      conv({ name: 'a', padding: 1 }),
      { type: 'batchNorm', name: 'b' },
      conv({ name: 'c', size: 1, from: 'input' }),
      { type: 'add', from: ['b', 'c', 'a'] },
      { type: 'relu' },
      { type: 'globalAveragePool' },
    ],
  },
  {
    label: 'add of an image and the input',
    input: image,
    layers: [conv({ name: 'a', filters: 4, padding: 1 }), { type: 'add', from: ['input', 'a'] }],
  },
  {
    label: 'concat of images',
    input: image,
    layers: [
      conv({ name: 'a' }),
      conv({ name: 'b', filters: 2, from: 'input' }),
      { type: 'concat', from: ['a', 'b'] },
      { type: 'maxPool', size: 2 },
    ],
  },
  {
    label: 'several inputs, one of tokens and one that is looked up and read as numbers',
    tokens: 5,
    layers: [
      { type: 'input', name: 'words', shape: [3] },
      { type: 'embedding', tokens: 5, units: 2 },
      { type: 'flatten', name: 'of-words' },
      { type: 'input', name: 'output', shape: [2] },
      { type: 'embedding', tokens: 5, units: 2 },
      { type: 'flatten', name: 'of-both' },
      { type: 'concat', from: ['of-words', 'output', 'of-both'] },
    ],
  },
  {
    label: 'concat of an image and the input',
    input: image,
    layers: [conv({ name: 'a', padding: 1 }), { type: 'concat', from: ['a', 'input'] }],
  },
];

/** The case's layers, and a flatten where a model wants one at its end. */
function modelOf({ input, layers }: Case) {
  const probe = (flatten: boolean, classes: number) =>
    buildModel({
      ...(input && { input }),
      classes,
      layers: flatten ? [...layers, { type: 'flatten' }] : layers,
    });
  for (let flatten = 0; ; flatten++) {
    try {
      return probe(flatten > 0, 1);
    } catch (error) {
      const shape = /gives \[([\d, ]+)\] for each sample/.exec(String(error))?.[1]?.split(',').map(Number);
      if (!shape) throw error;
      if (shape.length === 1) return probe(flatten > 0, shape[0]!);
    }
  }
}

describe('ONNX Runtime agrees', () => {
  it.each(cases.map((each) => [each.label, each] as const))('on %s', async (_, each) => {
    for (const run of await runOnnx(modelOf(each), [1, 7], each.tokens)) {
      expect(disagreement(run)).toBeLessThan(1e-5);
      expect(sizeOf(run.shape)).toBe(run.ours.length);
    }
  });

  it('on every layer type', () => {
    const tested = new Set(cases.flatMap(({ layers }) => layers.map(({ type }) => type)));
    expect(layerTypeNames.filter((type) => !tested.has(type))).toEqual([]);
  });
});

describe('an ONNX file', () => {
  const residual = buildModel({
    input: [8, 8, 3],
    classes: 6,
    layers: [
      conv({ padding: 1, bias: false, name: 'stem' }),
      { type: 'batchNorm' },
      { type: 'relu', name: 'in' },
      conv({ padding: 1 }),
      { type: 'add', from: ['conv2d2', 'in'] },
      { type: 'maxPool', size: 2 },
      { type: 'globalAveragePool' },
    ],
  });

  it('transposes images once, at the edge', async () => {
    const file = await exportOnnx(residual, initializeParameters(residual, 1));
    const text = Buffer.from(file).toString('latin1');
    expect(text.split('\x22\x09Transpose').length - 1).toBe(1); // field 4 of a node, its operator
    expect(text).toContain('stem/Conv');
    expect(text).toContain('stem.weight');
  });

  it('says what its input is, and carries metadata', async () => {
    const file = await exportOnnx(residual, initializeParameters(residual, 1), {
      metadata: { 'kasane.model': '{"x":1}' },
      preprocessing: 'pixels / 255',
    });
    const text = Buffer.from(file).toString('latin1');
    for (const part of ['[batch, rows, columns, channels]: pixels / 255', 'kasane.model', '{"x":1}']) {
      expect(text).toContain(part);
    }
    const session = await InferenceSession.create(file);
    expect(session.inputMetadata).toMatchObject([
      { name: 'input', type: 'float32', shape: ['batch', 8, 8, 3] },
    ]);
    expect(session.outputMetadata).toMatchObject([{ name: 'output', type: 'float32', shape: ['batch', 6] }]);
    await session.release();
  });

  it('has an input of tokens where they are only looked up', async () => {
    const model = buildModel({
      input: [4],
      classes: 8,
      layers: [{ type: 'embedding', tokens: 3, units: 2 }, { type: 'flatten' }],
    });
    const session = await InferenceSession.create(await exportOnnx(model, initializeParameters(model, 1)));
    expect(session.inputMetadata).toMatchObject([{ type: 'int64', shape: ['batch', 4] }]);
    await session.release();
  });

  it('is the same to the byte each time', async () => {
    const parameters = initializeParameters(residual, 1);
    expect(await exportOnnx(residual, parameters)).toEqual(await exportOnnx(residual, parameters));
  });

  it('is not made from parameters of another model', async () => {
    await expect(exportOnnx(residual, new Float32Array(5))).rejects.toThrow(
      `got 5 parameters; the model has ${residual.parameterCount}`,
    );
  });
});

describe('the wire format', () => {
  it('writes numbers as the specification shows them', () => {
    expect([...new Message().integer(1, 150).finish()]).toEqual([0x08, 0x96, 0x01]);
    expect([...new Message().text(2, 'testing').finish()]).toEqual([0x12, 7, ...Buffer.from('testing')]);
    expect([...new Message().integer(1, -2).finish()]).toEqual([8, 0xfe, ...Array(8).fill(0xff), 1]);
    expect([...new Message().message(3, new Message().integer(1, 150)).finish()]).toEqual([
      0x1a, 3, 8, 0x96, 1,
    ]);
    expect([...new Message().float(16, 1).finish()]).toEqual([0x85, 0x01, 0, 0, 0x80, 0x3f]);
  });

  it('ends at what readers take', () => {
    const half = new Uint8Array(2 ** 30);
    const message = new Message().content(1, half).content(1, half);
    expect(() => message.finish()).toThrow('Protocol Buffers allow at most 2147483647');
  });
});

it('axes in another order', () => {
  const data = Float32Array.from({ length: 24 }, (_, i) => i);
  const turned = transposed(data, [2, 3, 4], channelsFirst(3));
  expect([...turned.slice(0, 4)]).toEqual([0, 4, 8, 1]);
  expect([...transposed(turned, [2, 4, 3], [0, 2, 1])]).toEqual([...data]);
});
