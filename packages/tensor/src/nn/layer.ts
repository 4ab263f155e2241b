/** What a layer is: the options a job file may give, the parameters it has, and its forward pass as ordinary operations. */
import type { Node } from '../graph.ts';
import type { Shape } from '../shape.ts';

/** An option of a layer in a job file, as data: checks, types and the job schema all come from it. */
export type OptionRule =
  | {
      readonly kind: 'integer';
      readonly minimum: number;
      readonly maximum: number;
      readonly describe: string;
    }
  | { readonly kind: 'number'; readonly minimum: number; readonly below: number; readonly describe: string }
  | { readonly kind: 'boolean'; readonly default: boolean; readonly describe: string };

export type OptionRules = Readonly<Record<string, OptionRule>>;
type ValueOf<R extends OptionRule> = OptionRule extends R
  ? number | boolean
  : R['kind'] extends 'boolean'
    ? boolean
    : number;
type Defaulted<O extends OptionRules> = {
  [K in keyof O]: O[K] extends { readonly default: unknown } ? K : never;
}[keyof O];

/** Options after defaults were filled in. */
export type OptionValues<O extends OptionRules> = { readonly [K in keyof O]: ValueOf<O[K]> };

/** A layer as a job file writes it. */
export type DescriptionOf<T extends string, O extends OptionRules> = {
  readonly type: T;
  /** Default: type and ordinal among the layers of that type, from 1: dense1, dense2. */
  readonly name?: string;
} & { readonly [K in Exclude<keyof O, Defaulted<O>>]: ValueOf<O[K]> } & {
  readonly [K in Defaulted<O>]?: ValueOf<O[K]>;
};

/** How a parameter starts: all zeros, or uniform in [-bound, bound). */
export type Initializer = { readonly kind: 'zeros' } | { readonly kind: 'uniform'; readonly bound: number };

export interface ParameterPlan {
  /** Within the layer: 'weight'. */
  readonly name: string;
  readonly shape: Shape;
  readonly initializer: Initializer;
}

/** What a layer will be for a given sample shape. */
export interface LayerPlan {
  readonly outputShape: Shape;
  readonly parameters: readonly ParameterPlan[];
}

export interface PlanContext {
  /** Type of the next layer that is not `transparent`: initialisers depend on the activation that follows. */
  readonly followedBy: string | undefined;
}

export interface ForwardContext<O extends OptionRules = OptionRules> {
  readonly options: OptionValues<O>;
  /** One leaf for each of the plan's parameters. */
  readonly parameters: readonly Node[];
  /** Index among all layers of the model: it keys the layer's randomness. */
  readonly index: number;
  /** Present while training: what random layers draw from. */
  readonly random: { readonly sampleIds: Node; readonly key: Node } | undefined;
}

export interface LayerType<T extends string = string, O extends OptionRules = OptionRules> {
  readonly type: T;
  readonly summary: string;
  readonly options: O;
  /** True: values pass through as they are, or masked (dropout, flatten). */
  readonly transparent?: boolean;
  /** Throws LayerError when samples of this shape cannot be taken. */
  plan(input: Shape, options: OptionValues<O>, context: PlanContext): LayerPlan;
  /** x is [samples, ...input]. */
  forward(x: Node, context: ForwardContext<O>): Node;
}

/** Why a layer cannot be; `model.ts` adds which layer it is. */
export class LayerError extends Error {
  override readonly name = 'LayerError';
}

/** Declares a layer; infers the types of its options. */
export function defineLayer<const T extends string, const O extends OptionRules>(
  layer: LayerType<T, O>,
): LayerType<T, O> {
  return layer;
}
