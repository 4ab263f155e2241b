/** What a layer is: the options a job file may give, the parameters it has, and its forward pass as ordinary operations. */
import type { Node } from '../graph.ts';
import type { NamedTensor } from '../named-tensor.ts';
import type { OnnxGraph, OnnxValue } from '../onnx/graph.ts';
import type { Shape } from '../shape.ts';

/** An option of a layer in a job file, as data: checks, types and the job schema all come from it. */
export type OptionRule =
  | {
      readonly kind: 'integer';
      readonly minimum: number;
      readonly maximum: number;
      readonly default?: number;
      readonly describe: string;
    }
  | {
      readonly kind: 'number';
      readonly minimum: number;
      readonly below: number;
      readonly default?: number;
      readonly describe: string;
    }
  | { readonly kind: 'boolean'; readonly default: boolean; readonly describe: string }
  | {
      readonly kind: 'choice';
      readonly choices: readonly string[];
      readonly default?: string;
      readonly describe: string;
    }
  /** One integer for rows and columns alike, or two: [rows, columns]. */
  | {
      readonly kind: 'pair';
      readonly minimum: number;
      readonly maximum: number;
      readonly default?: number;
      readonly describe: string;
    }
  /** A list of positive integers. */
  | { readonly kind: 'shape'; readonly default?: readonly number[]; readonly describe: string };

export type OptionRules = Readonly<Record<string, OptionRule>>;
export type OptionValue = number | boolean | string | readonly number[];
interface ValueOfKind {
  integer: number;
  number: number;
  boolean: boolean;
  choice: string;
  pair: number | readonly [number, number];
  shape: readonly number[];
}
type ValueOf<R extends OptionRule> = OptionRule extends R
  ? OptionValue
  : R extends { readonly choices: readonly (infer C)[] }
    ? C
    : ValueOfKind[R['kind']];
type Defaulted<O extends OptionRules> = {
  [K in keyof O]: O[K] extends { readonly default: unknown } ? K : never;
}[keyof O];

/** Options after defaults were filled in. */
export type OptionValues<O extends OptionRules> = { readonly [K in keyof O]: ValueOf<O[K]> };

/** Options as a job file writes them: those with a default may be omitted. */
export type OptionsOf<O extends OptionRules> = {
  readonly [K in Exclude<keyof O, Defaulted<O>>]: ValueOf<O[K]>;
} & { readonly [K in Defaulted<O>]?: ValueOf<O[K]> };

/** A layer as a job file writes it. */
export type DescriptionOf<T extends string, O extends OptionRules> = {
  readonly type: T;
  /** Default: type and ordinal among the layers of that type, from 1: dense1, dense2. */
  readonly name?: string;
  /** Names of the layers whose outputs come in, or 'input'. Default: the layer before. */
  readonly from?: string | readonly string[];
  /** Parameters that are those of a layer before this one, by their names in this one: { weight: 'dense1.weight' }. */
  readonly tied?: Readonly<Record<string, string>>;
} & OptionsOf<O>;

/** How a parameter starts. */
export type Initializer =
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' }
  | { readonly kind: 'constant'; readonly value: number }
  /** In [-bound, bound). */
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'normal'; readonly std: number }
  /** Each block of `columns` columns orthogonal for itself (Saxe et al. 2014); one block without it. */
  | { readonly kind: 'orthogonal'; readonly columns?: number };

export interface ParameterPlan {
  /** Within the layer: 'weight'. */
  readonly name: string;
  readonly shape: Shape;
  readonly initializer: Initializer;
  /**
   * Present for what is not trained but follows a statistic of the batches: each step it moves by this part of the way to
   * what the layer reported.
   */
  readonly statistic?: { readonly rate: number };
}

/** What a layer will be for a given sample shape. */
export interface LayerPlan {
  readonly outputShape: Shape;
  readonly parameters: readonly ParameterPlan[];
}

/** A layer by its type and options. */
export interface Following {
  readonly type: string;
  readonly options: Readonly<Record<string, OptionValue>>;
}

export interface PlanContext {
  /** The next layer that is not `transparent`, its options checked: initialisers depend on the activation that follows. */
  readonly followedBy: Following | undefined;
  /** Shapes of all that comes in; the first is `input`. */
  readonly inputs: readonly Shape[];
}

export interface ForwardContext<O extends OptionRules = OptionRules> {
  readonly options: OptionValues<O>;
  /** One leaf for each of the plan's parameters. */
  readonly parameters: readonly Node[];
  /** All that comes in, [samples, ...]; the first is x. */
  readonly inputs: readonly Node[];
  /** Index among all layers of the model: it keys the layer's randomness. */
  readonly index: number;
  /** Present while training: what random layers draw from. */
  readonly random: { readonly sampleIds: Node; readonly key: Node } | undefined;
  /** While training, takes the batch's value of the plan's parameter of that index, a `statistic`. */
  readonly report: (parameter: number, value: Node) => void;
}

export interface OnnxContext<O extends OptionRules = OptionRules> {
  readonly options: OptionValues<O>;
  /** One for each of the plan's parameters, under its name in the model. */
  readonly parameters: readonly NamedTensor[];
  /** Of a sample, of each of the inputs. */
  readonly inputShapes: readonly Shape[];
  readonly outputShape: Shape;
}

/** What the reference, `kasane layers` and editors say of a layer. */
export interface LayerAbout {
  /** For somebody who sees it for the first time: what it does, what it is good for, what to watch out for. */
  readonly explains: string;
  /** Shape of a sample that comes in, such as [time, features]. */
  readonly takes: string;
  /** Shape of what comes out for it. */
  readonly gives: string;
  readonly formula: string;
  /** Author, year and title of the publication that introduced it, if there is one. */
  readonly paper?: string;
  /** A model that shows it in use, which can be built as it is. */
  readonly example: {
    readonly input?: readonly number[];
    readonly output: readonly number[];
    readonly layers: readonly ({ readonly type: string } & Readonly<
      Record<string, OptionValue | readonly string[]>
    >)[];
  };
}

export interface LayerType<T extends string = string, O extends OptionRules = OptionRules> {
  readonly type: T;
  /** One line. */
  readonly summary: string;
  readonly about: LayerAbout;
  readonly options: O;
  /** How many outputs of other layers it takes; exactly one without this. None: `plan` is given the shape []. */
  readonly inputs?: { readonly least: number; readonly most: number };
  /** True: it reads no layer but a part of the sample, as large as its output; x is then that part, [samples, size]. */
  readonly partOfSample?: true;
  /** True: values pass through as they are, or masked (dropout, flatten). */
  readonly transparent?: boolean;
  /** Throws LayerError when samples of this shape cannot be taken. */
  plan(input: Shape, options: OptionValues<O>, context: PlanContext): LayerPlan;
  /** x is [samples, ...input]. */
  forward(x: Node, context: ForwardContext<O>): Node;
  /** Adds the nodes that compute the layer when it is not trained, whatever the number of samples. */
  onnx(
    graph: OnnxGraph,
    inputs: readonly OnnxValue[],
    context: OnnxContext<O>,
  ): OnnxValue | Promise<OnnxValue>;
}

/** Why a layer cannot be; `model.ts` adds which layer it is. */
export class LayerError extends Error {
  override readonly name: string = 'LayerError';
}

/** Declares a layer; infers the types of its options. */
export function defineLayer<const T extends string, const O extends OptionRules>(
  layer: LayerType<T, O>,
): LayerType<T, O> {
  return layer;
}

/** Both numbers of a `pair` option. */
export const pairOf = (value: number | readonly [number, number]): readonly [number, number] =>
  typeof value === 'number' ? [value, value] : value;
