/** Models that job files may name instead of listing layers. Data only. */
import type { ModelDescription } from '../nn/model.ts';

export interface ModelPreset {
  readonly summary: string;
  readonly description: ModelDescription;
}

export const presets: Readonly<Record<string, ModelPreset>> = {
  'mnist-mlp': {
    summary: 'Three dense layers for 28x28 grey images: 109,386 parameters.',
    description: {
      input: [784],
      classes: 10,
      layers: [
        { type: 'dense', units: 128 },
        { type: 'relu' },
        { type: 'dropout', rate: 0.2 },
        { type: 'dense', units: 64 },
        { type: 'relu' },
        { type: 'dense', units: 10 },
      ],
    },
  },
  'mnist-cnn': {
    summary:
      'Two convolutions with batch norm and pooling, two dense layers, for 28x28 grey images: 421,738 parameters.',
    description: {
      input: [28, 28, 1],
      classes: 10,
      layers: [
        { type: 'conv2d', filters: 32, size: 3, padding: 1, bias: false },
        { type: 'batchNorm' },
        { type: 'relu' },
        { type: 'maxPool', size: 2 },
        { type: 'conv2d', filters: 64, size: 3, padding: 1, bias: false },
        { type: 'batchNorm' },
        { type: 'relu' },
        { type: 'maxPool', size: 2 },
        { type: 'flatten' },
        { type: 'dense', units: 128 },
        { type: 'relu' },
        { type: 'dropout', rate: 0.5 },
        { type: 'dense', units: 10 },
      ],
    },
  },
};
