/** Activations as layers: every name in the pointwise table's list of activations is a layer type. */
import { apply } from '../ops/op.ts';
import { type ActivationName, activations, pointwiseOps } from '../ops/pointwise.ts';
import { defineLayer, type LayerType } from './layer.ts';

type None = Readonly<Record<never, never>>;

const activation = <T extends ActivationName>(type: T): LayerType<T, None> =>
  defineLayer<T, None>({
    type,
    summary: `Applies ${type} to each number.`,
    options: {},
    plan: (input) => ({ outputShape: input, parameters: [] }),
    forward: (x) => apply(pointwiseOps[type], [x], {}),
  });

export const activationLayers = Object.fromEntries(activations.map((name) => [name, activation(name)])) as {
  readonly [T in ActivationName]: LayerType<T, None>;
};
