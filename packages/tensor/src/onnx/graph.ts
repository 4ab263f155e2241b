/**
 * An ONNX graph while layers add their nodes to it. ONNX wants images channels first, we have them channels last: a value
 * knows the order its axes are in, and is transposed only where a node needs another one.
 */
import type { Node } from '../graph.ts';
import type { NamedTensor } from '../named-tensor.ts';
import { type Shape, sizeOf } from '../shape.ts';
import {
  type Attribute,
  type ElementType,
  elementTypes,
  type OnnxNode,
  type OnnxTensor,
} from './messages.ts';

/** Axis i of the ONNX tensor is our axis order[i]. */
export type AxisOrder = readonly number[];

/** What comes out of a layer. */
export interface OnnxValue {
  readonly name: string;
  /** Number of axes, the samples' included. */
  readonly rank: number;
  /** Default: ours, [samples, ...]. */
  readonly order?: AxisOrder;
}

/** [samples, channels, ...] of a tensor of that many axes. */
export const channelsFirst = (rank: number): AxisOrder => {
  const inner = Array.from({ length: Math.max(0, rank - 2) }, (_, axis) => axis + 1);
  return rank < 2 ? [0] : [0, rank - 1, ...inner];
};

/** An input of the model as int64: whether it really is that, is known when all layers have been added. */
export const indicesOf = (input: string): string => `${input}/indices`;

export class OnnxGraph {
  readonly nodes: OnnxNode[] = [];
  readonly tensors: OnnxTensor[] = [];
  readonly #inputs: readonly string[];
  readonly #names: Set<string>;
  readonly #transposed = new Map<string, string>();
  readonly #parameters = new Map<string, string>();
  readonly #evaluate: (node: Node) => Promise<Float32Array>;
  #layer = '';

  /**
   * @param inputs names of the model's inputs
   * @param evaluate the values of a graph without inputs
   */
  constructor(inputs: readonly string[], evaluate: (node: Node) => Promise<Float32Array>) {
    this.#inputs = inputs;
    this.#names = new Set(inputs.flatMap((name) => [name, indicesOf(name)]));
    this.#evaluate = evaluate;
  }

  /** What is added from now on belongs to the layer of that name. */
  begin(layer: string): void {
    this.#layer = layer;
  }

  /** Adds a node with one output. @returns the output's name */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.nodeOf(op, inputs, 1, attributes)[0]!;
  }

  /** Adds a node with several outputs. @returns their names */
  nodeOf(
    op: string,
    inputs: readonly string[],
    outputCount: number,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string[] {
    const name = this.#free(`${this.#layer}/${op}`);
    const outputs = Array.from({ length: outputCount }, (_, i) => `${name}:${i}`);
    this.nodes.push({ name, op, inputs, outputs, attributes });
    return outputs;
  }

  /** The value with its axes in that order. @returns the name of the tensor */
  inOrder(value: OnnxValue, order: AxisOrder): string {
    const now = value.order ?? order.map((_, axis) => axis);
    if (now.every((axis, i) => axis === order[i])) return value.name;
    const key = `${value.name} ${order}`;
    const known = this.#transposed.get(key);
    if (known) return known;
    const perm = order.map((axis) => now.indexOf(axis));
    const name = this.node('Transpose', [value.name], { perm });
    this.#transposed.set(key, name);
    return name;
  }

  /** The value as we have it: [samples, ...], channels last. */
  plain(value: OnnxValue): string {
    return this.inOrder(
      value,
      Array.from({ length: value.rank }, (_, axis) => axis),
    );
  }

  /** Several values in an order that all of them are in, or else in ours. */
  together(values: readonly OnnxValue[]): { names: string[]; order: AxisOrder } {
    const [first] = values;
    const ours = Array.from({ length: first!.rank }, (_, axis) => axis);
    const order = first!.order ?? ours;
    const alike = values.every((value) => String(value.order ?? ours) === String(order));
    const chosen = alike ? order : ours;
    return { names: values.map((value) => this.inOrder(value, chosen)), order: chosen };
  }

  /** A parameter under its own name; with `order`, its axes in that order. */
  parameter({ name, shape, data }: NamedTensor, order: AxisOrder = shape.map((_, axis) => axis)): string {
    const key = `${name} ${order}`;
    const known = this.#parameters.get(key);
    // Layers that share a parameter share it in the file.
    if (known) return known;
    const values = transposed(data, shape, order);
    const extents = order.map((axis) => shape[axis]!);
    const made = this.#tensor(this.#free(name), 'float', extents, values);
    this.#parameters.set(key, made);
    return made;
  }

  /** Trained numbers in a layout of ONNX alone. */
  weight(name: string, shape: Shape, values: Float32Array): string {
    return this.#tensor(this.#free(name), 'float', shape, values);
  }

  /** float32 numbers. Those with a name of their own are kept once for the whole model. */
  constant(shape: Shape, values: ArrayLike<number>, shared?: string): string {
    return this.#constant('float', shape, Float32Array.from(values), shared);
  }

  booleans(shape: Shape, values: readonly boolean[], shared?: string): string {
    return this.#constant('bool', shape, Uint8Array.from(values, Number), shared);
  }

  /** int64 numbers in a list, such as a shape. */
  integers(values: readonly number[]): string {
    return this.#constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** Numbers of rows as int64, from whole numbers. */
  indices(value: OnnxValue): string {
    const { name } = value;
    return this.#inputs.includes(name) ? indicesOf(name) : this.cast(this.plain(value), 'int64');
  }

  cast(name: string, to: ElementType): string {
    return this.node('Cast', [name], { to: elementTypes[to] });
  }

  /** A shape in which samples are as many as they were. */
  reshape(name: string, sample: Shape): string {
    return this.node('Reshape', [name, this.integers([0, ...sample])]);
  }

  /** What our own arithmetic gives for a graph without inputs, as a constant. */
  async computed(node: Node, shared?: string): Promise<string> {
    return this.constant(node.shape, await this.#evaluate(node), shared);
  }

  #constant(
    type: ElementType,
    shape: Shape,
    values: Float32Array | Uint8Array | BigInt64Array,
    shared?: string,
  ): string {
    if (shared !== undefined && this.#names.has(shared)) return shared;
    const name = this.#free(shared ?? `${this.#layer}/constant`);
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    // Initializers are what was trained: who reads the file may train it again.
    this.nodes.push({
      name: this.#free(`${this.#layer}/Constant`),
      op: 'Constant',
      inputs: [],
      outputs: [name],
      attributes: { value: { tensor: { name: '', type, shape, data } } },
    });
    return name;
  }

  #tensor(
    name: string,
    type: ElementType,
    shape: Shape,
    values: Float32Array | Uint8Array | BigInt64Array,
  ): string {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.tensors.push({ name, type, shape, data });
    return name;
  }

  /** The name, or with a number behind it when it is taken. */
  #free(name: string): string {
    let free = name;
    for (let n = 2; this.#names.has(free); n++) free = `${name}_${n}`;
    this.#names.add(free);
    return free;
  }
}

/** Row-major numbers with their axes in another order. */
export function transposed(data: Float32Array, shape: Shape, order: AxisOrder): Float32Array {
  if (order.every((axis, i) => axis === i)) return data;
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const extents = order.map((axis) => shape[axis]!);
  const steps = order.map((axis) => strides[axis]!);
  const result = new Float32Array(data.length);
  const index = extents.map(() => 0);
  let from = 0;
  for (let to = 0; to < result.length; to++) {
    result[to] = data[from]!;
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++index[axis]! < extents[axis]!) break;
      from -= steps[axis]! * extents[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
