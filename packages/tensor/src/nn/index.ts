/** The list of layers: one line each. Job files, their schema and the model builder know exactly these. */
import { activationLayers, elu, leakyRelu, prelu, softmax } from './activation.ts';
import { adaptiveAveragePool } from './adaptive-pool.ts';
import { selfAttention } from './attention.ts';
import { conv1d } from './conv1d.ts';
import { conv2d } from './conv2d.ts';
import { conv2dTranspose } from './conv2d-transpose.ts';
import { dense } from './dense.ts';
import { dropout } from './dropout.ts';
import { embedding, positionalEncoding } from './embedding.ts';
import { flatten } from './flatten.ts';
import { groupNorm, instanceNorm } from './group-norm.ts';
import { input } from './input.ts';
import { add, concat } from './join.ts';
import type { DescriptionOf, LayerType } from './layer.ts';
import { batchNorm, layerNorm, rmsNorm } from './norm.ts';
import { averagePool, globalAveragePool, maxPool } from './pooling.ts';
import { gru, lstm, rnn } from './recurrent.ts';
import { reshape } from './reshape.ts';
import { squeezeExcite } from './squeeze-excite.ts';
import { transformerBlock } from './transformer-block.ts';
import { upsample } from './upsample.ts';

export const layerTypes = {
  input,
  dense,
  conv2d,
  conv1d,
  conv2dTranspose,
  upsample,
  maxPool,
  averagePool,
  globalAveragePool,
  adaptiveAveragePool,
  squeezeExcite,
  batchNorm,
  layerNorm,
  rmsNorm,
  groupNorm,
  instanceNorm,
  dropout,
  flatten,
  reshape,
  embedding,
  positionalEncoding,
  selfAttention,
  transformerBlock,
  rnn,
  lstm,
  gru,
  add,
  concat,
  ...activationLayers,
  leakyRelu,
  prelu,
  elu,
  softmax,
} as const;

export type LayerTypeName = keyof typeof layerTypes;

/** A layer as a job file writes it: `{ type: 'dense', units: 10 }`. */
export type LayerDescription = {
  [K in LayerTypeName]: (typeof layerTypes)[K] extends LayerType<infer T, infer O>
    ? DescriptionOf<T, O>
    : never;
}[LayerTypeName];

/** The names that `type` may have. */
export const layerTypeNames = Object.keys(layerTypes) as readonly LayerTypeName[];

/** The layer of that type, if there is one. */
export function layerNamed(type: string): LayerType | undefined {
  return Object.hasOwn(layerTypes, type)
    ? (layerTypes[type as LayerTypeName] as unknown as LayerType)
    : undefined;
}
