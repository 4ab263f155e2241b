/** The list of layers: one line each. Job files, their schema and the model builder know exactly these. */
import { activationLayers } from './activation.ts';
import { dense } from './dense.ts';
import { dropout } from './dropout.ts';
import { flatten } from './flatten.ts';
import type { DescriptionOf, LayerType } from './layer.ts';

export const layerTypes = {
  dense,
  dropout,
  flatten,
  ...activationLayers,
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
