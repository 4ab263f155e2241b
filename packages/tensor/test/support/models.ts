/** Models that the suites of both backends train. */
import { buildModel, type LayerDescription, type ModelDescription } from '../../src/nn/model.ts';
import { sizeOf } from '../../src/shape.ts';
import { uniforms } from './cases.ts';

const image = (layers: LayerDescription[]): ModelDescription => ({ input: [8, 8, 2], classes: 3, layers });
/** A model of every kind, small enough for a thousand steps in a test. */
export const models: Record<string, ModelDescription> = {
  convolution: image([
    { type: 'conv2d', filters: 4, size: 3, padding: 1 },
    { type: 'batchNorm' },
    { type: 'relu' },
    { type: 'maxPool', size: 2 },
    { type: 'dropout', rate: 0.3 },
    { type: 'flatten' },
    { type: 'dense', units: 3 },
  ]),
  residual: image([
    { type: 'conv2d', filters: 4, size: 3, padding: 1, name: 'stem' },
    { type: 'conv2d', filters: 4, size: 3, padding: 1, bias: false },
    { type: 'batchNorm', name: 'branch' },
    { type: 'add', from: ['stem', 'branch'] },
    { type: 'relu', name: 'sum' },
    { type: 'conv2d', filters: 2, size: 1, from: 'stem', name: 'side' },
    { type: 'concat', from: ['sum', 'side'] },
    { type: 'globalAveragePool' },
    { type: 'dense', units: 3 },
  ]),
  norms: image([
    { type: 'conv2d', filters: 4, size: 3 },
    { type: 'groupNorm', groups: 2 },
    { type: 'prelu' },
    { type: 'conv2d', filters: 3, size: 3 },
    { type: 'instanceNorm' },
    { type: 'mish' },
    { type: 'hardSwish' },
    { type: 'flatten' },
    { type: 'dense', units: 6 },
    { type: 'rmsNorm' },
    { type: 'elu', alpha: 0.7 },
    { type: 'dense', units: 4 },
    { type: 'hardSigmoid' },
    { type: 'dense', units: 3 },
  ]),
  decoder: image([
    { type: 'conv2d', filters: 4, size: 3, stride: 2 },
    { type: 'squeezeExcite', reduction: 2 },
    { type: 'conv2dTranspose', filters: 3, size: 3, stride: 2, padding: 1, outputPadding: 1 },
    { type: 'tanh' },
    { type: 'upsample', method: 'bilinear' },
    { type: 'conv2d', filters: 2, size: 3 },
    { type: 'upsample', scale: [1, 2] },
    { type: 'adaptiveAveragePool', size: [3, 4] },
    { type: 'flatten' },
    { type: 'dense', units: 3 },
  ]),
  sound: {
    input: [8, 3],
    classes: 3,
    layers: [
      { type: 'conv1d', filters: 4, size: 3, dilation: 2, causal: true },
      { type: 'tanh' },
      { type: 'conv1d', filters: 4, size: 2, stride: 2, padding: 1, groups: 2 },
      { type: 'squeezeExcite', gate: 'hardSigmoid' },
      { type: 'flatten' },
      { type: 'dense', units: 3 },
    ],
  },
  lstm: {
    input: [6],
    classes: 3,
    layers: [
      { type: 'embedding', tokens: 9, units: 5, std: 1 },
      { type: 'lstm', units: 4, layers: 2, bidirectional: true },
      { type: 'dense', units: 3 },
    ],
  },
  inputs: {
    classes: 3,
    layers: [
      { type: 'input', name: 'numbers', shape: [2, 2] },
      { type: 'flatten' },
      { type: 'dense', units: 16 },
      { type: 'tanh', name: 'of-numbers' },
      { type: 'input', name: 'tokens', shape: [3] },
      { type: 'embedding', tokens: 9, units: 2, std: 1 },
      { type: 'flatten', name: 'of-tokens' },
      { type: 'concat', from: ['of-numbers', 'of-tokens'] },
      { type: 'dense', units: 3 },
    ],
  },
  transformer: {
    input: [6],
    classes: 3,
    layers: [
      { type: 'embedding', tokens: 9, units: 8, std: 1 },
      { type: 'positionalEncoding' },
      { type: 'transformerBlock', heads: 2, causal: true, dropout: 0.2 },
      { type: 'layerNorm' },
      { type: 'flatten' },
      { type: 'dense', units: 3 },
    ],
  },
  llama: {
    input: [6],
    classes: 3,
    layers: [
      { type: 'embedding', tokens: 9, units: 8, std: 1 },
      {
        ...{ type: 'transformerBlock', heads: 4, keyValueHeads: 2, rotary: true, causal: true },
        ...{ norm: 'rms', feedForward: 'swiglu', bias: false, dropout: 0.2 },
      },
      { type: 'rmsNorm' },
      { type: 'flatten' },
      { type: 'dense', units: 3 },
    ],
  },
};
/** What the suites run of them. */
export const request = { mode: 'train', samples: 5 } as const;

/** A batch for one of them. */
export function feedsOf(description: ModelDescription) {
  const tokens = description.layers.some(({ type }) => type === 'embedding');
  const x = uniforms(request.samples * sizeOf(buildModel(description).sampleShape), 31);
  return {
    x: Float32Array.from(x, (u) => (tokens ? Math.floor(9 * u) : 2 * u - 1)),
    labels: Int32Array.of(0, 1, 2, 1, 0),
    sampleIds: Uint32Array.of(3, 1, 4, 15, 9),
    key: Uint32Array.of(5, 0, 3, 0),
  };
}
