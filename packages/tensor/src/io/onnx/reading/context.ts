/** One node of a file as its translation sees it: its inputs as values, its attributes by name and kind. */
import type { Node } from '../../../graph.ts';
import type { LayerTypeName } from '../../../nn/index.ts';
import type { OptionValue } from '../../../nn/layer.ts';
import { formatShape } from '../../../shape.ts';
import type { AttributeValue, FileNode, TensorRecord } from './file.ts';
import {
  type Computed,
  computed,
  imageNode,
  type Known,
  plainNode,
  shapeOf,
  UnsupportedError,
  type Value,
} from './values.ts';

/** What is made of known numbers and of what only training has: a model has parameters, a calculation has leaves. */
export interface Home {
  /** How many samples the first axis of the inputs has; undefined: no axis is that of the samples. */
  readonly samples: number | undefined;
  /** True: the file is for one sample at a time, so its graph may count them as 1. */
  readonly isSingle: boolean;
  /** Numbers of the file as a value. @param role what they are there */
  lift(value: Known, role: string, trained: boolean): Node;
  /** While training the batch's value, which the numbers of the file follow; otherwise these. */
  statistic(value: Known, role: string, ofBatch: Node, rate: number): Node;
  dropout(x: Node, rate: number): Node;
  /** The first while training, the second otherwise. */
  whenTraining(training: Node, otherwise: Node): Node;
  /** A layer that job files have; undefined: it can be none there, and the node becomes operations. */
  layer(given: GivenLayer, x: Node): Node | undefined;
}

/** A layer that says what a node does. */
export interface GivenLayer {
  readonly type: LayerTypeName;
  readonly options: Readonly<Record<string, OptionValue>>;
  /** By their names in the layer; undefined: they are computed. */
  readonly weights: Readonly<Record<string, Known | undefined>>;
}

export type Translator = (c: NodeContext) => Value | readonly Value[];

/** Numbers that a file would train: those of fractions that have a name and an axis. */
export const isWeight = (value: Value): boolean =>
  value.kind === 'known' &&
  value.initializer !== undefined &&
  value.type === 'float' &&
  value.shape.length > 0;

/** An axis that may count from the end. @throws UnsupportedError */
export function axisOf(axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(found) && found >= 0 && found < rank) return found;
  throw new UnsupportedError(`axis ${axis} does not exist; there are ${rank}`);
}

export class NodeContext {
  readonly home: Home;
  readonly opset: number;
  readonly op: string;
  readonly outputs: number;
  readonly #inputs: readonly (Value | undefined)[];
  readonly #attributes: ReadonlyMap<string, AttributeValue>;

  constructor(node: FileNode, inputs: readonly (Value | undefined)[], opset: number, home: Home) {
    this.home = home;
    this.opset = opset;
    this.op = node.op;
    this.outputs = node.outputs.length;
    this.#inputs = inputs;
    this.#attributes = node.attributes;
  }

  get count(): number {
    return this.#inputs.length;
  }

  has(index: number): boolean {
    return this.#inputs[index] !== undefined;
  }

  value(index: number): Value {
    return this.#inputs[index] ?? refuse(`has no input ${index}`);
  }

  /** Numbers that must not depend on what the model computes. */
  known(index: number, what: string): Known {
    const value = this.value(index);
    if (value.kind === 'known') return value;
    return refuse(`${what} must be known in advance, but depends on the inputs of the model`);
  }

  /** An input that is numbers of the file; undefined: it is computed, or left out. */
  weight(index: number): Known | undefined {
    const value = this.#inputs[index];
    return value?.kind === 'known' && value.type === 'float' ? value : undefined;
  }

  /** The same as a list; undefined: it is left out. */
  knownList(index: number, what: string): number[] | undefined {
    return this.has(index) ? [...this.known(index, what).numbers] : undefined;
  }

  /** The input as a value that is computed, in whatever order its axes are. */
  computed(index: number, role = 'value', trained?: boolean): Computed {
    const value = this.value(index);
    if (value.kind === 'computed') return value;
    return computed(this.home.lift(value, role, trained ?? isWeight(value)), value.type);
  }

  /** The input with its axes in the order of the file. */
  node(index: number, role?: string, trained?: boolean): Node {
    return plainNode(this.computed(index, role, trained));
  }

  /** The input with its channels last. */
  image(index: number): Node {
    const value = this.computed(index);
    const rank = value.node.shape.length;
    if (rank < 3) return refuse(`expects images or sequences, got ${formatShape(shapeOf(value))}`);
    return imageNode(value);
  }

  number(name: string, otherwise: number): number {
    const value = this.#attributes.get(name) ?? otherwise;
    return typeof value === 'number' ? value : refuse(`attribute ${name} is no number`);
  }

  text(name: string, otherwise: string): string {
    const value = this.#attributes.get(name) ?? otherwise;
    return typeof value === 'string' ? value : refuse(`attribute ${name} is no text`);
  }

  numbers(name: string): readonly number[] | undefined {
    const value = this.#attributes.get(name);
    if (value === undefined) return undefined;
    const isList = Array.isArray(value) && value.every((each) => typeof each === 'number');
    return isList ? (value as readonly number[]) : refuse(`attribute ${name} is not a list of numbers`);
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#attributes.get(name);
    if (value === undefined) return undefined;
    const isList = Array.isArray(value) && value.every((each) => typeof each === 'string');
    return isList ? (value as readonly string[]) : refuse(`attribute ${name} is not a list of strings`);
  }

  tensor(name: string): TensorRecord | undefined {
    const value = this.#attributes.get(name);
    if (value === undefined) return undefined;
    const isTensor = typeof value === 'object' && 'raw' in value;
    return isTensor ? value : refuse(`attribute ${name} is no tensor`);
  }

  hasAttribute(name: string): boolean {
    return this.#attributes.has(name);
  }
}

/**
 * In a file for one sample an axis of one element may be any; here it is as long as there are samples, and what works along it would mix
 * them.
 * @param axes of the node
 * @throws UnsupportedError where one of them has the samples
 */
export function refuseSamples({ home }: NodeContext, node: Node, axes: readonly number[]): void {
  const { samples, isSingle } = home;
  if (samples === undefined || !isSingle) return;
  const found = axes.find((axis) => (node.shape[axis] ?? 0) > 0 && node.shape[axis]! % samples === 0);
  if (found !== undefined) refuse(`works along axis ${found}, the sample axis`);
}

export function refuse(why: string): never {
  throw new UnsupportedError(why);
}
