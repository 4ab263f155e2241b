/**
 * How layers and losses that a program defined travel in a job: operations by name over numbered values, with the number of samples left
 * open. Data, and nothing but data: docs/models.md describes it.
 */
import type { Initializer } from '../layer.ts';

export const GRAPH_VERSION = 1;

/** A whole number, or a multiple of the number of samples: 'n', '2n'. */
export type Extent = number | string;

/** Numbers that JSON cannot write are 'inf', '-inf' and 'nan'. */
export type GraphAttribute = Extent | boolean | readonly Extent[];

export type GraphAttributes = Readonly<Record<string, GraphAttribute>>;

/**
 * An operation, the numbers of the values that it takes, and its attributes where it has any but false ones:
 * ['sum', 4, { axes: [1], keepDims: true }].
 */
export type GraphNode = readonly [op: string, ...rest: (number | GraphAttributes)[]];

export interface GraphParameter {
  /** Within the layer: 'weight'. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  /** Present for what is not trained but follows the batches: the part of the way that it moves in a step. */
  readonly statistic?: { readonly rate: number };
}

/** A custom layer. Its values are numbered: inputs, then parameters, then nodes, from 0. */
export interface LayerGraph {
  readonly version: typeof GRAPH_VERSION;
  /** Shape of a sample of each input. */
  readonly inputs: readonly (readonly number[])[];
  readonly parameters?: readonly GraphParameter[];
  readonly nodes: readonly GraphNode[];
  /** The value that comes out: [samples, ...]. */
  readonly output: number;
}

/** A custom loss, and a metric. Its values are numbered: what `from` names, the target, then nodes. */
export interface LossGraph {
  readonly version: typeof GRAPH_VERSION;
  /** Names of layers, or 'input'. */
  readonly from: readonly string[];
  /** What the data must have for each sample. */
  readonly target: { readonly dtype: 'f32' | 'i32'; readonly shape: readonly number[] };
  readonly nodes: readonly GraphNode[];
  /** The value that is the loss of each sample: [samples]. */
  readonly loss: number;
  /** The value that is the metric of each sample: [samples]. Default: the loss, as an error. */
  readonly metric?: { readonly kind: 'accuracy' | 'error'; readonly value: number };
}

/** A layer whose type is the name of a definition. */
export interface OwnLayerDescription {
  readonly type: string;
  readonly name?: string;
  readonly from?: string | readonly string[];
  /** Parameters of the definition that are those of another layer: { weight: 'embedding1.table' }. */
  readonly tied?: Readonly<Record<string, string>>;
}

/** At most so many of each, in one layer or loss. */
export const MOST_NODES = 10_000;
export const MOST_INPUTS = 64;
export const MOST_GRAPH_PARAMETERS = 1_000;
export const MOST_DEFINITIONS = 1_000;
/** Over all layers of a model, each as often as it is used, as `expansionOf` counts them: a worker lays out a program of them. */
export const MOST_NODES_OF_MODEL = 20_000;
export const MOST_AXES = 8;
/** Numbers of one value, and of all values of a layer, for one sample. */
export const MOST_FLOATS = 2 ** 28;
export const MOST_FLOATS_OF_GRAPH = 2 ** 31;
/** Floating-point operations of a layer's forward pass, for one sample. */
export const MOST_FLOPS = 1e13;
/** Streams of random numbers that a layer may draw. */
export const MOST_STREAMS = 2 ** 20;
