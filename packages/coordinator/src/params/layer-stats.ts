/** What is shown of the layers after an update: how much it changed each, and the distribution of its values. */
import type { LayerSnapshot } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import type { Squares } from '@kasane/tensor/optim/updater';
import { histogramOf } from './histograms.ts';

/** The effect of an update on one layer. */
export interface LayerChange {
  readonly layer: string;
  /** L2 norms: of its gradient, of its updated parameters, and of the update relative to them. */
  readonly gradientNorm: number;
  readonly weightNorm: number;
  readonly updateRatio: number;
}

/** @param squares sums of squares from an update, by parameter */
export function layerChanges(parameters: readonly ParameterSpec[], squares: Squares): LayerChange[] {
  const sums = new Map<string, { gradient: number; weight: number; change: number }>();
  for (const [index, { layer, statistic }] of parameters.entries()) {
    if (statistic) continue;
    const sum = sums.get(layer) ?? { gradient: 0, weight: 0, change: 0 };
    sums.set(layer, sum);
    sum.gradient += squares.gradient[index]!;
    sum.weight += squares.parameter[index]!;
    sum.change += squares.change[index]!;
  }
  return [...sums].map(([layer, { gradient, weight, change }]) => ({
    layer,
    gradientNorm: Math.sqrt(gradient),
    weightNorm: Math.sqrt(weight),
    updateRatio: weight > 0 ? Math.sqrt(change / weight) : 0,
  }));
}

/** Each layer is represented by its first parameter, its weights. @param gradient flat, like `values` */
export function layerSnapshots(
  parameters: readonly ParameterSpec[],
  gradient: Float32Array,
  values: Float32Array,
): LayerSnapshot[] {
  const seen = new Set<string>();
  const none = { activations: undefined, activationRms: 0, deadUnits: 0, units: 0 };
  return parameters.flatMap(({ layer, offset, size, statistic }) => {
    if (statistic || seen.has(layer)) return [];
    seen.add(layer);
    const of = (all: Float32Array) => histogramOf(all, offset, offset + size);
    return [{ layer, gradient: of(gradient), weights: of(values), ...none }];
  });
}
