/**
 * Every preset as an ONNX file in ONNX Runtime, at one sample and at seven. Layers are all there; where the full size takes
 * long, images and widths of dense layers are smaller. resnet-18 and resnet-50 have their published sizes.
 */
import { expect, it } from 'vitest';
import { describePreset, type PresetName, presetNames } from '../src/models/presets.ts';
import { buildModel } from '../src/nn/model.ts';
import { disagreement, exported, runOnnx } from './support/onnx.ts';

const small = { image: 32, width: 8, classes: 10 };
/** Options, and for tokens the size of the vocabulary. */
const configurations: Readonly<
  Record<PresetName, { readonly options?: Readonly<Record<string, unknown>>; readonly tokens?: number }>
> = {
  perceptron: {},
  xor: {},
  tabular: { options: { features: 9, task: 'regression', outputs: 3 } },
  'mnist-mlp': {},
  'mnist-cnn': {},
  'cnn-224': { options: { image: 40 } },
  alexnet: { options: { image: 95, hidden: 64, classes: 10 } },
  'vgg-11': { options: { image: 32, hidden: 64, norm: true, classes: 10 } },
  'vgg-16': { options: { image: 32, hidden: 64, classes: 10 } },
  'resnet-18': { options: { image: 64 } },
  'resnet-34': { options: { ...small, stem: 'cifar' } },
  'resnet-50': { options: { image: 64 } },
  'resnet-101': { options: small },
  'resnet-152': { options: small },
  gpt: { options: { context: 32 }, tokens: 256 },
  llama: { options: { context: 32 }, tokens: 256 },
  bert: { options: { context: 32 }, tokens: 256 },
  'lstm-text': { options: { tokens: 500, context: 20, bidirectional: true, layers: 2 }, tokens: 500 },
  'gru-text': { options: { tokens: 500, context: 20 }, tokens: 500 },
  'lstm-forecast': { options: { features: 3 } },
};

it.each(presetNames)(
  '%s',
  async (name) => {
    const { options, tokens } = configurations[name];
    const model = buildModel(describePreset(name, options));
    const { nodes, initializers } = await exported(model);
    const read = new Set(nodes.flatMap(({ inputs }) => inputs));
    expect(initializers.filter((tensor) => !read.has(tensor))).toEqual([]);
    // Of a node with several outputs one is enough.
    const idle = nodes.filter(
      ({ outputs }) => !outputs.some((value) => read.has(value) || value === 'output'),
    );
    expect(idle).toEqual([]);
    for (const run of await runOnnx(model, [1, 7], tokens)) {
      expect(disagreement(run)).toBeLessThan(1e-4);
      expect(run.shape.slice(1)).toEqual([...model.outputShape]);
      // Numbers that no longer tell anything would agree too.
      expect(run.ours.every(Number.isFinite)).toBe(true);
      expect(run.ours.length === 1 || new Set(run.ours).size > 1).toBe(true);
    }
  },
  60_000,
);
